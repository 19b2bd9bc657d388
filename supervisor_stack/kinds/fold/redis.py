"""redis.conf with what it includes, as one file. Tried with 7.0.15.

Nothing in it is relative to where the file lies: names are relative to the working directory, which
`dir` changes, so that lines can stay as they stand.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from supervisor_stack.kinds.fold.base import Answer, Fold, FoldError, Source, read
from supervisor_stack.kinds.redis_conf import split

# Redis has no test of its configuration. It reads the command line behind the file, line by line, and
# leaves at the first line that it does not know, before it opens or loads anything: when that is this
# one, all lines of the file were good (loadServerConfigFromString() in src/config.c; tried).
_NO_SETTING = "stackd-has-read-the-copy"


def fold(config: str, source: Source, cwd: str) -> str:
    """The lines of the file and of those that it includes, in the order in which Redis reads them."""
    return "".join(f"{line}\n" for line in _Folding(source, cwd).lines(config, ()))


class _Folding:
    def __init__(self, source: Source, cwd: str) -> None:
        self._source = source
        self._folder = cwd

    def lines(self, path: str, parents: tuple[str, ...]) -> Iterator[str]:
        if path in parents:
            raise FoldError(f"{path} includes itself")
        for line in read(self._source, path).split("\n"):
            stripped = line.strip(" \t\r\n")
            if not stripped or stripped.startswith("#"):
                continue
            try:
                name, *values = split(stripped)
            except ValueError as error:
                raise FoldError(f"{path} has a line with {error}") from None
            if name.lower() == "include" and values:
                for each in self._included(values[0]):
                    yield from self.lines(each, (*parents, path))
                continue
            if name.lower() == "dir" and values:
                self._folder = posixpath.join(self._folder, values[0])
            yield stripped

    def _included(self, name: str) -> list[str]:
        pattern = posixpath.join(self._folder, name)
        # Since 7.0.
        return self._source.glob(pattern) if any(mark in pattern for mark in "*?[") else [pattern]


def question(_argv: tuple[str, ...], _text: str) -> tuple[str, ...]:
    """Arguments with which Redis leaves when it has read its configuration."""
    return (f"--{_NO_SETTING}", "yes")


def objection(copy: Answer, _original: Answer) -> str:
    """What Redis has against the copy."""
    lines = (copy.out + copy.err).splitlines()
    # >>> 'the line'
    # what is wrong with it
    at = next((number for number, line in enumerate(lines) if line.startswith(">>> ")), None)
    if at is None:
        return f"redis said nothing about the copy (exit status {copy.code})"
    return "" if _NO_SETTING in lines[at] else " ".join(lines[at : at + 2]).removeprefix(">>> ")


FOLD = Fold(fold=fold, question=question, objection=objection)
