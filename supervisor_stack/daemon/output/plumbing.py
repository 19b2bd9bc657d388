"""What the kernel can do with pipes and Python has no function for."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import struct
import termios

SPLICE_F_NONBLOCK = 2

_libc = ctypes.CDLL(None, use_errno=True)
_libc.tee.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_size_t, ctypes.c_uint)
_libc.tee.restype = ctypes.c_ssize_t


def waiting(pipe: int) -> int:
    """How many bytes are in a pipe. Waits for whoever is just moving some, so it is not for the loop."""
    answer = fcntl.ioctl(pipe, termios.FIONREAD, struct.pack("i", 0))
    count: int = struct.unpack("i", answer)[0]
    return count


class Spyglass:
    """Looks at what is in a pipe without taking it out. Raises OSError without descriptors."""

    def __init__(self) -> None:
        self._out, self._in = os.pipe()
        try:
            self._nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            os.close(self._out)
            os.close(self._in)
            raise

    def look(self, pipe: int, count: int) -> bytes:
        """The first bytes, at most so many, and at most what a pipe of the default size takes."""
        copied = _libc.tee(pipe, self._in, count, SPLICE_F_NONBLOCK)
        if copied < 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))
        return os.read(self._out, copied) if copied else b""

    def throw_away(self, pipe: int, count: int) -> int:
        """Take bytes out of a pipe for nobody; returns how many there were of them."""
        thrown = 0
        with contextlib.suppress(BlockingIOError):
            while thrown < count and (gone := os.splice(pipe, self._nowhere, count - thrown)):
                thrown += gone
        return thrown

    def close(self) -> None:
        """Let go of its descriptors."""
        for fd in (self._out, self._in, self._nowhere):
            os.close(fd)
