"""The last lines of several logs, in one order of time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import merge
from io import FileIO
from itertools import islice
from typing import NamedTuple, TypeVar

from supervisor_stack.cli.logs.files import backwards, rotated
from supervisor_stack.cli.logs.times import Clock

_LOOK_BACK = 1024 * 1024
"""Bytes of lines without a time that are read to find the one that they belong to."""
_AT_ONCE = 2.0
"""Seconds: what was written so soon after a line with a time belongs to it, such as a traceback."""


class Line(NamedTuple):
    """A line of a log. `time`: what it tells, or the one before it that it belongs to; None: nobody tells.
    `at`: where it belongs in the order of time. Both in seconds since the epoch."""

    at: float
    time: float | None
    text: bytes


def newest_first(lines: Iterable[bytes], written: float, clock: Clock) -> Iterator[Line]:
    """Lines that come the last one first, with their times. `written`: when the file was changed last.

    A line without a time belongs to the one before it. Only what stands at the end of the file, and was
    written clearly later than the last line with a time, has the time of the file.
    """
    waiting: list[bytes] = []
    size = 0
    at: float | None = None  # where the lines after the waiting ones belong
    for line in lines:
        time = clock.time_of(line)
        if time is None:
            waiting.append(line)
            size += len(line)
            if size >= _LOOK_BACK:
                at = written if at is None else at
                yield from _untold(waiting, at)
                waiting, size = [], 0
            continue
        if at is None:
            later = _later(waiting)
            time = time if later else clock.settled(time, written)
            if written - time > _AT_ONCE:
                yield from _untold(waiting[:later], written)
                waiting = waiting[later:]
        yield from (Line(time, time, text) for text in waiting)
        yield Line(time, time, line)
        at, waiting, size = time, [], 0
    yield from _untold(waiting, written if at is None else at)


def history(path: str, file: FileIO, end: int, complain: Callable[[OSError], None]) -> Iterator[Line]:
    """The lines of a log before this place in its file, the last one first, and those of its older files.

    `complain` is told of an older file that cannot be read; what is older still is left out.
    """
    clock = Clock()
    newest = os.fstat(file.fileno())
    yield from newest_first(backwards(file, end), newest.st_mtime, clock)
    try:
        for older in rotated(path):
            with older:
                found = os.fstat(older.fileno())
                if not os.path.samestat(found, newest):  # it was renamed after it had been opened
                    yield from newest_first(backwards(older, found.st_size), found.st_mtime, clock)
    except OSError as error:
        complain(error)


def _untold(lines: Iterable[bytes], at: float) -> Iterator[Line]:
    return (Line(at, None, text) for text in lines)


def _later(lines: list[bytes]) -> int:
    """How many of these, which come the last one first, do not continue the line before all of them."""
    for later in range(len(lines), 0, -1):
        line = lines[later - 1]
        before = lines[later] if later < len(lines) else b""
        if not (_continues(line) or before[:1].isspace()):
            return later
    return 0


def _continues(line: bytes) -> bool:
    """Whether a line goes on with what the one before it says: indented, empty, or a traceback of Python."""
    return not line.strip() or line[:1].isspace() or line.startswith(b"Traceback (most recent call last)")


S = TypeVar("S")


def last(logs: Sequence[Iterable[tuple[S, Line]]], count: int) -> list[tuple[S, Line]]:
    """The last lines of all logs together, in order. Each log comes the newest line first.

    The lines of one log keep their order, whatever they tell. Of lines of the same time those of the first
    log come first.
    """
    merged = merge(*reversed(logs), key=lambda each: each[1].at, reverse=True)
    return list(islice(merged, count))[::-1]
