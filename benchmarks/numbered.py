"""Reads what the writer (bystander.py) wrote, across rotated files, and tells what is missing of it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from benchmarks.bystander import Written, line

CHUNK = 1 << 20
BEGINNING = re.compile(rb"(\d{9}) (\d+) ")


@dataclass(frozen=True)
class Verdict:
    """What became of the lines of all writers. `lost`: of those that were written, or refused by a pipe
    without a reader. `doubled`: there more than once; `torn`: not as they were written; `misplaced`: after
    a later one. `blocked`: the longest that a writer had to wait, in seconds."""

    written: int
    lost: int
    doubled: int
    torn: int
    misplaced: int
    blocked: float

    @property
    def is_good(self) -> bool:
        """Whether each line is there once, whole, and in its place."""
        return not (self.lost or self.doubled or self.torn or self.misplaced)


class Lines:
    """The lines that were read so far, by the pid of their writer."""

    def __init__(self) -> None:
        self.torn = self.doubled = self.misplaced = 0
        self._rest = b""
        self._last: dict[int, int] = {}
        self._missing: dict[int, set[int]] = {}

    def feed(self, text: bytes) -> None:
        """Take in what comes next; it may end anywhere."""
        *lines, self._rest = (self._rest + text).split(b"\n")
        for each in lines:
            self._take(each + b"\n")

    def _take(self, text: bytes) -> None:
        found = BEGINNING.match(text)
        if not found or text != line(int(found[1]), int(found[2])):
            self.torn += 1
            return
        number, pid = int(found[1]), int(found[2])
        last = self._last.get(pid, 0)
        missing = self._missing.setdefault(pid, set())
        if number > last:
            missing.update(range(last + 1, number))
            self._last[pid] = number
        elif number in missing:
            missing.remove(number)
            self.misplaced += 1
        else:
            self.doubled += 1

    def verdict(self, counts: Mapping[int, Written]) -> Verdict:
        """Compare with what the writers say that they wrote, once all that they wrote was read."""
        lost = sum(map(len, self._missing.values()))
        for pid, written in counts.items():
            # A refused line has a number too, which is missing by now, or comes after the last one here.
            lost += max(0, written.lines + written.refused - self._last.get(pid, 0))
        return Verdict(
            written=sum(each.lines + each.refused for each in counts.values()),
            lost=lost,
            doubled=self.doubled,
            torn=self.torn + bool(self._rest),
            misplaced=self.misplaced,
            blocked=max((each.blocked for each in counts.values()), default=0.0),
        )


class LogReader:
    """Reads a log as it grows, in order, through any number of rotations: FILE, FILE.1, FILE.2 and so on,
    the last number the oldest. A file is found again by its inode, whatever its name is by now."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def read_on(self) -> Iterator[bytes]:
        """All that is new since the last call."""
        while True:
            if self._file is None:
                oldest = self._oldest()
                if oldest is None:
                    return
                self._file = oldest.open("rb")
            # Looked for first: what has a successor grows no more once that has been read to its end.
            following = self._following(self._file)
            while text := self._file.read(CHUNK):
                yield text
            if following is None:
                return
            self._file.close()
            self._file = following

    def close(self) -> None:
        """Read no more."""
        if self._file:
            self._file.close()

    def _named(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path

    def _numbers(self) -> Iterable[int]:
        prefix = f"{self._path.name}."
        for path in self._path.parent.glob(f"{prefix}*"):
            if (number := path.name.removeprefix(prefix)).isdecimal():
                yield int(number)
        if self._path.exists():
            yield 0

    def _oldest(self) -> Path | None:
        return max(((number, self._named(number)) for number in self._numbers()), default=(0, None))[1]

    def _following(self, file: BinaryIO) -> BinaryIO | None:
        """The file that was begun after this one; None when there is none yet."""
        while place := self._place(file):
            try:
                newer = self._named(place - 1).open("rb")
            except FileNotFoundError:
                if self._place(file) == place:
                    return None  # in the middle of a rotation: the new file is not there yet
                continue
            if self._place(file) == place:
                return newer
            newer.close()  # a rotation came in between, and it may be another file
        return None

    def _place(self, file: BinaryIO) -> int:
        """Its number by now, 0 for the one that is being written."""
        while (found := os.fstat(file.fileno())).st_nlink:
            for number in sorted(self._numbers()):
                with suppress(FileNotFoundError):  # it was just renamed, to a higher number
                    if os.path.samestat(self._named(number).stat(), found):
                        return number
        raise AssertionError(f"{self._path}: what was not read yet was deleted by a rotation")
