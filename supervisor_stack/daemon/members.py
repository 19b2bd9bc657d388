"""Which processes belong to a service, and how to be rid of them.

Without a cgroup of its own, a service's processes are: the descendants of its main process, and
those that came to us as the subreaper when their parent died, if they are of the main process's
session or carry our marker in their environment. A process that has left the session and cleaned
its environment comes to us too, but nobody can tell whose it was.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

from supervisor_stack.daemon.process import Processes

MARKER = "STACKD_SERVICE"
"""Environment variable with the service's name, inherited by everything that the service starts."""


class Members:
    """Finds and ends the processes of services. `gone(service, run)` reports the end of a sweep."""

    def __init__(self, processes: Processes, gone: Callable[[str, int], None]) -> None:
        self._processes = processes
        self._gone = gone
        self._sessions: dict[int, str] = {}
        self._sweeps: dict[str, tuple[int, Callable[[], bool]]] = {}
        self._seen: list[int] | None = None
        processes.stray_reaped = self._look_again

    def enrol(self, service: str, pid: int) -> None:
        """The main process of a new run; its pid is also the number of its session."""
        self._sessions = {sid: name for sid, name in self._sessions.items() if name != service}
        self._sessions[pid] = service

    def owns(self, service: str, pid: int) -> bool:
        """Whether this process belongs to the service."""
        return self._owner(pid) == service

    def left_by(self, service: str) -> list[int]:
        """What is there of a service whose main process is gone."""
        found: list[int] = []
        for stray in self._strays():
            if self._owner(stray) == service:
                found += [stray, *descendants(stray)]
        return found

    def _strays(self) -> list[int]:
        # Asked once for all that happens in one turn of the loop: the kernel lists every child, and
        # a thousand services may end in the same turn.
        if self._seen is None:
            children = _children(os.getpid(), main_thread=True)
            self._seen = [pid for pid in children if pid not in self._processes]
            asyncio.get_running_loop().call_soon(self._forget)
        return self._seen

    def _forget(self) -> None:
        self._seen = None

    def sweep(self, service: str, run: int, main_is_gone: Callable[[], bool]) -> None:
        """SIGKILL what is left of a service until nothing is; then `gone` is called."""
        self._sweeps[service] = (run, main_is_gone)
        self._forget()
        self._sweep(service)

    def look_again(self, service: str) -> None:
        """Go on with the sweep of this service, if there is one."""
        if service in self._sweeps:
            self._forget()
            self._sweep(service)

    def _look_again(self) -> None:
        for service in list(self._sweeps):
            self.look_again(service)

    def _sweep(self, service: str) -> None:
        run, main_is_gone = self._sweeps[service]
        left = self.left_by(service)
        for pid in left:
            _kill(pid)
        if not left and main_is_gone():
            del self._sweeps[service]
            self._gone(service, run)

    def _owner(self, pid: int) -> str | None:
        try:
            session = os.getsid(pid)
            if session in self._sessions:
                return self._sessions[session]
            marker = f"{MARKER}=".encode()
            for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                if entry.startswith(marker):
                    return entry[len(marker) :].decode("utf-8", "replace")
        except OSError:
            return None  # it is gone, or not ours to look into
        return None


def descendants(pid: int) -> list[int]:
    """All children of a process, and theirs."""
    found: list[int] = []
    queue = [pid]
    while queue:
        children = list(_children(queue.pop()))
        found += children
        queue += children
    return found


def _children(pid: int, main_thread: bool = False) -> Iterator[int]:
    """Children by /proc/PID/task/TID/children (proc(5)): those of each thread that forked.

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
