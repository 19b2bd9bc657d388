"""The example site under one of the supervisors: started, stopped, and what each leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from benchmarks import bystander, census, peers
from benchmarks.descriptor_store import DescriptorStore
from benchmarks.site import ROOT, STACKD, Site

PATIENCE = 60.0

# Each kill stands for the crash of a service that has been well for long. stackd takes one that comes
# within ten seconds of the last for a loop, and waits; here a tenth of a second is long enough.
LASTING = 'backoff = { reset_after = "100ms" }\nstart_limit = { burst = 1000000, interval = 60 }\n'
# A hung service is found by three misses in a row: within 4.5 s, instead of within half a minute. mysqld and
# uWSGI are only looked at, whether they are stopped, and that has no timeout.
ALIVE = 'alive = { interval = "500ms", failures = 3 }\n'
ALIVE_ASKED = 'alive = { interval = "500ms", timeout = "1s", failures = 3 }\n'
ASKED = ("redis", "nginx")
# The services beside the four servers (bystander.py).
BESIDE = """
[services.writer]
command = ["{python}", "{bystander}", "writer", "{folder}/log"]
cwd = "."
{log}

[services.extra]
command = ["{python}", "{bystander}", "extra", "{folder}/run/extra.sock"]
cwd = "."
ready = {{ type = "unix", address = "unix:{folder}/run/extra.sock" }}
backoff = {{ reset_after = "100ms" }}

[services.task]
command = ["{python}", "{bystander}", "task", "1"]
cwd = "."
type = "task"
autostart = false

"""
ROTATED = 'log = { max_bytes = "2MiB", keep = 100 }'


def beside(folder: Path, log: str = "") -> str:
    """The tables of the services beside the four servers. `log`: a line for that of the writer."""
    return BESIDE.format(folder=folder, log=log, python=sys.executable, bystander=bystander.__file__)


def installed() -> list[str]:
    """The supervisors that can be measured."""
    return ["stackd", *peers.installed()]


class Supervised:
    """A supervisor with the site. `probes`: let stackd ask often whether the services answer.

    `beside`: other services too, at the peers the writer alone. `rotates`: the writer's log is rotated
    (the peers always do). `store`: what systemd would keep for it, and give to the next one.
    """

    def __init__(
        self,
        name: str,
        site: Site,
        probes: bool = False,
        beside: bool = False,
        rotates: bool = False,
        store: DescriptorStore | None = None,
    ) -> None:
        self.name = name
        self.site = site
        self.rotates = rotates
        self._store = store
        self._probes = probes
        self._beside = beside
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_stackd(self) -> bool:
        """Whether it is stackd, and no peer."""
        return self.name == "stackd"

    @property
    def pid(self) -> int:
        """Of the supervisor itself."""
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the supervisor itself is there."""
        return self._process is not None and self._process.poll() is None

    def launch(self) -> float:
        """Start it, and wait for nothing; returns when that was, in monotonic seconds."""
        argv = self._command()
        with (self.site.folder / "log/supervisor.out").open("ab") as output:
            if self._store:
                self._process, begun = self._store.launch(argv, ROOT, output)
                return begun
            begun = time.monotonic()
            self._process = subprocess.Popen(argv, cwd=ROOT, stdout=output, stderr=output)
        return begun

    def kill(self) -> None:
        """SIGKILL, and nobody else is told."""
        assert self._process is not None, "not started"
        self._process.kill()
        self._process.wait()

    def start(self) -> None:
        """Start it, and wait until the whole site answers."""
        self.launch()
        assert self._process is not None
        deadline = time.monotonic() + PATIENCE
        while problem := census.take(self.site.folder).wrong():
            assert self._process.poll() is None, f"{self.name} ended: {self.said()}"
            assert time.monotonic() < deadline, (
                f"{self.name} does not start the site: {problem}; {self.said()}"
            )
            time.sleep(0.02)
        self.site.wait_for("/db", self._process, PATIENCE)

    def stop(self) -> list[str]:
        """Stop it; what it leaves behind is named, and ended by force."""
        assert self._process is not None, "not started"
        ended = peers.end(self._process, PATIENCE)
        if self._store:
            self._store.clear()
        left = [str(each) for each in census.take(self.site.folder).processes]
        while found := census.take(self.site.folder).processes:
            for each in found:
                with suppress(ProcessLookupError):
                    os.kill(each.pid, signal.SIGKILL)
            time.sleep(0.02)
        return left if ended else [f"{self.name} itself", *left]

    def takes_rotation(self) -> bool:
        """Whether stackd accepts the keys that rotate a log."""
        before, self.rotates = self.rotates, True
        argv = [*self._command(), "--check"]
        self.rotates = before
        return subprocess.run(argv, cwd=ROOT, check=False, stdout=subprocess.DEVNULL).returncode == 0

    def _command(self) -> list[str]:
        if self.is_stackd:
            edits = [self._lines(server) for server in self.site.ports]
            if self._beside:
                tables = beside(self.site.folder, ROTATED if self.rotates else "")
                edits.append(("[services.nginx]\n", f"{tables}[services.nginx]\n"))
            self.site.edit("stackd.toml", *edits)
            return [*STACKD, "-c", str(self.site.folder / "stackd.toml")]
        values: dict[str, object] = {"bystander": bystander.__file__, "python": sys.executable}
        values |= {f"{name}_port": port for name, port in self.site.ports.items()}
        values["uwsgi"] = f"{sys.prefix}/bin/uwsgi"
        templates = [f"{self.name}-site.conf", *([f"{self.name}-writer.conf"] if self._beside else [])]
        return peers.command(self.name, templates, self.site.folder, **values)

    def _lines(self, server: str) -> tuple[str, str]:
        """Lines for the table of a service, as an edit of the file."""
        alive = (ALIVE_ASKED if server in ASKED else ALIVE) if self._probes else ""
        header = f"[services.{server}]\n"
        return header, header + LASTING + alive

    def said(self) -> str:
        """What it printed last."""
        return (self.site.folder / "log/supervisor.out").read_text()[-2000:]
