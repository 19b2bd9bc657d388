"""Who comes before whom: do the names exist, and is there an order at all?"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from supervisor_stack.config.lines import KeyPath
from supervisor_stack.config.mistakes import Mistakes
from supervisor_stack.config.service_table import ServiceTable
from supervisor_stack.config.words import did_you_mean, toml
from supervisor_stack.core.graph import cycle

EDGES = ("requires", "wants", "after")
# Each takes a walk over the whole graph; who has cut ten learns of the next ten.
_CYCLES = 10


def check_dependencies(
    tables: Mapping[str, ServiceTable], names: Collection[str], mistakes: Mistakes
) -> None:
    """Note unknown, doubled and circular dependencies. `names`: also of services that have mistakes."""
    keys: dict[str, dict[str, KeyPath]] = {name: {} for name in names}
    for name, table in tables.items():
        for at, target in _edges(name, table):
            if target == name:
                mistakes.add(at, "a service cannot wait for itself; remove it")
            elif target not in keys:
                cure = (
                    did_you_mean(mistakes.near(target, names)) or "write the name of a service of this file"
                )
                mistakes.add(at, f"there is no service {toml(target)}; {cure}")
            elif (earlier := keys[name].get(target)) and earlier[:-1] == at[:-1]:
                mistakes.add(at, f"{toml(target)} is in the list already; remove one of the two")
            else:
                keys[name].setdefault(target, at)
    _check_cycles(keys, mistakes)


def _edges(name: str, table: ServiceTable) -> Iterator[tuple[KeyPath, str]]:
    given = table.given()
    for key in EDGES:
        for index, target in enumerate(given.get(key, ())):
            yield ("services", name, key, index), target


def _check_cycles(keys: dict[str, dict[str, KeyPath]], mistakes: Mistakes) -> None:
    for _ in range(_CYCLES):
        names = cycle(keys)
        if not names:
            return
        # Cut it where it is told, so that the next walk finds another one.
        at = keys[names[0]].pop(names[1])
        mistakes.add(at, f"waits for itself: {' -> '.join(names)}; remove one of these dependencies")
