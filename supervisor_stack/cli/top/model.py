"""What is shown of a stack: which services, in which order, which of them is selected. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from supervisor_stack.cli.render import STATUS_COLUMNS, headline, state
from supervisor_stack.cli.table import GAP, Row
from supervisor_stack.control.messages import StatusReply
from supervisor_stack.control.parts import ServiceStatus

_NOTE_CLAIM = 16
"""Characters of a note for which other columns make room: one long reason must not take the figures away."""


class Order(NamedTuple):
    """A way to sort. `rank`: what comes first has the least."""

    name: str
    rank: Callable[[ServiceStatus], tuple[float | str, ...]]


BY_NAME = Order("name", lambda service: (service.name,))
BY_CPU = Order("cpu", lambda service: (-(service.cpu_percent or 0.0), service.name))
BY_MEMORY = Order("memory", lambda service: (-(service.memory_bytes or 0), service.name))
BY_RESTARTS = Order("restarts", lambda service: (-service.restarts, service.name))
ORDERS = {order.name: order for order in (BY_NAME, BY_CPU, BY_MEMORY, BY_RESTARTS)}


class Board:
    """The services as they were told last, and how a person wants to see them.

    `order`: None is that of the configuration. `filter`: what the name, kind or state has to contain.
    `selected`: a name; "" before the first services are known.
    """

    def __init__(self) -> None:
        self.order: Order | None = None
        self.filter = ""
        self.selected = ""
        self.shown: list[ServiceStatus] = []
        self._services: dict[str, ServiceStatus] = {}
        self._reply: StatusReply | None = None
        self._index = 0

    def take(self, reply: StatusReply, whole: bool) -> None:
        """Take in what stackd told; `whole`: of all services, so that others are gone."""
        told = {service.name: service for service in reply.services}
        self._services = told if whole else self._services | told
        self._reply = reply
        self.arrange()

    def arrange(self) -> None:
        """Find out anew what is shown. What was selected stays so, or else what stands in its place now."""
        text = self.filter.lower()
        shown: Iterable[ServiceStatus] = self._services.values()
        if text:
            shown = (service for service in shown if text in _searched(service))
        self.shown = sorted(shown, key=self.order.rank) if self.order else list(shown)
        names = [service.name for service in self.shown]
        if self.selected in names:
            self._index = names.index(self.selected)
        elif names:
            self._index = min(self._index, len(names) - 1)
            self.selected = names[self._index]

    def sort(self, name: str) -> None:
        """Sort by that, and select the first; once more for the order of the configuration."""
        self.order = None if self.order is ORDERS[name] else ORDERS[name]
        self.arrange()
        if self.order:
            self.select(0)

    def select(self, index: int) -> None:
        """Select a row, or the one nearest to such an index."""
        if self.shown:
            self._index = max(0, min(index, len(self.shown) - 1))
            self.selected = self.shown[self._index].name

    @property
    def index(self) -> int:
        """The row that is selected."""
        return self._index

    @property
    def current(self) -> ServiceStatus | None:
        """The service that is selected, if it is shown."""
        return self.shown[self._index] if self._index < len(self.shown) else None

    def headline(self, now: datetime) -> str:
        """The stack in one line, and how it is looked at."""
        if self._reply is None:
            return ""
        parts = [headline(self._reply, now)]
        if self.order:
            parts.append(f"by {self.order.name}")
        if self.filter:
            parts.append(f"/{self.filter}: {len(self.shown)} of {len(self._services)}")
        return GAP.join(parts)


class Slot(NamedTuple):
    """A column that has room: its place in a row, and its characters."""

    place: int
    width: int


class Grid:
    """How wide the columns are. They only grow, so that nothing jumps about while figures change."""

    def __init__(self) -> None:
        self._widths = [len(column.title) for column in STATUS_COLUMNS]

    def widen(self, rows: Iterable[Row]) -> None:
        """Make room for these rows."""
        for row in rows:
            self._widths = list(map(max, self._widths, map(len, row.cells)))

    def slots(self, width: int) -> tuple[Slot, ...]:
        """The columns that have room in so many characters; the last one takes what is left."""
        *fixed, note = self._widths
        slots = [Slot(place, claim) for place, claim in enumerate((*fixed, min(note, _NOTE_CLAIM)))]
        while _needed(slots) > width and (droppable := [slot for slot in slots if _drop(slot)]):
            slots.remove(min(droppable, key=_drop))
        # Half a number would be a wrong one. The sign and the name are shown in any case.
        while len(slots) > 2 and _needed(slots) > width:
            slots.pop()
        *others, last = slots
        return (*others, Slot(last.place, max(1, last.width + width - _needed(slots))))


def _drop(slot: Slot) -> int:
    column = STATUS_COLUMNS[slot.place]
    return 0 if column.short else column.drop  # a state that gets shorter and longer would jump about


def _needed(slots: Sequence[Slot]) -> int:
    return sum(slot.width for slot in slots) + len(GAP) * (len(slots) - 1)


def padded(cells: Sequence[str], slots: Iterable[Slot]) -> list[str]:
    """The cells of a row in these columns, each as wide as its column, but for the last one."""
    *fixed, last = slots
    texts = [
        cells[place].rjust(width) if STATUS_COLUMNS[place].right else cells[place].ljust(width)
        for place, width in fixed
    ]
    return [*texts, shortened(cells[last.place], last.width)]


def shortened(text: str, width: int) -> str:
    """At most so many characters, visibly."""
    return text if len(text) <= width else text[: width - 1] + "…"


TITLES = tuple(column.title for column in STATUS_COLUMNS)


def fitting(hints: Sequence[str], width: int) -> str:
    """As many of these as have room, the first ones, and always the last two: help, and the way out."""
    *others, help_, out = hints
    while others and len(GAP.join((*others, help_, out))) > width:
        others.pop()
    return GAP.join((*others, help_, out))


def _searched(service: ServiceStatus) -> str:
    return f"{service.name} {service.kind} {state(service)}".lower()
