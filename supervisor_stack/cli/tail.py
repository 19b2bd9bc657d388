"""The end of a file, and what is added to it, also when the file is replaced meanwhile."""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

_BLOCK = 64 * 1024


def last_lines(path: str, count: int) -> list[bytes]:
    """The last lines of a file, without their ends. Raises OSError."""
    with FileIO(path) as file:
        lines, begun = _end(file, count)
    if begun:
        lines.append(begun)
    return _last(lines, count)


class Tail:
    """A file followed by its name, as `tail -F` does. Lines come whole, and without their ends.

    It may be missing, be truncated (logrotate's copytruncate), or be renamed to make room for a new
    one; the old one is read to its end first.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._file: FileIO | None = None
        self._begun = b""

    def begin(self, count: int) -> list[bytes]:
        """The last lines of what there is now. Raises OSError, unless there is no file yet."""
        self._file = self._open()
        if self._file is None:
            return []
        lines, self._begun = _end(self._file, count)
        return lines

    def more(self) -> Iterator[bytes]:
        """The lines that were added since. Raises OSError."""
        if self._file:
            yield from self._read(self._file)
            if not self._is_replaced(self._file):
                return
        new = self._open()
        if new is None:
            return
        if self._file:
            # Something may have been written between the read above and the rename.
            yield from self._read(self._file)
            self._file.close()
            if self._begun:
                yield self._begun
        self._file, self._begun = new, b""
        yield from self._read(new)

    def close(self) -> None:
        """Let go of the file."""
        if self._file:
            self._file.close()

    def _open(self) -> FileIO | None:
        try:
            return FileIO(self.path)
        except FileNotFoundError:
            return None

    def _is_replaced(self, file: FileIO) -> bool:
        try:
            named = Path(self.path).stat()
        except FileNotFoundError:
            return False
        return not os.path.samestat(named, os.fstat(file.fileno()))

    def _read(self, file: FileIO) -> Iterator[bytes]:
        if os.fstat(file.fileno()).st_size < file.tell():
            file.seek(0)
            self._begun = b""
        while block := file.read(_BLOCK):
            *whole, self._begun = (self._begun + block).split(b"\n")
            yield from whole


def _end(file: FileIO, count: int) -> tuple[list[bytes], bytes]:
    """The last whole lines, and what there is of the next one; the file is left at its end."""
    size = position = file.seek(0, os.SEEK_END)
    end = b""
    # One newline more than lines: the one before the first of them.
    while position > 0 and end.count(b"\n") <= count:
        step = min(_BLOCK, position)
        position = file.seek(position - step)
        end = file.read(step) + end
    file.seek(size)
    *lines, begun = end.split(b"\n")
    return _last(lines, count), begun


def _last(lines: list[bytes], count: int) -> list[bytes]:
    return lines[len(lines) - min(count, len(lines)) :]
