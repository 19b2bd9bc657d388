"""A table as columns and rows of text, and as plain lines for files and programs.

tty.py makes it as wide as a terminal. Nothing here prints, and nothing here knows a terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

Tone = Literal["good", "busy", "bad", "idle"]
"""How alarming something is. Never told by its colour alone."""

STYLES: dict[Tone, str] = {"good": "green", "busy": "yellow", "bad": "red", "idle": "dim"}
"""Tones in the words of rich."""

GAP = "  "


class Column(NamedTuple):
    """`drop`: the order in which columns go when there is not enough room; 0 stays. `short`: makes the cells
    shorter instead, when it is this column's turn. `cut`: its cells may be cut in the middle, if nothing
    else helps."""

    title: str
    right: bool = False
    drop: int = 0
    short: Callable[[str], str] | None = None
    cut: bool = False


class Row(NamedTuple):
    """One line of a table. `tone` colours its cells in the columns that `Table.toned` names."""

    tone: Tone
    cells: tuple[str, ...]


class Table(NamedTuple):
    """The last column is the one that may be cut at its end. `toned`: titles of the columns that have the
    colour of the row."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    toned: tuple[str, ...] = ("", "STATE")

    def widths(self, measure: Callable[[str], int] = len) -> list[int]:
        """Cells of a terminal that each column needs; `measure` knows wide characters."""
        lines = [tuple(column.title for column in self.columns), *(row.cells for row in self.rows)]
        return [max(map(measure, cells)) for cells in zip(*lines, strict=True)]

    def without(self, number: int) -> Table:
        """Without a column."""
        rows = tuple(Row(row.tone, row.cells[:number] + row.cells[number + 1 :]) for row in self.rows)
        return self._replace(columns=self.columns[:number] + self.columns[number + 1 :], rows=rows)

    def mapped(self, number: int, change: Callable[[str], str]) -> Table:
        """With other cells in a column."""
        rows = tuple(
            Row(row.tone, (*row.cells[:number], change(row.cells[number]), *row.cells[number + 1 :]))
            for row in self.rows
        )
        return self._replace(rows=rows)

    def lines(self) -> Iterator[str]:
        """As plain text, in full."""
        widths = self.widths()
        for cells in (tuple(column.title for column in self.columns), *(row.cells for row in self.rows)):
            padded = (
                cell.rjust(width) if column.right else cell.ljust(width)
                for cell, width, column in zip(cells, widths, self.columns, strict=True)
            )
            yield GAP.join(padded).rstrip()
