"""Whether a service that was ready is still at work, asked from time to time.

Every miss is told and nothing is concluded from it: how many of them make a service count as hung,
and what becomes of it then, is for the core to say. A false alarm ends a service that serves, so what
can be explained otherwise is no miss: that stackd itself stood still, or that the server is busy with
something that it was asked to do.

It must never block the loop, and never signal anybody.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from supervisor_stack.core.events import AliveAnswered, AliveMissed, Event
from supervisor_stack.daemon.protocols.answer import Answer
from supervisor_stack.spec import ProbeSpec, ProbeType

STOPPED: Final = "stopped by a signal (SIGSTOP)"

# An attempt that takes so many seconds more than it may was not waiting all the time: stackd was
# stopped, the machine was suspended, or it is so overloaded that nothing can be said of anybody.
LATE: Final = 0.5

# Redis does everything in one thread: SAVE, KEYS or FLUSHALL on much data keep it from answering for as
# long as they take, and killed it would lose what it has not saved. (A Lua script does not: after
# busy-reply-threshold, 5 s, it answers -BUSY.) So its silence counts only while it does nothing, which
# is less than this share of one processor.
PATIENT: Final[frozenset[ProbeType]] = frozenset({"redis"})
IDLE: Final = 0.05

_TICK: Final = 1 / os.sysconf("SC_CLK_TCK")


async def watch(
    service: str,
    run: int,
    spec: ProbeSpec,
    pid: int | None,
    attempt: Callable[[], Awaitable[Answer]],
    post: Callable[[Event], None],
    note: Callable[[bool, str], None],
) -> None:
    """Attempt every `spec.interval` seconds, for ever; `attempt` takes at most `spec.timeout` of them.

    Posts AliveMissed for each miss and AliveAnswered for the first answer after one. `note` is told of
    every answer: whether it is a sign of life, and its words. `pid` is the main process, None when there is
    none to look at.
    """
    clock = asyncio.get_running_loop().time
    work = _Work(pid if spec.type in PATIENT else None)
    missed = False
    pause = spec.interval
    while True:
        await asyncio.sleep(pause)
        asked = clock()
        # The workers of nginx and uWSGI go on answering while their master is stopped, and nobody renews
        # them or reloads: the main process counts by itself.
        stopped = is_stopped(pid)
        answer = Answer(STOPPED, heard=False) if stopped else await attempt()
        took = clock() - asked
        worked = work.was_done() and not stopped
        # A command that is slow may not keep the processor busy for more than half of the time.
        rest = took if spec.type == "exec" else 0.0
        if not answer.words or (answer.heard and spec.any_answer) or worked:
            note(True, answer.words)
            if missed:
                post(AliveAnswered(service=service, run=run))
            missed = False
        elif took > spec.timeout + LATE:
            pause = rest
            continue
        else:
            note(False, answer.words)
            post(AliveMissed(service=service, run=run, answer=answer.words))
            missed = True
        pause = max(spec.interval - took, rest)


def is_stopped(pid: int | None) -> bool:
    """Whether a signal has stopped the process. One that is gone is not: its end is told elsewhere."""
    # T. Under a debugger it is t (proc_pid_stat(5)): then somebody looks into it already.
    return pid is not None and _stat(pid)[:1] == [b"T"]


class _Work:
    """What a process has done since it was last looked at; nothing for no process."""

    def __init__(self, pid: int | None) -> None:
        self._pid = pid
        self._clock = asyncio.get_running_loop().time
        self._done = self._look()

    def was_done(self) -> bool:
        """Whether it used the processor, or wrote something, since it was asked last."""
        then, cpu, written = self._done
        self._done = self._look()
        return self._done[2] > written or self._done[1] - cpu > IDLE * (self._done[0] - then)

    def _look(self) -> tuple[float, float, int]:
        """The time, the seconds of processor time that it has used, the bytes that it has written."""
        now = self._clock()
        fields = _stat(self._pid) if self._pid is not None else []
        if self._pid is None or not fields:
            return now, 0.0, 0
        return now, (int(fields[11]) + int(fields[12])) * _TICK, _written(self._pid)


def _stat(pid: int) -> list[bytes]:
    """The fields of /proc/PID/stat behind the name, state first; none when the process is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return []


def _written(pid: int) -> int:
    """Bytes given to write(2); 0 where only root may see them (proc_pid_io(5))."""
    with suppress(OSError), open(f"/proc/{pid}/io", "rb") as file:
        for line in file:
            if line.startswith(b"wchar:"):
                return int(line.split()[1])
    return 0
