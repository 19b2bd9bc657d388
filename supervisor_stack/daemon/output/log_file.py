"""A log file that grows at its end, and is rotated when it is large.

Others may truncate, rename or remove it at any time. splice(2) refuses files that are open for appending,
so where the end is has to be looked up before each move.
"""

from __future__ import annotations

import os
import stat
from errno import EINVAL, ENOSPC

from supervisor_stack.daemon.output.plumbing import Spyglass
from supervisor_stack.daemon.output.rotation import rotate

LONGEST_LINE = 1024 * 1024
"""Bytes over `max_bytes` after which a line that does not end is torn."""

LARGEST_BLOCK = 1024 * 1024
"""Bytes; no file system allocates less finely where it tells of holes."""


class LogFile:
    """The file at `path`, made when it is not there. Every method raises OSError.

    `max_bytes`: from this size on a new one begins, at the end of a line; 0 for never. `keep`: so many
    old ones stay.
    """

    def __init__(self, path: str, max_bytes: int, keep: int, spyglass: Spyglass) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self.keep = keep
        self.size = 0
        self._spyglass = spyglass
        self._fd = -1
        self._found: os.stat_result | None = None
        self._splices = False
        self._put_off = 0

    def settle(self) -> None:
        """Have the file open that is at the path now, and know its size."""
        try:
            now = os.stat(self.path)
        except FileNotFoundError:
            now = None
        if now is None or self._found is None or not os.path.samestat(now, self._found):
            now = self._open(now)
        self.size = now.st_size

    def _open(self, there: os.stat_result | None) -> os.stat_result:
        # A file has to be read to see where its lines end. Anything else (a terminal, a FIFO) must not be.
        access = os.O_RDWR if there is None or stat.S_ISREG(there.st_mode) else os.O_WRONLY
        flags = access | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        try:
            fd = os.open(self.path, flags, 0o640)
        except FileNotFoundError:
            # Only the folder itself: if more is missing, that may be a disk that is not mounted.
            os.mkdir(os.path.dirname(self.path), 0o755)
            fd = os.open(self.path, flags, 0o640)
        self.close()
        self._fd, self._found, self._put_off = fd, os.fstat(fd), 0
        self._splices = stat.S_ISREG(self._found.st_mode)
        return self._found

    @property
    def _is_regular(self) -> bool:
        return self._found is not None and stat.S_ISREG(self._found.st_mode)

    def share(self, pipe: int, count: int) -> int:
        """How many of the next `count` bytes in the pipe belong into the file; 0: it is complete."""
        if not (self.max_bytes and self._is_regular):
            return count
        limit = max(self.max_bytes, self._put_off)
        if self.size < limit:
            return min(count, limit - self.size)
        rest = limit + LONGEST_LINE - self.size
        if rest <= 0 or self.ends_line():
            return 0
        seen = self._spyglass.look(pipe, min(count, rest))
        return seen.find(b"\n") + 1 or len(seen)

    def ends_line(self) -> bool:
        """Whether what comes next begins a line."""
        return not (self._is_regular and self.size) or os.pread(self._fd, 1, self.size - 1) == b"\n"

    def rotate(self) -> None:
        """Begin a new file, with the owner and the rights of the one before.

        Where that fails the old one grows on, by as much again until the next try.
        """
        before = os.fstat(self._fd)
        try:
            rotate(os.path.realpath(self.path), self.keep)  # a link to a file stays a link to such a file
        except OSError:
            self._put_off = self.size + self.max_bytes
            raise
        self.size = self._open(None).st_size
        if os.geteuid() == 0:
            os.fchown(self._fd, before.st_uid, before.st_gid)
        os.fchmod(self._fd, stat.S_IMODE(before.st_mode))

    def take(self, pipe: int, count: int) -> int:
        """Move bytes from the pipe to the end; returns how many. None leaves the pipe before it is here."""
        if self._splices:
            try:
                moved = os.splice(pipe, self._fd, count, offset_dst=self.size)
            except BlockingIOError:
                return 0
            except OSError as error:
                if error.errno != EINVAL:  # splice(2): the file system cannot do it
                    raise
                self._splices = False
            else:
                self._close_gap(moved)
                self.size += moved
                return moved
        return self._copy(pipe, count)

    def _copy(self, pipe: int, count: int) -> int:
        try:
            seen = self._spyglass.look(pipe, count)
        except BlockingIOError:
            return 0
        written = os.pwrite(self._fd, seen, self.size) if self._is_regular else os.write(self._fd, seen)
        self._spyglass.throw_away(pipe, written)
        self.size += written
        return written

    def append(self, line: bytes) -> None:
        """Words of ours, all or none, on a line of their own."""
        text = line if self.ends_line() else b"\n" + line
        if not self._is_regular:
            os.write(self._fd, text)
            return
        written = os.pwrite(self._fd, text, self.size)
        if written < len(text):
            os.ftruncate(self._fd, self.size)
            raise OSError(ENOSPC, os.strerror(ENOSPC))
        self.size += written

    def _close_gap(self, moved: int) -> None:
        """Somebody may have truncated it after its size was looked up: then it begins with a hole now."""
        now = os.fstat(self._fd)
        if not self.size or now.st_blocks * 512 >= now.st_size:
            return  # no hole, by far the usual case; SEEK_DATA makes some file systems write first
        try:
            start = os.lseek(self._fd, 0, os.SEEK_DATA)
        except OSError:
            return  # truncated just now; or the file system tells nothing of holes
        if not 0 < start <= self.size or self.size - start > LARGEST_BLOCK:
            return
        found = os.pread(self._fd, self.size - start + moved, start)
        if any(found[: self.size - start]):
            return  # it has always been like that
        os.ftruncate(self._fd, os.pwrite(self._fd, found[self.size - start :], 0))
        self.size = 0

    def close(self) -> None:
        """Let go of it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd, self._found = -1, None
