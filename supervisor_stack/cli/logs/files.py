"""One log file: its end, read backwards, and what is added to it, also when it is replaced meanwhile.

However big a file is and however long its lines are, no more than some blocks of it are in memory.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from io import FileIO
from itertools import count
from pathlib import Path

BLOCK = 64 * 1024
LONGEST = 64 * 1024
"""Bytes of a line. What is longer comes in pieces."""
ROUND = 16 * BLOCK
"""Bytes that are read before others have their turn."""


class NotKeptError(OSError):
    """What is written there cannot be read again."""


def open_log(path: str) -> FileIO:
    """A log file, for reading. Raises OSError, and NotKeptError for a pipe or a device."""
    # A FIFO must not even be opened: who waits for a reader would take us for one.
    _refuse_other(path, Path(path).stat())
    file = FileIO(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC))
    try:
        _refuse_other(path, os.fstat(file.fileno()))
    except OSError:
        file.close()
        raise
    return file


def _refuse_other(path: str, found: os.stat_result) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    # The images of nginx link their logs to /dev/stdout, which to us is our own.
    if not stat.S_ISREG(found.st_mode) or any(os.path.samestat(found, os.fstat(fd)) for fd in (1, 2)):
        raise NotKeptError(errno.EINVAL, "not a regular file", path)


def rotated(path: str) -> Iterator[FileIO]:
    """The older files of a log, the newest first: PATH.1, PATH.2, ... as stackd and logrotate name them.

    Whoever gets them closes them. Those that are compressed are left out. Raises OSError.
    """
    seen: set[tuple[int, int]] = set()
    was_missing = False
    for number in count(1):
        try:
            file = open_log(f"{path}.{number}")
        except FileNotFoundError:
            # While they are renamed, from the oldest on, one number is free.
            if was_missing:
                return
            was_missing = True
            continue
        was_missing = False
        found = os.fstat(file.fileno())
        if (found.st_dev, found.st_ino) in seen:
            file.close()  # renamed since it was opened
            continue
        seen.add((found.st_dev, found.st_ino))
        yield file


def backwards(file: FileIO, end: int) -> Iterator[bytes]:
    """The lines before this place, the last one first, without their ends."""
    piece, position, whole = b"", end, True
    while position > 0:
        step = min(BLOCK, position)
        position -= step
        block = os.pread(file.fileno(), step, position)
        if len(block) < step:
            return  # it was truncated meanwhile
        piece, *lines = (block + piece).split(b"\n")
        if whole and lines and not lines[-1]:
            lines.pop()  # what comes behind the last end of a line is no line
        whole = False
        yield from reversed(lines)
        if len(piece) > LONGEST:
            yield piece
            piece, whole = b"", True
    if end > 0 and not whole:
        yield piece


def end_of_lines(file: FileIO) -> int:
    """Where the last whole line ends; what comes behind may be the beginning of one."""
    size = os.fstat(file.fileno()).st_size
    start = max(0, size - LONGEST)
    newline = os.pread(file.fileno(), size - start, start).rfind(b"\n")
    return start + newline + 1


class Tail:
    """A log followed by its name, as `tail -F` does. Lines come whole, and without their ends.

    It may be missing, be truncated (logrotate's copytruncate), or be renamed to make room for a new one,
    also several times between two looks. The one before the present one is read as well: a server goes
    on with it until it is told to open the new one.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._parts: list[_Part] = []

    def begin(self) -> tuple[FileIO, int] | None:
        """Start behind the last whole line: the file and that place. None for no file yet. Raises OSError."""
        try:
            file = open_log(self.path)
        except FileNotFoundError:
            return None
        end = file.seek(end_of_lines(file))
        self._parts = [_Part(file)]
        return file, end

    def more(self) -> Iterator[bytes]:
        """The lines that were added since, up to a ROUND of each file. Raises OSError."""
        self._take_up()
        for index, part in enumerate(self._parts):
            yield from part.read()
            if part.is_behind:
                return
            if index < len(self._parts) - 1:
                yield from part.rest()
        for part in self._parts[:-2]:
            part.file.close()
        self._parts = self._parts[-2:]

    @property
    def is_behind(self) -> bool:
        """Whether there is more than one look showed."""
        return any(part.is_behind for part in self._parts)

    @property
    def written(self) -> float:
        """When the present file was changed last, in seconds since the epoch."""
        return self._parts[-1].stat().st_mtime

    @property
    def files(self) -> list[int]:
        """The descriptors of what is being read."""
        return [part.file.fileno() for part in self._parts]

    def close(self) -> None:
        """Let go of the files."""
        for part in self._parts:
            part.file.close()

    def _take_up(self) -> None:
        """Open what has the name now, and what had it since the last look."""
        try:
            named = Path(self.path).stat()
            if self._parts and os.path.samestat(named, self._parts[-1].stat()):
                return
            new = open_log(self.path)
        except FileNotFoundError:
            return
        if self._parts:
            self._parts += self._missed(self._parts[-1].stat(), os.fstat(new.fileno()))
        self._parts.append(_Part(new))

    def _missed(self, last: os.stat_result, new: os.stat_result) -> list[_Part]:
        """Those that had the name between the last one and the new one; none if the last one is not found."""
        missed: list[_Part] = []
        with suppress(OSError):
            for file in rotated(self.path):
                part = _Part(file)
                if os.path.samestat(part.stat(), last):
                    file.close()
                    return missed[::-1]
                if os.path.samestat(part.stat(), new):  # renamed just now; it is read in any case
                    file.close()
                else:
                    missed.append(part)
        for part in missed:
            part.file.close()
        return []


class _Part:
    """A file that is read forwards. `is_behind`: there was more than a ROUND of it."""

    def __init__(self, file: FileIO) -> None:
        self.file = file
        self.is_behind = False
        self._begun = b""

    def stat(self) -> os.stat_result:
        return os.fstat(self.file.fileno())

    def read(self) -> Iterator[bytes]:
        if self.stat().st_size < self.file.tell():
            self.file.seek(0)
            yield from self.rest()
        left = ROUND
        while left > 0 and (block := self.file.read(BLOCK)):
            left -= len(block)
            *lines, self._begun = (self._begun + block).split(b"\n")
            yield from lines
            if len(self._begun) > LONGEST:
                yield from self.rest()
        self.is_behind = left <= 0

    def rest(self) -> Iterator[bytes]:
        """A line without an end that will not get one here any more."""
        begun, self._begun = self._begun, b""
        if begun:
            yield begun
