"""What services print: straight into a file, so that no byte depends on stackd being alive or quick.

The file is opened for appending: it may be truncated by logrotate's copytruncate at any time.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from typing import NamedTuple

from supervisor_stack.errors import SpawnError
from supervisor_stack.spec import Log

LAST_BYTES = 8192
LAST_LINES = 60

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


class Mark(NamedTuple):
    """A place in a file: what follows was written later."""

    path: str
    offset: int


def log_path(log_dir: str, service: str) -> str:
    """Where the output of a service is kept."""
    return os.path.join(log_dir, f"{service}.log")


def open_output(log: Log, path: str) -> int:
    """A file descriptor for the stdout and stderr of a run; the caller closes it. Raises SpawnError."""
    match log.to:
        case "null":
            return os.open(os.devnull, os.O_WRONLY)
        case "inherit":
            return os.dup(2)
        case "file":
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            try:
                # Not blocking for the case that somebody put a FIFO there.
                fd = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY, 0o640)
            except OSError as error:
                raise SpawnError(f"cannot open the log {path}: {error.strerror}") from error
            os.set_blocking(fd, True)
            return fd


def mark(path: str) -> Mark:
    """The end of a file as it is now."""
    try:
        return Mark(path, os.stat(path).st_size)
    except OSError:
        return Mark(path, 0)


def written_since(place: Mark) -> list[str]:
    """The last lines that came after the mark, without control characters."""
    try:
        # A service may own the folder of its logs, and have put a FIFO there, or a link to a file of ours.
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(place.path, flags), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                return []
            size = found.st_size
            start = place.offset if size >= place.offset else 0  # it was truncated meanwhile
            file.seek(max(start, size - LAST_BYTES))
            text = file.read(LAST_BYTES).decode("utf-8", "replace")
    except OSError:
        return []
    lines = (_CONTROL.sub("", line).rstrip() for line in text.splitlines())
    return [line for line in lines if line][-LAST_LINES:]


def last_words(places: Iterable[Mark]) -> tuple[str, ...]:
    """What a run said last, in the first of these files that it wrote to."""
    for place in places:
        if lines := written_since(place):
            return tuple(lines)
    return ()
