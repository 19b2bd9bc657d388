"""What a person sees on a terminal, by rich. Loaded only when there is one."""

from __future__ import annotations

import os
from collections.abc import Iterable
from time import monotonic
from types import TracebackType
from typing import Literal, Self

from rich.console import Console
from rich.live import Live
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from supervisor_stack.cli.lines import Line
from supervisor_stack.cli.render import GAP, Table, Tone, span
from supervisor_stack.control.messages import Accepted, Finished, Progress

_STYLES: dict[Tone, str] = {"good": "green", "busy": "yellow", "bad": "red", "idle": "dim"}
_LEAST = 4
"""Characters of the last column that are shown in any case; a narrower terminal cuts the lines."""
_SETTLED: dict[str, Tone] = {
    "running": "good", "exited": "good", "stopped": "idle", "failed": "bad", "backoff": "bad"
}  # fmt: skip


def _console(plain: bool, stderr: bool = False) -> Console:
    # rich takes the colours away for NO_COLOR, but leaves bold and dim, which some take for colours.
    bare = plain or bool(os.environ.get("NO_COLOR"))
    return Console(color_system=None if bare else "auto", stderr=stderr, highlight=False, soft_wrap=False)


def print_table(headline: str, table: Table, plain: bool) -> None:
    """The table as wide as the terminal, without what has no room."""
    console = _console(plain)
    shown = table.fitted(console.width)
    # All text goes in as Text: a string would be markup to rich, and `[emerg]` would be a style.
    grid = RichTable(box=None, pad_edge=False, padding=(0, len(GAP), 0, 0), header_style="bold")
    # rich would take from all columns what one of them lacks; only the last one may be cut.
    *widths, last = shown.widths()
    room = max(_LEAST, console.width - sum(widths) - len(GAP) * len(widths))
    for column, width in zip(shown.columns, (*widths, min(last, room)), strict=True):
        justify: Literal["left", "right"] = "right" if column.right else "left"
        grid.add_column(Text(column.title), justify=justify, width=width, no_wrap=True, overflow="ellipsis")
    for row in shown.rows:
        style = _STYLES[row.tone]
        grid.add_row(
            *(Text(cell, style if number in (0, 2) else "") for number, cell in enumerate(row.cells))
        )
    console.print(Text(headline, "bold"), no_wrap=True, overflow="ellipsis")
    console.print(grid)


def print_lines(lines: Iterable[Line], plain: bool) -> None:
    """Lines as wide as the terminal: broken between words, or cut where they are a picture."""
    console = _console(plain)
    for line in lines:
        text = Text.assemble(*((part.text, _STYLES[part.tone] if part.tone else "") for part in line.parts))
        if line.breaks:
            console.print(Padding(text, (0, 0, 0, line.hang)) if line.hang else text)
        else:
            console.print(text, no_wrap=True, overflow="ellipsis")


_SIGNS = {"+": "green", "-": "red", "~": "yellow", "=": "dim"}


def print_plan(changes: Iterable[tuple[str, str]], plain: bool) -> None:
    """The lines of a plan in full, with the sign of each change in a colour."""
    console = _console(plain)
    for what, why in changes:
        first = Text(what)
        first.stylize(f"bold {_SIGNS[what[0]]}", 0, 1)
        for line in (first, Text(why, "dim")):
            console.print(line, soft_wrap=True)


class LiveProgress:
    """The services of an operation, a line for each, redrawn in place as they change."""

    def __init__(self, accepted: Accepted, plain: bool) -> None:
        self._began = monotonic()
        self._lines = dict.fromkeys(accepted.services, ("", "", self._began))
        self._live = Live(
            get_renderable=self._draw, console=_console(plain, stderr=True), refresh_per_second=5
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, step: Progress | Finished) -> None:
        """Take in what changed."""
        if isinstance(step, Progress):
            self._change(step.service, step.state, step.reason)
            return
        for outcome in step.outcomes:
            # An error is told in full when all is over.
            self._change(outcome.service, outcome.state, "")

    def _change(self, service: str, state: str, reason: str) -> None:
        before = self._lines.get(service, ("", "", 0.0))
        since = before[2] if before[0] == state else monotonic()
        self._lines[service] = (state, reason, since)

    def _draw(self) -> RichTable:
        grid = RichTable.grid(padding=(0, len(GAP), 0, 0))
        for _ in range(3):
            grid.add_column(no_wrap=True)
        grid.add_column(no_wrap=True, overflow="ellipsis")
        for service, (state, reason, since) in self._lines.items():
            tone = _SETTLED.get(state, "busy")
            until = since if state in _SETTLED else monotonic()
            took = f"{until - self._began:.1f}s" if until - self._began < 60 else span(until - self._began)
            grid.add_row(Text(service), Text(state or "asked", _STYLES[tone]), Text(took), Text(reason))
        return grid
