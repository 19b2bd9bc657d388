"""Being told by the kernel that a file changed: inotify(7), for the event loop's own thread."""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
from collections.abc import Callable

IN_MODIFY = 0x00000002
IN_DELETE = 0x00000200
IN_DELETE_SELF = 0x00000400
IN_MOVE_SELF = 0x00000800
_IN_IGNORED = 0x00008000
_IN_Q_OVERFLOW = 0x00004000

# struct inotify_event: watch, mask, cookie, length of the name that follows.
_EVENT = struct.Struct("iIII")
_SIZE = 64 * 1024


class Inotify:
    """Watches of one inotify instance. Raises OSError: EMFILE means fs.inotify.max_user_instances."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd: int = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise _error()
        self._told: dict[int, Callable[[], None]] = {}
        loop.add_reader(self._fd, self._read)

    def watch(self, path: str, mask: int, told: Callable[[], None]) -> int:
        """Call `told` when that happens to the file; returns the number of the watch.

        Raises OSError: ENOSPC means fs.inotify.max_user_watches.
        """
        watch: int = self._libc.inotify_add_watch(self._fd, os.fsencode(path), mask)
        if watch < 0:
            raise _error()
        self._told[watch] = told
        return watch

    def forget(self, watch: int) -> None:
        """Watch it no more."""
        if self._told.pop(watch, None):
            self._libc.inotify_rm_watch(
                self._fd, watch
            )  # fails for a file that is gone, and with it its watch

    def close(self) -> None:
        """Watch nothing any more."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
            self._told.clear()

    def _read(self) -> None:
        try:
            events = os.read(self._fd, _SIZE)
        except BlockingIOError:
            return
        place = 0
        changed: dict[int, Callable[[], None]] = {}  # many changes of one file are one
        while place < len(events):
            watch, mask, _, length = _EVENT.unpack_from(events, place)
            place += _EVENT.size + length
            if mask & _IN_Q_OVERFLOW:
                changed |= self._told  # what is lost may have been about any of them
            elif mask & _IN_IGNORED:
                self._told.pop(watch, None)  # the file is gone
            elif told := self._told.get(watch):
                changed[watch] = told
        for told in changed.values():
            told()


def _error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
