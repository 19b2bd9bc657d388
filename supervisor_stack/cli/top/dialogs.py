"""What is asked and told in front of the table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from supervisor_stack.control.messages import Stop


class _Dialog(ModalScreen[Stop | None]):
    """Text in the middle; Escape closes it."""

    DEFAULT_CSS = """
    _Dialog { align: center middle; }
    _Dialog VerticalScroll {
        width: auto; max-width: 100%; height: auto; max-height: 100%; padding: 0 1; border: ascii;
    }
    _Dialog Static { width: auto; max-width: 100%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,n", "give(False)", show=False)]

    def __init__(self, lines: Iterable[str]) -> None:
        super().__init__()
        self._text = "\n".join(lines)

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            yield Static(self._text, markup=False)

    def action_give(self, _yes: bool) -> None:
        self.dismiss(None)


class Help(_Dialog):
    """All keys."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("question_mark,enter", "give(False)", show=False)]


class StopDialog(_Dialog):
    """Whether to stop a service, and with it those who need it."""

    def __init__(self, service: str, needers: tuple[str, ...]) -> None:
        self._stop = Stop(services=(service,), cascade=bool(needers))
        if needers:
            lines = [
                f"Stop {service}, and before it those who need it?",
                "",
                *(f"  {name}" for name in needers),
                "",
                "c  stop all of these, in order",
            ]
        else:
            lines = [f"Stop {service}?", "", "y  stop it"]
        super().__init__([*lines, "n  leave it as it is"])
        self._bindings.bind("c" if needers else "y", "give(True)", show=False)

    def action_give(self, yes: bool) -> None:
        self.dismiss(self._stop if yes else None)
