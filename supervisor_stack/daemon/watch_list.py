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

MAX_STEPS = 4096
"""Path components to follow at most; the kernel gives up after 40 links (path_resolution(7))."""

Fingerprint = dict[str, tuple[int, ...] | None]


class WatchList:
    """The entries that matter for one service. Looks for links and folders once, when it is made."""

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

    def fingerprint(self) -> Fingerprint:
        """How everything on the list is now; it differs from an earlier one when something changed."""
        found: Fingerprint = {path: _identity(path)[:2] for path in self.replaceable}
        matches = {path for pattern in self.patterns for path in glob.glob(pattern)}
        return found | {path: _identity(path) or None for path in self.entries | matches}


def decisive_entries(path: str) -> set[str]:
    """The file itself and every symbolic link on the way to it, each named by its real folder.

    Of a path that does not exist: the first entry that is missing.
    """
    found: set[str] = set()
    todo = [part for part in path.split("/") if part]
    here = "/"
    for _ in range(MAX_STEPS):
        if not todo:
            break
        part = todo.pop(0)
        if part == "..":
            here = os.path.dirname(here)
            continue
        entry = os.path.join(here, part)
        try:
            target = os.readlink(entry)
        except OSError:
            here = entry
            if os.path.lexists(entry):
                continue
            break
        found.add(entry)
        todo = [piece for piece in target.split("/") if piece not in ("", ".")] + todo
        if target.startswith("/"):
            here = "/"
    found.add(here)
    return found


def _identity(path: str) -> tuple[int, ...]:
    try:
        seen = os.lstat(path)
    except OSError:
        return ()
    return (seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)
