"""Which directory entries decide what a configuration file is.

An editor saves by renaming a new file over the old one, a deployment swaps a symbolic link in the
middle of the path, a package drops a file into a folder that a wildcard includes: all of these are
events of directories, so directories are watched, and names in them are compared.
"""

from __future__ import annotations

import fnmatch
import glob
import os
from collections.abc import Iterable

TICK = 0.01
"""Seconds between two ticks of the slowest kernel clock (CONFIG_HZ=100)."""

MAX_LINKS = 40
"""As many symbolic links as the kernel follows (path_resolution(7))."""


class WatchList:
    """The entries that matter for one service. Looks at the file system once, when it is made."""

    def __init__(self, files: Iterable[str], globs: Iterable[str] = ()) -> None:
        self.entries: set[str] = set()
        self.patterns: set[str] = set()
        for path in files:
            self.entries |= decisive_entries(path)
        for pattern in globs:
            folder, name = os.path.split(pattern)
            for match in glob.glob(folder) if glob.has_magic(folder) else [folder]:
                self.entries |= decisive_entries(match)
                self.patterns.add(os.path.join(os.path.realpath(match), name))
        paths = self.entries | self.patterns
        self.folders = {folder for folder in map(os.path.dirname, paths) if os.path.isdir(folder)}
        # A folder may be replaced as a whole, which only its parent tells.
        self.replaceable = {folder for folder in self.folders if folder != "/"}
        self.folders |= {os.path.dirname(folder) for folder in self.replaceable}

    def __contains__(self, path: str) -> bool:
        """Whether a change of this directory entry, named by its real folder, matters."""
        if path in self.entries or path in self.replaceable:
            return True
        return any(fnmatch.fnmatch(path, pattern) for pattern in self.patterns)

    def changed_since(self, moment: float) -> set[str]:
        """The entries that changed after a moment of the calendar, in seconds."""
        matches = {path for pattern in self.patterns for path in glob.glob(pattern)}
        folders = {os.path.dirname(pattern) for pattern in self.patterns}  # to see what has gone
        return {path for path in self.entries | matches | folders if has_changed_since(path, moment)}


def has_changed_since(path: str, moment: float) -> bool:
    """Whether a directory entry was made, written or removed after the moment, or might have been.

    A ctime is taken from a clock that may be a tick behind.
    """
    try:
        return os.lstat(path).st_ctime > moment - TICK
    except OSError:
        return True


def decisive_entries(path: str) -> set[str]:
    """The file itself and every symbolic link on the way to it, each named by its real folder."""
    found: set[str] = set()
    todo = [part for part in path.split("/") if part]
    here = "/"
    for _ in range(MAX_LINKS * 64):
        if not todo:
            break
        part = todo.pop(0)
        if part == "..":
            here = os.path.dirname(here)
            continue
        entry = os.path.join(here, part)
        if not os.path.islink(entry):
            here = entry
            continue
        found.add(entry)
        target = os.readlink(entry)
        todo = [piece for piece in target.split("/") if piece not in ("", ".")] + todo
        if target.startswith("/"):
            here = "/"
    found.add(here)
    return found
