"""Configuration files: what was read of them, what is in them now, and how a service itself sees them."""

from __future__ import annotations

import errno
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from supervisor_stack.config.machine import MAX_READ, DiskFiles
from supervisor_stack.kinds.fold.base import Source

Content = dict[str, str | None]
"""A hash of the text of each file by its path, None for one that cannot be read."""


class FileSet(NamedTuple):
    """Files, and patterns that may match more of them."""

    paths: tuple[str, ...] = ()
    globs: tuple[str, ...] = ()


def content(files: FileSet) -> Content:
    """What is in the files, and in those that match, now. 1 MB in 300 files takes 8 to 15 ms."""
    disk = Disk()
    matches = (path for pattern in files.globs for path in disk.glob(pattern))
    return {path: _hash(disk, path) for path in (*files.paths, *matches)}


def _hash(disk: Disk, path: str) -> str | None:
    try:
        return digest(disk.read(path))
    except OSError:
        return None


def digest(text: str) -> str:
    """A word for a text, the same in every process."""
    import hashlib  # with libcrypto, 3 MB of memory that a stack without such files can do without

    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class Disk(DiskFiles):
    """The files of this machine, as a Source."""

    def real(self, path: str) -> str:
        """The path without symbolic links. What does not exist stays as it is."""
        return os.path.realpath(path)


class Recorder:
    """A Source that remembers what was asked of it."""

    def __init__(self, source: Source) -> None:
        self.texts: dict[str, str | None] = {}
        self._globs: dict[str, None] = {}
        self._source = source

    @property
    def files(self) -> FileSet:
        """What was asked for, also what could not be read."""
        return FileSet(tuple(self.texts), tuple(self._globs))

    def read(self, path: str) -> str:
        """The text of a file. Raises OSError."""
        self.texts[path] = None
        self.texts[path] = text = self._source.read(path)
        return text

    def glob(self, pattern: str) -> list[str]:
        """The paths that match, sorted."""
        self._globs[pattern] = None
        return self._source.glob(pattern)

    def real(self, path: str) -> str:
        """The path without symbolic links. What does not exist stays as it is."""
        return self._source.real(path)


RunAs = Callable[[tuple[str, ...], float], Awaitable[tuple[int, str, str]]]
"""Runs a command as a service itself runs, for at most so many seconds; exit code, stdout and stderr."""


class _UnreadError(Exception):
    """A file whose text is not here yet."""


class _Fetched(Disk):
    """A Source of texts that were fetched before."""

    def __init__(self, texts: Mapping[str, str | None]) -> None:
        self._texts = texts

    def read(self, path: str) -> str:
        """The text of a file. Raises OSError, and _UnreadError."""
        if path not in self._texts:
            raise _UnreadError(path)
        text = self._texts[path]
        if text is None:
            raise OSError(errno.EACCES, "not readable for the service", path)
        return text


async def read_as(run_as: RunAs, timeout: float, work: Callable[[Source], str]) -> tuple[str, Recorder]:
    """Do something with files as a service sees them; returns what came of it, and what it read.

    stackd often runs as root, and a service that may write its own configuration must not get the text
    of /etc/shadow out of it by an `include`. So files are read by a command that runs as the service, one
    after the other as `work` asks for them. Raises what `work` and `run_as` raise.
    """
    texts: dict[str, str | None] = {}
    while True:
        source = Recorder(_Fetched(texts))
        try:
            return work(source), source
        except _UnreadError as unread:
            path = str(unread)
            code, out, _ = await run_as(("head", "-c", str(MAX_READ), "--", path), timeout)
            texts[path] = None if code else out
