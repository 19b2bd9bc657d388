"""Which processes belong to a service and to which of its runs, and how to be rid of them.

Without a cgroup of its own, the processes of a run are: the descendants of its main process, and
those that came to us as the subreaper when their parent died, if they are of the main process's
session or carry our markers in their environment. A process that has left the session and cleaned
its environment comes to us too, but nobody can tell whose it was.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from supervisor_stack.daemon.process import Processes

MARKER = "STACKD_SERVICE"
RUN_MARKER = "STACKD_RUN"
"""Environment variables with the service's name and the number of the run, inherited by everything
that the run starts."""

LOOKS_AT_ENVIRONMENT = 5


class Owner(NamedTuple):
    """Whose a process is."""

    service: str
    run: int


class Clearing(NamedTuple):
    """Waiting until nothing is left of one run of a service, or of all of them (`run` None).

    `kill`: and doing something for it. `main_is_gone`: whether the main processes are, which are not
    looked for here. `done` is called once.
    """

    service: str
    run: int | None
    kill: bool
    main_is_gone: Callable[[], bool]
    done: Callable[[], None]


class Members:
    """Finds and ends the processes of services."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._sessions: dict[int, Owner] = {}
        self._runs: dict[str, dict[int, int]] = {}
        self._clearings: dict[tuple[str, int | None], Clearing] = {}
        self._seen: list[int] | None = None
        processes.reaped = self._forget_strays  # what has just ended may have left some
        processes.stray_reaped = self._look_again

    def enrol(self, service: str, run: int, pid: int) -> None:
        """The main process of a new run; its pid is also the number of its session."""
        self._sessions[pid] = Owner(service, run)
        self._runs.setdefault(service, {})[run] = pid

    def adopt(self, service: str, run: int, pid: int) -> None:
        self.enrol(service, run, pid)

    def leaders(self) -> dict[str, dict[int, int]]:
        return {}

    def forget(self, service: str, run: int | None) -> None:
        """Nothing is left of a run, or of all of them: the numbers of its sessions are free for others."""
        runs = self._runs.get(service, {})
        for number in [run] if run is not None else list(runs):
            if session := runs.pop(number, None):
                self._sessions.pop(session, None)

    def owns(self, service: str, pid: int) -> bool:
        """Whether this process belongs to the service."""
        owner = self._owner(pid)
        return owner is not None and owner.service == service

    def orphans(self, service: str, run: int | None) -> list[int]:
        """Processes of a run, or of all of them, that have lost their parent."""
        found = []
        for stray in self._strays():
            owner = self._owner(stray)
            if owner and owner.service == service and run in (None, owner.run):
                found.append(stray)
        return found

    def left_by(self, service: str, run: int | None) -> list[int]:
        """What is there of a run whose main process is gone, or of all of them."""
        found: list[int] = []
        for orphan in self.orphans(service, run):
            found += [orphan, *descendants(orphan)]
        return found

    def clear(self, clearing: Clearing) -> None:
        """Wait until nothing is left, and kill what there is if that is wanted. Replaces one that waits."""
        self._clearings[clearing.service, clearing.run] = clearing
        self._forget_strays()
        self._go_on(clearing)

    def look_again(self, service: str) -> None:
        """A process of the service ended."""
        for clearing in [each for each in self._clearings.values() if each.service == service]:
            self._forget_strays()
            self._go_on(clearing)

    def _look_again(self) -> None:
        for service in {clearing.service for clearing in self._clearings.values()}:
            self.look_again(service)

    def _go_on(self, clearing: Clearing) -> None:
        if self._clearings.get((clearing.service, clearing.run)) is not clearing:
            return  # one that was done before it has replaced it
        left = self.left_by(clearing.service, clearing.run)
        if clearing.kill:
            for pid in left:
                _kill(pid)
        if not left and clearing.main_is_gone():
            del self._clearings[clearing.service, clearing.run]
            self.forget(clearing.service, clearing.run)
            clearing.done()

    def _strays(self) -> list[int]:
        # Asked once for all that were reaped together: the kernel lists every child, and a thousand
        # services may end at the same moment.
        if self._seen is None:
            ours = children(os.getpid(), main_thread=True)
            self._seen = [pid for pid in ours if pid not in self._processes]
            asyncio.get_running_loop().call_soon(self._forget_strays)
        return self._seen

    def _forget_strays(self) -> None:
        self._seen = None

    def _owner(self, pid: int) -> Owner | None:
        try:
            session = os.getsid(pid)
            if session in self._sessions:
                return self._sessions[session]
            marks = dict(
                entry.split(b"=", 1)
                for entry in _environment(pid).split(b"\0")
                if entry.startswith((f"{MARKER}=".encode(), f"{RUN_MARKER}=".encode()))
            )
            service, run = marks[MARKER.encode()], marks[RUN_MARKER.encode()]
            return Owner(service.decode("utf-8", "replace"), int(run))
        except (OSError, KeyError, ValueError):
            return None  # it is gone, not ours to look into, or not marked by us


def _environment(pid: int) -> bytes:
    """The environment of a process. In the middle of execve(2) it looks empty for a moment: the new
    memory is there and its environment is not yet. Raises OSError."""
    for _ in range(LOOKS_AT_ENVIRONMENT):
        if found := Path(f"/proc/{pid}/environ").read_bytes():
            return found
        os.sched_yield()
    return b""


def descendants(pid: int) -> list[int]:
    """All children of a process, and theirs."""
    found: list[int] = []
    queue = [pid]
    while queue:
        below = list(children(queue.pop()))
        found += below
        queue += below
    return found


def children(pid: int, main_thread: bool = False) -> Iterator[int]:
    """Children of a process, by /proc/PID/task/TID/children (proc(5)): those of each thread that forked.

    Orphans are handed to the main thread of the subreaper, so for ourselves that one is enough.
    """
    try:
        threads = [str(pid)] if main_thread else os.listdir(f"/proc/{pid}/task")
        for thread in threads:
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                yield from map(int, file.read().split())
    except OSError:
        return  # it ended while we looked


def _kill(pid: int) -> None:
    # Strays are our own children: until we reap one, its pid cannot be anybody else's. A
    # grandchild's can in theory, between the look and the signal; a pidfd makes that gap tiny.
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return
    try:
        signal.pidfd_send_signal(fd, signal.SIGKILL)
    except OSError:
        return
    finally:
        os.close(fd)
