"""Lines of text, of which only those in sight are drawn, and which can be selected with the mouse."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

if TYPE_CHECKING:
    from textual.selection import Selection

# Not a colour: it is seen on each terminal, also with NO_COLOR.
MARKED = Style(reverse=True)


class Lines(ScrollView, can_focus=True):
    """Lines of text, scrolled.

    `keep`: how many lines; of more the first ones go, unless a person is just selecting among them. What is
    added is followed as long as the end is in sight. 0: nothing is added.
    """

    DEFAULT_CSS = "Lines { overflow-x: hidden; scrollbar-size-vertical: 1; }"

    def __init__(self, *, id: str, keep: int = 0) -> None:  # noqa: A002  # textual's own word
        super().__init__(id=id)
        self.lines: list[str] = []
        self._keep = keep
        self._is_at_end = bool(keep)
        self._width = 0

    def add(self, lines: Iterable[str]) -> None:
        """Add lines at the end."""
        at_end = self._is_at_end
        self._extend(lines)
        surplus = len(self.lines) - self._keep
        if surplus > 0 and (self.text_selection is None or surplus > 10 * self._keep):
            del self.lines[:surplus]
            if not at_end:
                self.scroll_to(y=self.scroll_offset.y - surplus, animate=False)
        self._resize()
        if at_end:
            self.scroll_end(animate=False, force=True, x_axis=False)

    def replace(self, lines: Iterable[str]) -> None:
        """Show these instead, from the same place on."""
        before, self.lines, self._width = self.lines, [], 0
        self._extend(lines)
        if self.lines != before:
            self._resize()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Another part is in sight."""
        super().watch_scroll_y(old_value, new_value)
        self._is_at_end = bool(self._keep) and round(new_value) >= self.max_scroll_y

    def on_resize(self) -> None:
        """More or less room."""
        if self._is_at_end:
            self.scroll_end(animate=False, force=True, x_axis=False)

    def text_of(self, y: int) -> Text:
        """A line as it is drawn."""
        return Text(self.lines[y], no_wrap=True, end="")

    def render_line(self, y: int) -> Strip:
        """The line in this place of the screen. Called by textual for what has to be drawn anew."""
        left, top = self.scroll_offset
        number, width = top + y, self.size.width
        if number >= self.virtual_size.height:
            return Strip.blank(width, self.rich_style)
        text = self.text_of(number)
        selection = self.text_selection
        if selection and (found := selection.get_span(number)):
            start, end = found
            text.stylize(MARKED, start, len(text) if end < 0 else end)
        strip = Strip(text.render(self.app.console), cell_len(text.plain))
        return strip.crop_extend(left, left + width, self.rich_style).apply_offsets(left, number)

    def get_selection(self, selection: Selection) -> tuple[str, str]:
        """The text that is selected, for textual to copy it."""
        return selection.extract("\n".join(self.plain_lines())), "\n"

    def plain_lines(self) -> Sequence[str]:
        """All lines, as text."""
        return self.lines

    def _extend(self, lines: Iterable[str]) -> None:
        new = [line.expandtabs() for line in lines]
        self.lines += new
        self._width = max((self._width, *map(cell_len, new)))

    def _resize(self) -> None:
        self.virtual_size = Size(self._width, len(self.lines))
        self.refresh()
