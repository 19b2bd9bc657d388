"""The screen of `stackctl top`: what is told is shown, what is pressed is done.

All that waits happens in threads (feeds.py, deeds.py, log_reader.py), which post messages to here.
"""

from __future__ import annotations

import asyncio
import signal
from functools import partial
from time import monotonic
from typing import ClassVar

from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input, Static

from supervisor_stack.cli.details import plain_lines
from supervisor_stack.cli.render import utc_now, visible
from supervisor_stack.cli.top.deeds import StopAsked, Told, ask_to_stop, carry_out
from supervisor_stack.cli.top.dialogs import Help, StopDialog
from supervisor_stack.cli.top.feeds import KEPT, Arrived, Connect, Detailed, Listener, Lost, Polled, Poller
from supervisor_stack.cli.top.keys import KEYS, help_lines, hints
from supervisor_stack.cli.top.lines import Lines
from supervisor_stack.cli.top.log_reader import LogReader
from supervisor_stack.cli.top.model import Board, fitting
from supervisor_stack.cli.top.table import ServiceTable
from supervisor_stack.control.client import Operation
from supervisor_stack.control.messages import Reload, Restart, Start, Stop

_REST = 0.2
"""Seconds for which a service has to be selected before its logs are opened: one may pass by many."""
_TICK = 1.0
"""Seconds between two looks at the clock, for the ages."""
_LEAVE = 1.0
"""Seconds for the reader of logs to end."""
_PANES = ("log", "details", "events")


