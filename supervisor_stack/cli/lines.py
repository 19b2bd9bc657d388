"""Lines of text for people, with what is alarming in them: coloured on a terminal, plain elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import NamedTuple

from supervisor_stack.cli.output import say
from supervisor_stack.cli.table import Tone


class Part(NamedTuple):
    """A piece of a line; `tone` None: nothing special."""

    text: str
    tone: Tone | None = None


class Line(NamedTuple):
    """One line. On a terminal that is too narrow it is cut; or, if it `breaks`, broken between words.

    `hang`: columns by which all of it is moved to the right, also what a break moves to the next line.
    """

    parts: tuple[Part, ...]
    hang: int = 0
    breaks: bool = False

    def __str__(self) -> str:
        return " " * self.hang + "".join(part.text for part in self.parts)


def say_lines(lines: Iterable[Line], no_color: bool) -> None:
    """Print them to stdout."""
    if sys.stdout.isatty():
        from supervisor_stack.cli.console import print_lines

        print_lines(lines, no_color)
        return
    for line in lines:
        say(str(line).rstrip())
