"""How the stack is as a whole, counted along with each change instead of over all services."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from supervisor_stack.core.state import Service, State

StackState = Literal["starting", "running", "degraded", "stopping", "stopped"]
_Condition = Literal["well", "coming", "ill", "leaving", "off"]


class Health:
    """Counts services by condition."""

    def __init__(self) -> None:
        self._count: Counter[_Condition] = Counter()
        self._was_well = False

    def change(self, before: Service | None, after: Service | None) -> None:
        """A service became another; None: it was not, or is no more, part of the stack."""
        if before:
            self._count[_condition(before)] -= 1
        if after:
            self._count[_condition(after)] += 1
        if self.all_down:
            self._was_well = False
        elif self.well and not self._count["ill"] + self._count["coming"]:
            self._was_well = True

    @property
    def well(self) -> int:
        """How many services are wanted and as they should be."""
        return self._count["well"]

    @property
    def all_down(self) -> bool:
        """Whether nothing runs and nothing is wanted."""
        return not self.well + self._count["coming"] + self._count["ill"] + self._count["leaving"]

    def state(self, shutting_down: bool) -> StackState:
        """The stack in one word. `starting` is only said until all was well once, after all was down."""
        count = self._count
        if self.all_down:
            return "stopped"
        if shutting_down or not self.well + count["coming"] + count["ill"]:
            return "stopping"
        if count["ill"]:
            return "degraded"
        if count["coming"]:
            return "degraded" if self._was_well else "starting"
        return "running"


def _condition(service: Service) -> _Condition:
    if not service.wanted:
        return "off" if service.is_down else "leaving"
    if service.is_as_wanted:
        return "well"
    if service.state in (State.BACKOFF, State.FAILED) or service.blocked:
        return "ill"
    if service.state is State.RUNNING and service.spec.type == "service":
        return "ill"
    return "coming"
