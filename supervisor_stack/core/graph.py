"""Who needs whom, as fixed look-up tables: nothing here knows what is running."""

from __future__ import annotations

import graphlib
from collections.abc import Iterable, Mapping

from supervisor_stack.spec import ServiceSpec


def cycle(edges: Mapping[str, Iterable[str]]) -> list[str]:
    """A path that leads back to its start, or an empty list when there is none."""
    try:
        graphlib.TopologicalSorter(edges).prepare()
    except graphlib.CycleError as error:
        found: list[str] = error.args[1]
        return found[::-1]  # graphlib lists it from dependency to dependent
    return []


class Graph:
    """The edges of a stack, forwards and backwards.

    `before[x]`: what x waits for at a start. `behind[x]`: what has to be down before x goes down.
    `requires[x]`: what x cannot do without. `required_by[x]`: whom a stop of x would break. Backwards they
    are the keys of a dictionary: thousands may stand behind one, and go one by one.
    """

    def __init__(self, services: Iterable[ServiceSpec]) -> None:
        specs = {spec.name: spec for spec in services}
        self.requires = {name: spec.requires for name, spec in specs.items()}
        self.pulls = {name: (*spec.requires, *spec.wants) for name, spec in specs.items()}
        self.before = {
            name: tuple(dict.fromkeys((*spec.requires, *spec.wants, *spec.after)))
            for name, spec in specs.items()
        }
        if loop := cycle(self.before):
            raise ValueError(f"services wait for each other: {' -> '.join(loop)}")
        self.behind = _reversed(self.before)
        self.required_by = _reversed(self.requires)

    def with_needs(self, names: Iterable[str]) -> list[str]:
        """These services and all that has to be started for them, sorted."""
        return closure(names, self.pulls)

    def with_dependents(self, names: Iterable[str]) -> list[str]:
        """These services and all that cannot do without them, sorted."""
        return closure(names, self.required_by)

    def forget(self, name: str) -> None:
        """One service less. The work is for its neighbours only."""
        for other in self.behind.pop(name):
            for edges in (self.requires, self.pulls, self.before):
                edges[other] = tuple(each for each in edges[other] if each != name)
        del self.required_by[name]
        for other in self.before.pop(name):
            self.behind[other].pop(name, None)
            self.required_by[other].pop(name, None)
        del self.requires[name], self.pulls[name]


def _reversed(edges: Mapping[str, tuple[str, ...]]) -> dict[str, dict[str, None]]:
    back: dict[str, dict[str, None]] = {name: {} for name in edges}
    for name in sorted(edges):
        for target in edges[name]:
            back[target][name] = None
    return back


def closure(names: Iterable[str], edges: Mapping[str, Iterable[str]]) -> list[str]:
    """These names and all that the edges lead to from there, sorted."""
    found = set(names)
    queue = list(found)
    while queue:
        for target in edges[queue.pop()]:
            if target not in found:
                found.add(target)
                queue.append(target)
    return sorted(found)
