"""Which processes a site has, who is the main one of each server, and who belongs to none.

Seen from outside and for each supervisor in the same way: by /proc (proc(5)), never by asking it. Two
facts carry it. All servers are started in the site's folder, or change to one below it (redis its
`dir`, mariadbd its datadir), and what they fork stays there. And stackd, supervisord and circus each
make a program the leader of a process group of its own, which none of the four changes while it runs
in the foreground: so the leader is the main process, and its workers are known when it is dead.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROLES = ("mysqld", "redis", "uwsgi", "nginx")
PROGRAMS = {
    "mariadbd": "mysqld",
    "mysqld": "mysqld",
    "redis-server": "redis",
    "uwsgi": "uwsgi",
    "nginx": "nginx",
}
# What else a site may run: its role is in its command line (bystander.py).
BYSTANDER = "bystander.py"
WORKERS = {"uwsgi": 2, "nginx": 2}
# The same programs at another work: stackd has a server test its configuration, or the copy of it.
TEST = re.compile(r" (?:-T|--help|--get)\b|/kept/\S+\.new")
SHUTTING_DOWN = "nginx: worker process is shutting down"


@dataclass(frozen=True)
class Process:
    """A process at the moment that it was looked at. `started`: clock ticks since boot."""

    pid: int
    started: int
    role: str
    group: int
    state: str
    title: str

    @property
    def is_main(self) -> bool:
        """Whether it is what the supervisor has started, to serve."""
        return self.pid == self.group and bool(self.role) and not TEST.search(self.title)

    @property
    def is_stopped(self) -> bool:
        """Whether SIGSTOP holds it."""
        return self.state == "T"

    def __str__(self) -> str:
        # nginx says in its titles which is which; the others' begin with the path of their interpreter.
        known = self.role and not self.title.startswith("nginx:")
        return f"{self.role if known else self.title[:60].strip()} (pid {self.pid}, {self.state})"


@dataclass(frozen=True)
class Census:
    """All processes of a site at one moment."""

    processes: tuple[Process, ...]

    @property
    def roles(self) -> set[str]:
        """The servers and other services that have a main process."""
        return {each.role for each in self.mains}

    @property
    def mains(self) -> list[Process]:
        """The main processes, of which a server has several while one takes over from another."""
        return [each for each in self.processes if each.is_main]

    def main(self, role: str) -> Process | None:
        """The main process of a server; of several the newest, since the others are to go."""
        mains = [each for each in self.mains if each.role == role]
        return max(mains, key=lambda each: each.started, default=None)

    def workers(self, role: str) -> list[Process]:
        """What the main process of a server has forked."""
        main = self.main(role)
        return [each for each in self.processes if main and each.group == main.pid and each != main]

    def wrong(self) -> str:
        """What keeps the stack from being whole; empty when it is."""
        for role in ROLES:
            main = self.main(role)
            if main is None:
                return f"no main process of {role}"
            able = [
                each for each in self.workers(role) if not each.is_stopped and each.title != SHUTTING_DOWN
            ]
            if main.is_stopped:
                return f"the main process of {role} is stopped"
            if len(able) < WORKERS.get(role, 0):
                return f"{role} has {len(able)} of its {WORKERS[role]} workers"
        # uWSGI's own that have lost their master finish a request and leave; nginx's accept for ever,
        # with the configuration of once.
        for each in self.leftovers():
            if each.role == "nginx" and not each.is_main and each.title != SHUTTING_DOWN:
                return f"an older generation serves: {each}"
        return ""

    def leftovers(self) -> list[Process]:
        """What belongs to no live main process, or is stopped."""
        mains = {main.pid for role in self.roles if (main := self.main(role))}
        tests = {each.pid for each in self.processes if TEST.search(each.title)}
        return [each for each in self.processes if each.group not in mains | tests or each.is_stopped]


def take(folder: Path) -> Census:
    """Look at all processes that work in the folder, or below it."""
    return Census(tuple(_processes(folder)))


def _processes(folder: Path) -> Iterator[Process]:
    for entry in os.scandir("/proc"):
        # A zombie has no working directory any more, and a process may go while it is looked at.
        with suppress(OSError):
            if entry.name.isdecimal() and Path(entry.path, "cwd").readlink().is_relative_to(folder):
                yield look(int(entry.name))


def look(pid: int) -> Process:
    """One process. Raises OSError when it is gone."""
    # The second field is the name in parentheses, and may itself have any of those.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    title = " ".join(arguments).strip()
    return Process(
        pid=pid,
        started=int(fields[19]),
        role=_role(title, arguments),
        group=int(fields[2]),
        state=fields[0],
        title=title,
    )


def _role(title: str, arguments: list[str]) -> str:
    """Which server it is of; empty for what is not, or not yet, one of them, such as `nginx -t`."""
    if title.startswith(("nginx: master", "nginx: worker")):
        return "nginx"
    # uWSGI from a wheel is a script: the interpreter comes first.
    programs = {Path(argument.partition(" ")[0]).name for argument in arguments[:2]}
    if BYSTANDER in programs:
        return arguments[2]
    found = next((role for program, role in PROGRAMS.items() if program in programs), "")
    # nginx(8): -t and -T test a configuration, and leave.
    return "" if found == "nginx" and {"-t", "-T"}.intersection(arguments) else found
