"""Being told that log files change, by inotify(7).

By ctypes: watchdog takes longer to load than all the rest of stackctl, and runs two threads for each folder.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

# <sys/inotify.h>, the same on all architectures.
_IN_MODIFY = 0x2
_IN_ATTRIB = 0x4
_IN_MOVED_TO = 0x80
_IN_CREATE = 0x100
_IN_DELETE_SELF = 0x400
_IN_MOVE_SELF = 0x800
_IN_ONLYDIR = 0x1000000

_OF_A_FOLDER = _IN_CREATE | _IN_MOVED_TO | _IN_ATTRIB | _IN_DELETE_SELF | _IN_MOVE_SELF | _IN_ONLYDIR
_EVENTS = 64 * 1024


class Changes:
    """Wakes whoever polls its descriptor when something happens to files or where they will be.

    Raises OSError when it cannot be had, mostly for a limit of inotify.
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._inotify = self._checked(self._libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))
        self._watches: set[int] = set()

    def fileno(self) -> int:
        """What to poll."""
        return self._inotify

    def watch(self, paths: Iterable[str], files: Iterable[int]) -> bool:
        """Watch these names, which need not be there, and these open files, whatever their names are by now.

        Returns whether there is something new among them: what happened to it before was not told.
        """
        watches = {watch for path in paths for watch in self._folders(path)}
        # What is written is told of the file: by its folder it would be for the name that it had there.
        watches |= {self._add(f"/proc/self/fd/{file}", _IN_MODIFY) for file in files}
        is_new = not watches <= self._watches
        self._watches |= watches
        return is_new

    def clear(self) -> None:
        """Take note: what happened until now wakes nobody any more."""
        # Which file it was does not matter, so that a queue that overflows loses nothing.
        with suppress(BlockingIOError):
            while os.read(self._inotify, _EVENTS):
                pass

    def close(self) -> None:
        """Watch nothing any more."""
        os.close(self._inotify)

    def _folders(self, path: str) -> Iterator[int]:
        """Watch the folder of a name and that of the file behind a link; as long as there is none, the one
        where it will appear."""
        for folder in {Path(path).parent, Path(path).resolve().parent}:
            for nearest in (folder, *folder.parents):
                try:
                    yield self._add(str(nearest), _OF_A_FOLDER)
                except (FileNotFoundError, NotADirectoryError):
                    continue
                break

    def _add(self, path: str, mask: int) -> int:
        # The same number for what is watched already.
        return self._checked(self._libc.inotify_add_watch(self._inotify, os.fsencode(path), mask), path)

    def _checked(self, result: int, path: str = "inotify") -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, _LIMITS.get(number) or os.strerror(number), path)
        return result


_LIMITS = {
    errno.EMFILE: "the limit fs.inotify.max_user_instances is reached",
    errno.ENOSPC: "the limit fs.inotify.max_user_watches is reached",
}
"""What these errors mean of inotify_init1(2) and inotify_add_watch(2)."""
