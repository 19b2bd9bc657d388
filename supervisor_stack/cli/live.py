"""What is redrawn in place on a terminal, by rich: the progress of an operation, and `status --watch`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from time import monotonic
from types import TracebackType
from typing import Self

from rich.cells import cell_len
from rich.live import Live
from rich.text import Text

from supervisor_stack.cli.console import console as make_console
from supervisor_stack.cli.failure import Deed
from supervisor_stack.cli.output import error_text
from supervisor_stack.cli.progress import Narrator, outlook
from supervisor_stack.cli.render import glyph, harmless, seconds
from supervisor_stack.cli.table import GAP, Tone
from supervisor_stack.cli.tty import Pen, cut, cut_middle
from supervisor_stack.control.messages import Finished, Progress
from supervisor_stack.control.parts import Outcome

_PER_SECOND = 5
_STATE_WIDTH = 9
_NARROW = 24
"""Cells for what a service waits for; where there are fewer, it stands below the service."""
_INDENT = 4
_CLOSING_LINES = 2
"""Of the height of a terminal, for the cursor and for the count of what is not shown."""

_SETTLED: dict[str, Tone] = {
    "running": "good", "exited": "good", "stopped": "idle", "failed": "bad", "backoff": "bad"
}  # fmt: skip


class LiveProgress:
    """The services of an operation, redrawn as they change."""

    def __init__(self, deed: Deed, services: Sequence[str]) -> None:
        plain = deed.options.no_color
        console = make_console(plain, stderr=True)
        # Its lines fit already, between words.
        self._narrator = Narrator(deed, lambda error: console.print(Text(error_text(error)), soft_wrap=True))
        self._finished: Finished | None = None
        self._board = Board(services, Pen(plain), monotonic)
        self._live = Live(
            get_renderable=lambda: _drawn(self._board.lines(console.width, console.height)),
            console=console,
            refresh_per_second=_PER_SECOND,
            redirect_stdout=False,
            vertical_overflow="crop",
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()
        if self._finished:
            self._narrator.end(self._finished)

    def show(self, step: Progress | Finished) -> None:
        """Take in what changed. The cause of a failure is told above what is being redrawn."""
        self._board.take_in(step)
        if isinstance(step, Finished):
            self._finished = step
        elif step.outcome:
            self._narrator.over(step.outcome)
        else:
            self._narrator.on_its_way(step)


class Screen:
    """The whole terminal, given back at the end. `lines` gives what is shown for a height."""

    def __init__(self, no_color: bool, lines: Callable[[int], Sequence[str]]) -> None:
        console = make_console(no_color)
        self._live = Live(
            get_renderable=lambda: _drawn(lines(console.height)),
            console=console,
            screen=True,
            redirect_stdout=False,
            redirect_stderr=False,
            auto_refresh=False,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def draw(self) -> None:
        """Show how it is now."""
        self._live.refresh()


class _Standing:
    """How one service is on its way. Times are monotonic seconds."""

    def __init__(self, now: float) -> None:
        self.state = ""
        self.reason = ""
        self.then = ""
        self.since = now
        self.until: float | None = None
        self.outcome: Outcome | None = None

    @property
    def tone(self) -> Tone:
        """How alarming it is. What is as it was asked for is not, whatever it came from."""
        if self.outcome and self.outcome.error:
            return "bad"
        settled = _SETTLED.get(self.state, "busy")
        return settled if self.outcome or settled == "bad" else "busy"

    @property
    def rank(self) -> int | None:
        """The smaller, the more it is worth a line; None where all is well."""
        if self.tone == "bad":
            return 0
        if self.tone != "busy":
            return None
        return 2 if self.state in ("", "waiting") else 1


class Board:
    """The standing of all services of an operation, as lines that fit a terminal."""

    def __init__(self, services: Sequence[str], pen: Pen, clock: Callable[[], float]) -> None:
        self._pen = pen
        self._clock = clock
        self._began = clock()
        self._standings = {service: _Standing(self._began) for service in services}

    def take_in(self, step: Progress | Finished) -> None:
        """Something changed."""
        if isinstance(step, Finished):
            for outcome in step.outcomes:
                self._end(outcome)
        elif step.outcome:
            self._end(step.outcome)
        else:
            now = self._clock()
            standing = self._standings.setdefault(step.service, _Standing(now))
            standing.state, standing.reason, standing.then = step.state, harmless(step.reason), step.then
            standing.since = now - step.lasted
            standing.until = None if step.left is None else now + step.left

    def _end(self, outcome: Outcome) -> None:
        standing = self._standings.setdefault(outcome.service, _Standing(self._clock()))
        if standing.outcome is None:
            standing.state, standing.reason, standing.then = outcome.state, harmless(outcome.error), ""
            standing.since = self._clock()
        standing.outcome = outcome

    def lines(self, width: int, height: int) -> list[str]:
        """All services; where there is no room for that, those that failed or are under way."""
        every = list(self._standings)
        room = max(1, height - _CLOSING_LINES)
        drawn = self._fill(every, width, room)
        if len(drawn) == len(every):
            return [line for lines in drawn for line in lines]
        ranks = {name: rank for name in every if (rank := self._standings[name].rank) is not None}
        pressing = sorted(ranks, key=ranks.__getitem__)
        drawn = self._fill(pressing, width, room)
        shown = set(pressing[: len(drawn)])
        rest = [name for name in every if name not in shown]
        return [*(line for lines in drawn for line in lines), cut(self._count(rest, bool(drawn)), width)]

    def _fill(self, names: Sequence[str], width: int, room: int) -> list[tuple[str, ...]]:
        """The lines of as many of these as have room."""
        found: list[tuple[str, ...]] = []
        name_width = max(map(len, names), default=0)
        for name in names:
            lines = tuple(self._service(name, width, name_width))
            room -= len(lines)
            if room < 0:
                break
            found.append(lines)
        return found

    def _service(self, name: str, width: int, name_width: int) -> Iterator[str]:
        standing = self._standings[name]
        tone = standing.tone
        now = self._clock()
        took = standing.since - self._began if standing.outcome else now - standing.since
        name_width = min(name_width, max(12, width // 3))
        shown = cut_middle(name, name_width).ljust(name_width)
        state = f"{standing.state or 'asked':<{_STATE_WIDTH}}"
        line = f"{self._pen(glyph(tone), tone)} {shown}{GAP}{self._pen(state, tone)}{GAP}"
        line += f"{seconds(max(0.0, took)):>5}"
        used = 1 + 1 + name_width + len(GAP) + _STATE_WIDTH + len(GAP) + max(5, len(seconds(took)))
        left = None if standing.until is None else max(0.0, standing.until - now)
        coming = outlook(standing.then, left)
        room = width - used - len(GAP)
        beside = room >= _NARROW or cell_len(_sentence(standing.reason, coming)) <= room
        waits = _sentence(standing.reason, coming, room if beside else width - _INDENT)
        if waits and beside:
            yield line + GAP + waits
            return
        yield line
        if waits:
            yield " " * _INDENT + waits

    def _count(self, names: Sequence[str], are_more: bool) -> str:
        words = Counter(
            ("failed" if each.tone == "bad" else "done") if each.outcome else each.state or "asked"
            for each in map(self._standings.__getitem__, names)
        )
        return f"{len(names)} {'more' if are_more else 'services'}: " + ", ".join(
            f"{often} {word}" for word, often in words.most_common()
        )


def _sentence(reason: str, coming: str, room: int = sys.maxsize) -> str:
    """What is waited for, and what comes of it, of which the end is not to be lost."""
    if reason and coming:
        return cut(cut(reason, max(_INDENT, room - len(coming) - 2)) + f", {coming}", room)
    return cut(reason or coming, room)


def _drawn(lines: Sequence[str]) -> Text:
    text = Text.from_ansi("\n".join(lines))
    text.no_wrap = True
    text.overflow = "crop"
    return text
