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
        parents = {folder for folder in self.folders if folder != "/"}
        self.entries |= parents
        self.folders |= {os.path.dirname(folder) for folder in parents}

    def __contains__(self, path: str) -> bool:
        """Whether a change of this directory entry, named by its real folder, matters."""
        return path in self.entries or any(fnmatch.fnmatch(path, pattern) for pattern in self.patterns)


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
