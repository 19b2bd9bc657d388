"""What the folding of every server's configuration has in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import msgspec


class FoldError(Exception):
    """One file cannot stand for this configuration. The message is a cause, to stand behind a colon."""


class Source(Protocol):
    """The files of a configuration, handed in by whoever may do I/O."""

    def read(self, path: str) -> str:
        """The text of a file. Raises OSError."""

    def glob(self, pattern: str) -> list[str]:
        """The paths that match, sorted."""

    def real(self, path: str) -> str:
        """The path without symbolic links. What does not exist stays as it is."""


class Answer(NamedTuple):
    """What came of a command: its exit code, and what it printed."""

    code: int
    out: str
    err: str


class Fold(msgspec.Struct, frozen=True, kw_only=True):
    """How the copy of one server's configuration is made and tested.

    `fold` takes the path of the configuration, its files and the working directory of the service, and
    returns the text of the copy; raises FoldError. `dumped`: the files are those that the server's own
    configuration test prints, as it read them; such configurations grow large, so they are folded in a
    process of their own.

    Without `question` a copy is good when the server's configuration test takes it. Else the server is
    started on it with the arguments that `question` makes of the server's own arguments and the text of
    the copy, with which it leaves before it does anything; `objection` compares what it said with what it
    said of the original, and returns what is wrong, or an empty string.
    """

    fold: Callable[[str, Source, str], str]
    dumped: bool = False
    question: Callable[[tuple[str, ...], str], tuple[str, ...]] | None = None
    objection: Callable[[Answer, Answer], str] | None = None


def read(source: Source, path: str) -> str:
    """The text of a file that the server cannot do without. Raises FoldError."""
    try:
        return source.read(path)
    except OSError as error:
        raise FoldError(f"{path} cannot be read ({(error.strerror or str(error)).lower()})") from None
