"""What differs between two specifications of a stack, and what follows for each service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from supervisor_stack.spec import ServiceSpec

OF_THE_PROCESS = (
    "argv", "env", "cwd", "user", "group", "umask", "limits", "nice", "oom_score_adj", "type",
    "hold", "fifo", "private", "notify",
)  # fmt: skip
"""What a process takes over when it is made: a change of these needs a new run. All the rest (probes,
restart policy, timeouts, order) is for stackd, and counts from the next time that it is looked at."""


class Plan(NamedTuple):
    """Names of services, sorted. `retuned`: changed in a way that needs no new run."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    retuned: tuple[str, ...]


def compare(old: Mapping[str, ServiceSpec], new: Iterable[ServiceSpec]) -> Plan:
    """The plan that leads from the old specifications to the new ones."""
    wanted = {spec.name: spec for spec in new}
    common = sorted(old.keys() & wanted.keys())
    changed = tuple(name for name in common if _needs_new_run(old[name], wanted[name]))
    return Plan(
        added=tuple(sorted(wanted.keys() - old.keys())),
        removed=tuple(sorted(old.keys() - wanted.keys())),
        changed=changed,
        retuned=tuple(name for name in common if name not in changed and old[name] != wanted[name]),
    )


def _needs_new_run(old: ServiceSpec, new: ServiceSpec) -> bool:
    # How its log is rotated is between stackd and the file.
    return old.log.to != new.log.to or any(
        getattr(old, field) != getattr(new, field) for field in OF_THE_PROCESS
    )
