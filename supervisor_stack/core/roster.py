"""Which services there are: those of the configuration, and those that were removed from it and are not
down yet.

What comes, changes and goes is counted along and noted, so that it can be written down.
"""

from __future__ import annotations

from collections.abc import Container, Iterable

import msgspec

from supervisor_stack.core import actions as do
from supervisor_stack.core.differences import needs_new_run
from supervisor_stack.core.graph import Graph
from supervisor_stack.core.health import Health
from supervisor_stack.core.state import Service
from supervisor_stack.spec import ServiceSpec


class Roster:
    """The services by name, and how they stand to each other. `retired`: those that were removed."""

    def __init__(self, services: Iterable[Service]) -> None:
        self.services = {service.name: service for service in services}
        self.retired: set[str] = set()
        self.health = Health()
        for service in self.services.values():
            self.health.change(None, service)
        self.graph = Graph(service.spec for service in self.services.values())
        self._touched: dict[str, None] = {}
        self._places = {name: place for place, name in enumerate(self.services)}

    def place_of(self, name: str) -> int:
        """Where a service stands in the order in which they were written down; new ones come last."""
        return self._places.get(name, len(self._places))

    def become(self, after: Service) -> None:
        """A service is new, or is now like this."""
        self.health.change(self.services.get(after.name), after)
        self.services[after.name] = after
        self._touched[after.name] = None

    def respecify(self, name: str, spec: ServiceSpec) -> Service:
        """A service has another specification from now on; its process, if any, is as it was made."""
        before = self.services[name]
        # A copy of another file is none of this one.
        kept = before.kept if (spec.config, spec.copy) == (before.spec.config, before.spec.copy) else ""
        runs_as = None if before.is_down else _made_by(before.run_spec, spec)
        successor = before.successor
        if successor:
            stale = _made_by(successor.runs_as or before.spec, spec)
            successor = msgspec.structs.replace(successor, runs_as=stale)
        # What its configuration test told is no more true of another server, or of another file.
        is_same = spec.check and (spec.kind, spec.config) == (before.spec.kind, before.spec.config)
        report = before.report if is_same else None
        after = msgspec.structs.replace(
            before, spec=spec, kept=kept, runs_as=runs_as, successor=successor, report=report
        )
        self.become(after)
        return after

    def arrange(self, names: Iterable[str]) -> None:
        """Have the services in this order: that in which they were written down. The others come last."""
        others = [name for name in self.services if name in self.retired]
        for name in (*names, *others):
            self.services[name] = self.services.pop(name)
        self._places = {name: place for place, name in enumerate(self.services)}

    def lay_out(self) -> None:
        """Make the graph of what is there now; a service that is being removed keeps its place in it."""
        self.graph = Graph(
            _without_strangers(service.spec, self.services) if name in self.retired else service.spec
            for name, service in self.services.items()
        )

    def forget_if_gone(self, name: str) -> None:
        """A service that was removed has no place any more when it is down."""
        if name in self.retired and self.services[name].is_down:
            self.retired.discard(name)
            self.health.change(self.services.pop(name), None)
            self.graph.forget(name)
            self._touched[name] = None

    def remember(self) -> list[do.Action]:
        """What is to be written down, once."""
        touched, self._touched = self._touched, {}
        return [do.Remember(service=name, record=self.services.get(name)) for name in touched]


def _made_by(then: ServiceSpec, now: ServiceSpec) -> ServiceSpec | None:
    """What a run was made by, if that is not as good as what is wanted now."""
    if not needs_new_run(then, now):
        return None
    return msgspec.structs.replace(then, check=None)  # code, and of no use any more


def _without_strangers(spec: ServiceSpec, names: Container[str]) -> ServiceSpec:
    """The specification with only those neighbours that are there."""
    edges = {
        field: tuple(name for name in getattr(spec, field) if name in names)
        for field in ("requires", "wants", "after")
    }
    return msgspec.structs.replace(spec, **edges)
