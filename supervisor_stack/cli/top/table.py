"""The table of services. Of a thousand rows only those in sight are made, and only the changed ones drawn."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message

from supervisor_stack.cli.render import status_table, utc_now, visible
from supervisor_stack.cli.table import GAP, STYLES, Row
from supervisor_stack.cli.top.lines import MARKED, Lines
from supervisor_stack.cli.top.model import TITLES, Grid, Slot, padded
from supervisor_stack.control.parts import ServiceStatus

_COLORED = (0, 2)
"""The cells that have the colour of the state: its sign and its name."""


class ServiceTable(Lines):
    """Services, one of them selected."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup", "turn(-1)", show=False),
        Binding("pagedown", "turn(1)", show=False),
        Binding("home", "move(-1000000)", show=False),
        Binding("end", "move(1000000)", show=False),
    ]

    class Chosen(Message):
        """A person chose this row, or the one nearest to it."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    class Fitted(Message):
        """The columns have changed; `titles` is the line above them."""

        def __init__(self, titles: str) -> None:
            super().__init__()
            self.titles = titles

    def __init__(self, *, id: str) -> None:  # noqa: A002  # textual's own word
        super().__init__(id=id)
        self.services: Sequence[ServiceStatus] = ()
        self._now = utc_now()
        self._selected = -1
        self._grid = Grid()
        self._slots: tuple[Slot, ...] = ()
        self._rows: dict[int, Row] = {}

    def show(self, services: Sequence[ServiceStatus], selected: int, now: datetime) -> None:
        """Show these; draw anew what differs from what is on the screen."""
        before, drawn = self._selected, self._rows
        self.services, self._selected, self._now, self._rows = services, selected, now, {}
        if len(services) != self.virtual_size.height:
            self.virtual_size = Size(0, len(services))
            self.refresh()
        if self._fit():
            return
        for y, row in self._rows.items():
            if drawn.get(y) != row or (before != selected and y in (before, selected)):
                self.refresh_line(y)

    def text_of(self, y: int) -> Text:
        """A row as it is drawn."""
        row = self._row(y)
        text = Text(no_wrap=True, end="")
        for slot, cell in zip(self._slots, padded(row.cells, self._slots), strict=True):
            text.append(cell, STYLES[row.tone] if slot.place in _COLORED else "")
            text.append(GAP)
        text.pad_right(self.size.width - len(text))
        if y == self._selected:
            text.stylize(MARKED)
        return text

    def plain_lines(self) -> Sequence[str]:
        """All rows, also those out of sight."""
        return [self.plain_line(y) for y in range(len(self.services))]

    def plain_line(self, y: int) -> str:
        """A row as text, in the columns that are shown."""
        return GAP.join(padded(self._row(y).cells, self._slots)).rstrip()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Other rows come into sight."""
        super().watch_scroll_y(old_value, new_value)
        self._fit()

    def on_resize(self) -> None:
        """More or less room."""
        self.reveal()
        self._fit()

    def on_click(self, event: events.Click) -> None:
        """Choose a row."""
        self.post_message(self.Chosen(self.scroll_offset.y + event.y))

    def action_move(self, rows: int) -> None:
        """Choose a row so far from the selected one."""
        self.post_message(self.Chosen(self._selected + rows))

    def action_turn(self, pages: int) -> None:
        """Choose a row so many screens away."""
        self.action_move(pages * max(1, self.size.height - 1))

    def reveal(self) -> None:
        """Bring the selected row into sight. Only on demand: who looks at the first ones stays there."""
        top, height = self.scroll_offset.y, self.size.height
        if self._selected < top:
            self.scroll_to(y=self._selected, animate=False)
        elif self._selected >= top + height:
            self.scroll_to(y=self._selected - height + 1, animate=False)

    def _row(self, y: int) -> Row:
        row = self._rows.get(y)
        if row is None:
            (made,) = status_table(self.services[y : y + 1], self._now).rows
            # A note has last words of a service in it.
            cells = tuple(visible(cell.encode()).expandtabs(1) for cell in made.cells)
            row = self._rows[y] = Row(made.tone, cells)
        return row

    def _fit(self) -> bool:
        """Make room for what is in sight; whether that drew all of it anew."""
        top, height = self.scroll_offset.y, self.size.height
        self._grid.widen(self._row(y) for y in range(top, min(top + height, len(self.services))))
        slots = self._grid.slots(self.scrollable_content_region.width)
        if slots == self._slots:
            return False
        self._slots = slots
        self.post_message(self.Fitted(GAP.join(padded(TITLES, slots))))
        self.refresh()
        return True