class Top(App[None]):
    """The stack behind `connect`, asked every `interval` seconds."""

    CSS = """
    Screen { layout: vertical; }
    #headline, #titles, #pane_title, #last, #keys, #filter { height: 1; width: 100%; }
    #headline, #titles, #pane_title { text-style: bold; }
    #pane_title.-focused { text-style: reverse; }
    #lost { height: auto; text-style: bold reverse; color: ansi_red; }
    #services { height: 1fr; }
    #log, #details, #events { height: 40%; overflow-x: auto; scrollbar-size-horizontal: 1; }
    #told { height: auto; max-height: 8; }
    #keys { text-style: reverse; }
    #filter { border: none; padding: 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        # The screen of textual has ideas of its own about these.
        Binding(key.key, key.action, show=False, priority=key.key in ("ctrl+c", "escape"))
        for key in KEYS
    ]
    ENABLE_COMMAND_PALETTE = False
    AUTO_FOCUS = "#services"

    def __init__(self, connect: Connect, interval: float) -> None:
        super().__init__(ansi_color=True)
        self.theme = "ansi-dark"
        self.board = Board()
        self._connect = connect
        self._poller = Poller(connect, self._post, interval)
        self._listener = Listener(connect, self._post, self._poller.look_at)
        self._logs: LogReader | None = None
        self._pane = ""
        self._followed = ""
        self._opening: Timer | None = None
        self._drawn = 0.0
        self._lines: dict[int, tuple[str, ...]] = {}
        self._finished: set[int] = set()

    def compose(self) -> ComposeResult:
        """Everything, from the top down; what has nothing to show is not displayed."""
        yield Static(id="headline", markup=False)
        yield Static(id="lost", markup=False)
        yield Static(id="titles", markup=False)
        yield ServiceTable(id="services")
        yield Static(id="pane_title", markup=False)
        for name in _PANES:
            yield Lines(id=name, keep=KEPT)
        yield Static(id="last", markup=False)
        yield Lines(id="told")
        yield Input(id="filter", placeholder="name, kind or state", compact=True)
        yield Static(id="keys", markup=False)

    def on_mount(self) -> None:
        """Begin to listen."""
        for name in (*_PANES, "lost", "pane_title", "told", "filter"):
            self.query_one(f"#{name}").display = False
        # Without it the terminal would be left as it is now.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.exit)
        self._poller.start()
        self._listener.start()
        self.set_interval(_TICK, self._tick)

    def on_unmount(self) -> None:
        """Listen no more."""
        self._poller.stop()
        self._listener.stop()
        if self._logs:
            self._logs.stop()
            self._logs.join(_LEAVE)  # it ends the journalctl that it has started

    def on_resize(self, event: events.Resize) -> None:
        """The keys that have room."""
        self._static("keys", fitting(hints(), event.size.width))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """While something is asked, its own keys count."""
        return (len(self.screen_stack) == 1 or action == "interrupt") and super().check_action(
            action, parameters
        )

    # What is told.

    def on_polled(self, message: Polled) -> None:
        """Services are so now."""
        if self.query_one("#lost").display and self._logs and not self._logs.is_alive():
            self._followed = ""  # its logs could not be found without stackd
        self._say("lost", "")
        self.board.take(message.reply, message.whole)
        self._show()

    def on_detailed(self, message: Detailed) -> None:
        """All about a service, if it is still the one."""
        if message.service.name == self.board.selected:
            lines = (visible(line.encode()) for line in plain_lines(message.service, utc_now()))
            self.query_one("#details", Lines).replace(lines)

    def on_lost(self, message: Lost) -> None:
        """stackd does not answer; what is shown is from before."""
        error = message.error
        self._say(
            "lost", "\n".join((f"{error.message}; what is below is from before, trying again", *error.detail))
        )

    def on_arrived(self, message: Arrived) -> None:
        """Lines of logs or of events."""
        basket = message.basket
        lines = basket.empty()
        if basket is self._listener.basket:
            lines = [visible(line.encode()) for line in lines]
            self.query_one("#events", Lines).add(lines)
            last = next((line for line in reversed(lines) if not line.startswith(" ")), "")
            if last:
                self._static("last", last)
        elif self._logs and basket is self._logs.basket:
            self.query_one("#log", Lines).add(lines)

    def on_told(self, message: Told) -> None:
        """How it goes with what was asked for."""
        if message.number not in self._lines:
            for number in self._finished:
                del self._lines[number]
            self._finished.clear()
        self._lines[message.number] = message.lines
        if message.is_over:
            self._finished.add(message.number)
        self._show_told()

    def on_stop_asked(self, message: StopAsked) -> None:
        """Ask whether to stop it."""
        self.push_screen(StopDialog(message.service, message.needers), self._stop_if)

    # What is pressed.

    def on_service_table_chosen(self, message: ServiceTable.Chosen) -> None:
        """Another service is selected."""
        self.board.select(message.index)
        self._show()
        self.query_one(ServiceTable).reveal()

    def on_service_table_fitted(self, message: ServiceTable.Fitted) -> None:
        """The columns have changed."""
        self._static("titles", message.titles)

    def on_descendant_focus(self) -> None:
        """Say of a pane that it has the focus."""
        focused = self.focused
        self.query_one("#pane_title").set_class(focused is not None and focused.id in _PANES, "-focused")

    def on_input_changed(self, message: Input.Changed) -> None:
        """Filter while it is typed."""
        self.board.filter = message.value
        self.board.arrange()
        self._show()
        self.query_one(ServiceTable).reveal()

    def on_input_submitted(self) -> None:
        """The filter stays."""
        self.query_one("#filter").display = False
        self.query_one(ServiceTable).focus()

    def action_start(self) -> None:
        """Start the selected service."""
        self._do(Start(services=(self.board.selected,)))

    def action_restart(self) -> None:
        """Restart it."""
        self._do(Restart(services=(self.board.selected,)))

    def action_reload(self) -> None:
        """Reload it."""
        self._do(Reload(services=(self.board.selected,)))

    def action_stop(self) -> None:
        """Ask whether to stop it, when it is known who needs it."""
        if self.board.current:
            ask_to_stop(self.board.selected, self._connect, self._post)

    def action_sort(self, name: str) -> None:
        """Sort the table."""
        self.board.sort(name)
        self._show()
        self.query_one(ServiceTable).reveal()

    def action_filter(self) -> None:
        """Type what to look for."""
        field = self.query_one("#filter", Input)
        field.display = True
        field.focus()

    def action_pane(self, name: str) -> None:
        """Open a pane, or close it."""
        self._pane = "" if self._pane == name else name
        for each in _PANES:
            self.query_one(f"#{each}").display = each == self._pane
        self.query_one("#pane_title").display = bool(self._pane)
        if not self._pane:
            self.query_one(ServiceTable).focus()
        self._follow_selection()

    def action_away(self) -> None:
        """Away with what is in front."""
        field = self.query_one("#filter", Input)
        if self.screen.get_selected_text():
            self.screen.clear_selection()
        elif field.has_focus or (field.value and not self._lines and not self._pane):
            field.value = ""
            self.on_input_submitted()
        elif self._finished:
            self._lines = {
                number: lines for number, lines in self._lines.items() if number not in self._finished
            }
            self._finished.clear()
            self._show_told()
        elif self._pane:
            self.action_pane(self._pane)

    def action_copy(self) -> None:
        """Copy to the clipboard of the terminal (OSC 52)."""
        focused = self.focused
        text = self.screen.get_selected_text()
        if text is None and isinstance(focused, Lines) and not isinstance(focused, ServiceTable):
            text = "\n".join(focused.lines)
        if text is None and self.board.current:
            text = self.query_one(ServiceTable).plain_line(self.board.index)
        if text:
            self.copy_to_clipboard(text)
            count = text.count("\n") + 1
            self._static("last", f"copied {count} {'line' if count == 1 else 'lines'}")

    def action_interrupt(self) -> None:
        """Ctrl-C: copy where something is selected, quit where not."""
        if self.screen.get_selected_text():
            self.action_copy()
        else:
            self.exit()

    def action_help(self) -> None:
        """All keys."""
        self.push_screen(Help(help_lines()))

    # How it is shown.

    def _show(self) -> None:
        now = utc_now()
        self._drawn = monotonic()
        self._static("headline", self.board.headline(now))
        self.query_one(ServiceTable).show(self.board.shown, self.board.index, now)
        self._follow_selection()

    def _tick(self) -> None:
        if monotonic() - self._drawn >= _TICK:
            self._show()

    def _follow_selection(self) -> None:
        """Let the pane be about the selected service."""
        selected = self.board.selected
        title = {"log": f"logs of {selected}", "details": f"details of {selected}", "events": "events"}
        self._static("pane_title", f"-- {title.get(self._pane, '')} --")
        self._poller.tell_all_about(selected if self._pane == "details" else "")
        wanted = selected if self._pane == "log" else ""
        if wanted != self._followed:
            self._followed = wanted
            if self._logs:
                self._logs.stop()
                self._logs = None
            self.query_one("#log", Lines).replace(())
            if self._opening:
                self._opening.stop()
            self._opening = self.set_timer(_REST, partial(self._open_logs, wanted)) if wanted else None

    def _open_logs(self, service: str) -> None:
        self._logs = LogReader(service, self._connect, self._post)
        self._logs.start()

    def _show_told(self) -> None:
        lines = [visible(line.encode()) for each in self._lines.values() for line in each]
        told = self.query_one("#told", Lines)
        told.display = bool(lines)
        told.replace(lines)

    def _say(self, name: str, text: str) -> None:
        self._static(name, text)
        self.query_one(f"#{name}").display = bool(text)

    def _static(self, name: str, text: str) -> None:
        widget = self.query_one(f"#{name}", Static)
        if widget.content != text:
            widget.update(text)

    def _do(self, operation: Operation) -> None:
        if self.board.current:
            self.query_one(ServiceTable).reveal()
            carry_out(operation, self._connect, self._post)

    def _stop_if(self, stop: Stop | None) -> None:
        if stop:
            carry_out(stop, self._connect, self._post)

    def _post(self, message: Message) -> bool:
        """For the threads."""
        try:
            return self.post_message(message)
        except RuntimeError:
            return False  # the loop is closed already
