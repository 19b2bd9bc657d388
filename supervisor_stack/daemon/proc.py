"""What /proc tells of processes, and how to be sure that a number still means the same one.

A pid is free for others as soon as its process was reaped. Together with the moment in which it began it
means one process only.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
from collections.abc import Iterator
from typing import NamedTuple

LOOKS_AT_ENVIRONMENT = 5


class Stat(NamedTuple):
    """`parent` and `session` are pids; `started` counts clock ticks since the boot (field 22 of proc(5)).

    `ended`: it is a zombie, and not one whose other threads live on.
    """

    parent: int
    session: int
    started: int
    ended: bool


class Figures(NamedTuple):
    """`ticks`: of the clock, that it has spent on a processor; `pages`: of memory that are resident."""

    started: int
    ticks: int
    pages: int


def stat(pid: int) -> Stat | None:
    """What /proc/PID/stat tells; None when there is no such process. A zombie still is one."""
    fields = _fields(pid)
    if not fields:
        return None
    return Stat(
        parent=int(fields[1]),
        session=int(fields[3]),
        started=int(fields[19]),
        ended=fields[0] in (b"Z", b"X") and int(fields[17]) <= 1,
    )


def figures(pid: int) -> Figures | None:
    """What /proc tells of what a process uses; None when it is gone or ended, or cannot be seen."""
    fields = _fields(pid)
    if not fields or fields[0] in (b"Z", b"X"):
        return None
    try:
        # The pages in /proc/PID/stat lag behind: the kernel counts for each processor, and adds up only here.
        with open(f"/proc/{pid}/statm", "rb") as file:
            pages = int(file.read().split()[1])
    except OSError:
        return None
    return Figures(started=int(fields[19]), ticks=int(fields[11]) + int(fields[12]), pages=pages)


def _fields(pid: int) -> list[bytes]:
    """Of /proc/PID/stat those after the name, so from the third on (proc(5))."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name in parentheses may contain anything, also spaces and parentheses.
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return []


def pids() -> list[int]:
    """All processes that we can see."""
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def environment(pid: int) -> bytes:
    """The environment of a process. In the middle of execve(2) it looks empty for a moment: the new
    memory is there and its environment is not yet. Raises OSError."""
    for _ in range(LOOKS_AT_ENVIRONMENT):
        with open(f"/proc/{pid}/environ", "rb") as file:
            if found := file.read():
                return found
        os.sched_yield()
    return b""


def is_executing(pid: int) -> bool:
    """Whether a process is in the middle of execve(2), where it shows neither words nor environment."""
    told = stat(pid)
    try:
        return told is not None and not told.ended and not environment(pid) and not _words(pid)
    except OSError:
        return False


def _words(pid: int) -> bytes:
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return file.read()


def command(pid: int) -> str:
    """Its command line, or its name where it has none; empty when it is gone."""
    with contextlib.suppress(OSError):
        for source in ("cmdline", "comm"):
            with open(f"/proc/{pid}/{source}", "rb") as file:
                if words := file.read().replace(b"\0", b" ").strip():
                    return words.decode("utf-8", "replace")
    return ""


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


def hold(pid: int, started: int) -> int | None:
    """A pidfd of the process that began then; None when it is gone, whoever has its number now.

    Raises OSError when there are no descriptors left.
    """
    try:
        pidfd = os.pidfd_open(pid)
    except (ProcessLookupError, OverflowError):
        return None
    except OSError as error:
        if error.errno == errno.EINVAL:  # no number of a process
            return None
        raise
    # In this order: from here on the number can pass to another only after this process has ended,
    # and then the pidfd reaches nobody.
    found = stat(pid)
    if found is not None and found.started == started:
        return pidfd
    os.close(pidfd)
    return None


def send(pid: int, started: int, number: int) -> None:
    """Signal the process that began then, and nobody else. `started` 0: it is a child of ours."""
    try:
        pidfd = hold(pid, started) if started else os.pidfd_open(pid)
    except OSError:
        return  # no descriptors left; who sends a signal looks again
    if pidfd is None:
        return
    try:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            signal.pidfd_send_signal(pidfd, number)
    finally:
        os.close(pidfd)
