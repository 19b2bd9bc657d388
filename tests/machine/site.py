"""A machine with the example site on it, as its administrator and its visitors see it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from tests.machine.machine import Machine
from tests.servers import wait_until
from tests.system.visitors import Visits

SITE = "/srv/br_api"
PROJECT = "/root/project"
CONFIG = "/etc/stackd/stackd.toml"
CGROUP = "/sys/fs/cgroup/system.slice/stackd.service"

SERVERS = ("mysqld", "redis", "uwsgi", "nginx")
PAGES = tuple(f"http://127.0.0.1:8080{path}" for path in ("/", "/db", "/cache"))


class Life(NamedTuple):
    """Which process a service is."""

    pid: int
    run: int


class Site(Machine):
    """The machine; stackd may be installed on it or not."""

    def as_service(self) -> str:
        """The example's configuration, with everything where a service of systemd has it."""
        text = self.read(f"{SITE}/stackd.toml")
        for line, instead in (('runtime_dir = "run"\n', ""), ('log_dir = "log"\n', f'base_dir = "{SITE}"\n')):
            assert line in text
            text = text.replace(line, instead)
        return text

    def edit(self, path: str, old: str, new: str) -> None:
        """Change a file in place."""
        text = self.read(path)
        assert old in text
        self.write(path, text.replace(old, new))

    def install(self, *argv: str, project: str = PROJECT) -> str:
        """Run script/install; returns what it says."""
        return self.run("sh", f"{project}/script/install", *argv, timeout=300).stderr

    def stackctl(self, *argv: str) -> str:
        """Run stackctl, which has to succeed; returns what it printed."""
        return self.run("stackctl", *argv).stdout

    def status(self) -> dict[str, Any]:
        """The answer of `stackctl --json status`, or an empty one if nobody gives one."""
        told = json.loads(self.run("stackctl", "--json", "status", check=False).stdout)
        return told if told["ok"] else {"stackd": {}, "stack": {}, "services": []}

    def services(self) -> dict[str, dict[str, Any]]:
        """What status tells, by service."""
        return {service["name"]: service for service in self.status()["services"]}

    def lives(self) -> dict[str, Life]:
        """The processes of the four servers."""
        services = self.services()
        return {name: Life(services[name]["pid"], services[name]["run"]) for name in SERVERS}

    def stackd(self) -> int:
        """The pid of the stackd that systemd started, or 0."""
        return int(self.show("stackd", "MainPID"))

    def until_up(self) -> None:
        """Wait until all that is wanted is ready."""
        wait_until(lambda: self.status()["stack"].get("state") == "running", "the stack is running", 60)

    def until_replaced(self, pid: int, state: str = "running") -> None:
        """Wait until another stackd than this one answers, and its stack is in this state."""

        def replaced() -> bool:
            status = self.status()
            return status["stackd"].get("pid") not in (None, pid) and status["stack"]["state"] == state

        wait_until(replaced, f"another stackd than {pid} answers, and its stack is {state}", 60)

    def is_alive(self, pid: int) -> bool:
        """Whether a process exists."""
        return self.run("test", "-e", f"/proc/{pid}", check=False).returncode == 0

    def processes(self) -> list[str]:
        """The command lines of all that runs in the cgroup of the unit, and below."""
        found = self.sh(f"find {CGROUP} -name cgroup.procs -exec cat {{}} + 2>/dev/null || true").split()
        return [self.run("ps", "--no-headers", "-o", "args", pid, check=False).stdout for pid in found]

    @contextmanager
    def visitors(self, *urls: str, rate: int = 50) -> Iterator[Visits]:
        """Ask for pages in turn, from inside, until the block ends; the visits are complete after it."""
        visits = Visits()
        # A signal would not get through nsenter; the end of its input does.
        load = self.start(
            *("sh", "-c", 'cd "$0"; "$@" & read -r _; kill $!; wait $! && cat /root/visits', PROJECT),
            *("python3", "-m", "benchmarks.load", "--rate", str(rate), "--out", "/root/visits"),
            *(urls or PAGES),
        )
        assert load.stdout is not None
        try:
            assert load.stdout.readline() == "sending\n"
            yield visits
        finally:
            results, talk = load.communicate(timeout=60)
        assert load.returncode == 0, talk
        for line in results.splitlines():
            visits.count(line)
        assert visits.sent
