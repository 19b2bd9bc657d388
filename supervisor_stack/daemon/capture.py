"""What runs said: where their logs ended when they began, and what came after that.

A log may be truncated, moved aside or removed at any time, by us, by logrotate, or by its service.
"""

from __future__ import annotations

import itertools
import os
import re
import stat
from collections.abc import Iterable
from typing import NamedTuple

from supervisor_stack.daemon.launch import Identity
from supervisor_stack.daemon.rights import rights_of

LAST_BYTES = 8192
LAST_LINES = 60

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


class Mark(NamedTuple):
    """A place in a file: what follows was written later. `file`: its inode number, 0 for none yet."""

    path: str
    offset: int
    file: int = 0


def log_path(log_dir: str, service: str) -> str:
    """Where the output of a service is kept."""
    return os.path.join(log_dir, f"{service}.log")


def mark(path: str) -> Mark:
    """The end of a file as it is now."""
    try:
        found = os.stat(path)
    except OSError:
        return Mark(path, 0)
    return Mark(path, found.st_size, found.st_ino)


def written_since(place: Mark) -> list[str]:
    """The last lines that came after the mark, without control characters.

    Also those that were moved aside meanwhile, as far as the newest old file has them.
    """
    text = _read_end(place.path, place)
    lines = _clean(text)
    if len(text) < LAST_BYTES and _was_rotated(place):
        lines = _clean(_read_end(f"{place.path}.1", place)) + lines
    return lines[-LAST_LINES:]


def _was_rotated(place: Mark) -> bool:
    """Whether the file of the mark is there under a number: all with a lower one came after it."""
    for number in itertools.count(1):
        try:
            if os.stat(f"{place.path}.{number}").st_ino == place.file:
                return True
        except OSError:
            break
    return False


def _read_end(path: str, place: Mark) -> bytes:
    """The end of what was written after the mark in a file that may be another one by now."""
    try:
        # A service may own the folder of its logs, and have put a FIFO there, or a link to a file of ours.
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                return b""
            is_same = found.st_ino == place.file and found.st_size >= place.offset  # else truncated, or new
            start = place.offset if is_same else 0
            file.seek(max(start, found.st_size - LAST_BYTES))
            return file.read(LAST_BYTES)
    except OSError:
        return b""


def _clean(text: bytes) -> list[str]:
    lines = (_CONTROL.sub("", line).rstrip() for line in text.decode("utf-8", "replace").splitlines())
    return [line for line in lines if line]


class Reader(NamedTuple):
    """Reads the logs of a service: `own`, which stackd keeps of its output, as ourselves; and what it writes
    by itself as its user, who owns the folders and may have put links there. None: nobody may read that."""

    own: str
    who: Identity | None

    def written_since(self, place: Mark) -> list[str]:
        """See above."""
        if place.path == self.own:
            return written_since(place)
        if self.who is None:
            return []
        with rights_of(self.who):
            return written_since(place)

    def last_words(self, places: Iterable[Mark]) -> tuple[str, ...]:
        """What a run said last, in the first of these files that it wrote to."""
        for place in places:
            if lines := self.written_since(place):
                return tuple(lines)
        return ()
