"""What a terminal shows: colours where they are wanted, and text that fits. Loaded only when there is one.

Of rich only styles and widths of characters are used here. Its console takes four times as long to import as
all of this, and its table half a second for a thousand services.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from typing import IO

from rich.cells import cell_len, chop_cells, set_cell_size
from rich.color import ColorSystem
from rich.style import Style

from supervisor_stack.cli.output import say
from supervisor_stack.cli.render import has_signs
from supervisor_stack.cli.table import GAP, STYLES, Table, Tone

_BOLD = Style(bold=True)
_LEAST = 8
"""Cells of the last column, and of one that is cut, that are shown in any case; a narrower terminal cuts the
lines."""

_DEFAULT_COLUMNS = 80

_HANG = 4
"""Blanks before what a break of a long line moves to the next one."""


def columns(stream: IO[str]) -> int:
    """How wide a terminal is, in cells."""
    told = os.environ.get("COLUMNS", "")
    if told.isdecimal() and int(told) > 0:
        return int(told)
    try:
        return os.get_terminal_size(stream.fileno()).columns or _DEFAULT_COLUMNS
    except OSError:
        return _DEFAULT_COLUMNS


class Pen:
    """Colours, and bold for what has no tone; nothing when they are not wanted.

    Not with --no-color (`plain`), with NO_COLOR (no-color.org), nor where the terminal has none.
    """

    def __init__(self, plain: bool) -> None:
        terminal = os.environ.get("TERM", "")
        self.is_colorful = not (plain or os.environ.get("NO_COLOR") or terminal in ("", "dumb", "unknown"))

    def __call__(self, text: str, tone: Tone | None) -> str:
        """The text in the colour of the tone."""
        if not self.is_colorful or not text:
            return text
        style = Style.parse(STYLES[tone]) if tone else _BOLD
        return style.render(text, color_system=ColorSystem.STANDARD)


def cut(text: str, width: int) -> str:
    """The beginning of a text that has too little room, with a sign that there is more."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, max(0, width - 1)).rstrip() + _more() if width > 0 else ""


def cut_middle(text: str, width: int) -> str:
    """Beginning and end of a name: those of many differ in their ends."""
    if cell_len(text) <= width:
        return text
    end = max(0, (width - 1) // 2)
    return set_cell_size(text, max(0, width - 1 - end)) + _more() + text[len(text) - end :]


def wrap(text: str, width: int, hang: int = 0) -> Iterator[str]:
    """Lines of at most this width, broken at blanks where there are any; what stands in front stays. `hang`:
    blanks by which what a break moves to the next line goes further to the right."""
    if cell_len(text) <= width:
        yield text
        return
    line = indent = text[: len(text) - len(text.lstrip(" "))][: width // 2]
    for blanks, word in re.findall(r"(\s*)(\S+)", text):
        joined = line + " " * len(blanks) + word if line.strip() else indent + word
        if cell_len(joined) <= width:
            line = joined
            continue
        if line.strip():
            yield line
            indent = indent[: width // 2] + " " * min(hang, width // 4)
            hang = 0
        *full, line = chop_cells(indent + word, max(1, width))
        yield from full
    yield line


def broken(lines: Iterable[str], terminal: IO[str]) -> Iterator[str]:
    """Lines that may be long, as wide as this terminal."""
    width = columns(terminal)
    return (part for line in lines for part in wrap(line, width, _HANG))


def fit(table: Table, width: int) -> Table:
    """With the columns that have room. The last one keeps a third of the line, if it needs that."""
    widths = table.widths(cell_len)

    def lacking() -> int:
        """How much is lacking, with the last column at its least."""
        least = min(widths[-1], max(_LEAST, width // 3))
        return sum(widths[:-1]) + len(GAP) * (len(widths) - 1) + least - width

    def change(number: int, shorter: Callable[[str], str]) -> Table:
        changed = table.mapped(number, shorter)
        cells = (changed.columns[number].title, *(row.cells[number] for row in changed.rows))
        widths[number] = max(map(cell_len, cells))
        return changed

    for column in sorted((column for column in table.columns if column.drop), key=lambda each: each.drop):
        if lacking() <= 0:
            break
        number = table.columns.index(column)
        if column.short:
            table = change(number, column.short)
        else:
            del widths[number]
            table = table.without(number)
    for number, column in enumerate(table.columns):
        if column.cut and lacking() > 0:
            least = max(_LEAST, len(column.title), widths[number] - lacking())
            table = change(number, partial(cut_middle, width=least))
    return table


def titled_lines(titles: Iterable[str], table: Table, plain: bool) -> Iterator[str]:
    """Some lines, and the table below them, as wide as the terminal of stdout. `plain`: without colours."""
    width, pen = columns(sys.stdout), Pen(plain)
    yield from (pen(cut(title, width), None) for title in titles)
    yield from table_lines(table, width, pen)


def print_table(headline: str, table: Table, plain: bool) -> None:
    """Print them."""
    for line in titled_lines((headline,), table, plain):
        say(line)


def table_lines(table: Table, width: int, pen: Pen) -> Iterator[str]:
    """The lines of a table on a terminal; none is wider than that."""
    table = fit(table, width)
    *widths, _ = table.widths(cell_len)
    widths.append(max(_LEAST, width - sum(widths) - len(GAP) * len(widths)))
    titles = tuple(column.title for column in table.columns)
    is_toned = [column.title in table.toned for column in table.columns]
    rows: Iterable[tuple[Tone | None, tuple[str, ...]]] = table.rows
    for tone, cells in chain([(None, titles)], rows):
        line, left = "", width
        for number, (cell, room) in enumerate(zip(cells, widths, strict=True)):
            text = cut(cell, min(room, left))
            blanks = " " * (min(room, left) - cell_len(text))
            shown = pen(text, tone) if tone is None or is_toned[number] else text
            line += blanks + shown if table.columns[number].right else shown + blanks
            left -= room + len(GAP)
            if left <= 0:
                break
            line += GAP
        yield line.rstrip()


_SIGNS: dict[str, Tone] = {"+": "good", "-": "bad", "~": "busy", "=": "idle"}


def print_plan(changes: Iterable[tuple[str, str]], plain: bool) -> None:
    """The lines of a plan in full, with the sign of each change in a colour."""
    pen = Pen(plain)
    width = columns(sys.stdout)
    for what, why in changes:
        first, *more = wrap(what, width, 2 * _HANG)  # further than why
        say(pen(first[0], _SIGNS[first[0]]) + first[1:])
        for line in more:
            say(line)
        for line in wrap(why, width, _HANG):
            say(pen(line, "idle"))


def _more() -> str:
    return "…" if has_signs() else ">"
