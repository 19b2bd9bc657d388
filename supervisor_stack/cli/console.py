"""rich's console, for lines that are broken together with their colours, and for live views."""

from __future__ import annotations

import os
from collections.abc import Iterable

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from supervisor_stack.cli.lines import Line
from supervisor_stack.cli.table import STYLES


def console(plain: bool, stderr: bool = False) -> Console:
    """The console of stdout or stderr. `plain`: without colours."""
    # rich takes the colours away for NO_COLOR, but leaves bold and dim, which some take for colours.
    bare = plain or bool(os.environ.get("NO_COLOR"))
    return Console(color_system=None if bare else "auto", stderr=stderr, highlight=False, soft_wrap=False)


def print_lines(lines: Iterable[Line], plain: bool) -> None:
    """Lines as wide as the terminal: broken between words, or cut where they are a picture."""
    out = console(plain)
    for line in lines:
        text = Text.assemble(*((part.text, STYLES[part.tone] if part.tone else "") for part in line.parts))
        if line.breaks:
            out.print(Padding(text, (0, 0, 0, line.hang)) if line.hang else text)
        else:
            out.print(text, no_wrap=True, overflow="ellipsis")
