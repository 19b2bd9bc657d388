"""my.cnf with what it includes, as one file. Follows my_default.c as kinds/my_cnf.py does.

Lines stay as they stand, in whatever group they are: which groups a server reads is its own affair.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from supervisor_stack.kinds.fold.base import Fold, Source, read

_BLANKS = " \t\r\n\v\f"
_INCLUDE = re.compile(r"!\s*(?P<kind>includedir|include)\s+(?P<path>.*\S)")
_DEEPEST = 10


def fold(config: str, source: Source, cwd: str) -> str:
    """The lines of the file and of those that it includes, in the order in which the server reads them."""
    return "".join(f"{line}\n" for line in _lines(read(source, config), source, cwd, 0))


def _lines(text: str, source: Source, cwd: str, depth: int) -> Iterator[str]:
    group = ""
    for line in (each.strip(_BLANKS) for each in text.split("\n")):
        if not line or line[0] in "#;":
            continue
        if include := _INCLUDE.fullmatch(line):
            place = posixpath.join(cwd, include["path"])
            is_folder = include["kind"] == "includedir"
            for each in source.glob(posixpath.join(place, "*.cnf")) if is_folder else [place]:
                yield from _included(each, source, cwd, depth + 1)
            # A file that is included begins without a group, and the group of this one goes on behind it.
            if group:
                yield group
            continue
        if line.startswith("["):
            group = line
        yield line


def _included(path: str, source: Source, cwd: str, depth: int) -> Iterator[str]:
    """Nothing where the server reads nothing either: an unreadable file, a level too deep."""
    if depth > _DEEPEST:
        return
    try:
        text = source.read(path)
    except OSError:
        return
    yield from _lines(text, source, cwd, depth)


FOLD = Fold(fold=fold)
