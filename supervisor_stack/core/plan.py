"""What a changed configuration means: what differs, what will happen to each service for it, and why.

Decided here once: what is shown as the plan is what `Stack.apply` carries out.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from supervisor_stack.core.differences import (
    Difference,
    When,
    differences,
    needs_new_run,
    of_stackd,
    of_whole,
)
from supervisor_stack.core.graph import closure
from supervisor_stack.core.state import Service, State
from supervisor_stack.spec import ServiceSpec, StackSpec

What = Literal["added", "removed", "changed", "unchanged"]
Effect = Literal["start", "stop", "restart", "none"]

_NAMED = 3
"""How many neighbours are named; of more the number is told."""

_DOWN = {
    State.STOPPED: "it is stopped",
    State.EXITED: "it came to its end",
    State.FAILED: "it failed, and is not wanted",
    State.WAITING: "it waits to start",
    State.BACKOFF: "it waits to start",
}


class Change(NamedTuple):
    """What differs of one service, or of stackd itself (`service` empty), and what follows.

    `unchanged`: nothing differs, but another one needs it. `why` is a sentence that begins with what
    happens. `hard`: of a restart, that the present run has to end before the next one begins.
    """

    what: What
    service: str
    keys: tuple[Difference, ...]
    effect: Effect
    why: str
    hard: bool = False


class Plan(NamedTuple):
    """All changes of services, by name: none twice."""

    changes: tuple[Change, ...]

    def named(self, what: What) -> tuple[str, ...]:
        """The services of which this is true."""
        return tuple(change.service for change in self.changes if change.what == what)

    def with_effect(self, effect: Effect) -> tuple[str, ...]:
        """The services to which this happens."""
        return tuple(change.service for change in self.changes if change.effect == effect)


def compare(services: Mapping[str, Service], retired: Container[str], specs: Iterable[ServiceSpec]) -> Plan:
    """The plan that leads from the services as they are to these specifications.

    `retired`: those that were removed earlier and are not down yet. The work grows with the size of the
    stack, and not with its square.
    """
    new = {spec.name: spec for spec in specs}
    old = {name: service for name, service in services.items() if name not in retired}
    found = {name: _removed(old[name]) for name in old.keys() - new.keys()}
    for name, spec in new.items():
        if name not in old:
            found[name] = _added(spec)
        elif change := _changed(old[name], spec):
            found[name] = change
    begins = [name for name, change in found.items() if change.effect in ("start", "restart")]
    begins += [name for name, service in old.items() if name in new and _needs_more(service, new[name])]
    for name, needer in _needed(begins, new).items():
        service = old.get(name)
        change = found.get(name)
        if change and change.effect == "none" and (service is None or _rests(service)):
            found[name] = change._replace(effect="start", why=f"starts: {needer} needs it")
        elif change is None and service and _rests(service):
            found[name] = Change("unchanged", name, (), "start", f"starts: {needer} needs it")
    _tell_dependents(found, old)
    return Plan(tuple(found[name] for name in sorted(found)))


def compare_stackd(old: StackSpec, new: StackSpec) -> Change | None:
    """What differs of [stack] and [control]; None when nothing does."""
    keys = of_stackd(old, new)
    if not keys:
        return None
    why = f"nothing restarts: {_by_time(keys)}"
    if any(key.when is When.NEXT_STACKD for key in keys):
        why += " (`systemctl restart stackd` leaves all services running)"
    return Change("changed", "", keys, "none", why)


def _needs_more(service: Service, spec: ServiceSpec) -> bool:
    """Whether its next run waits for something for which the present one did not have to."""
    known = {*service.spec.requires, *service.spec.wants}
    return service.wanted and not known.issuperset((*spec.requires, *spec.wants))


def _added(spec: ServiceSpec) -> Change:
    effect: Effect = "start" if spec.autostart else "none"
    why = "starts (new)" if spec.autostart else "stays stopped (autostart = false)"
    return Change("added", spec.name, (of_whole(spec, comes=True),), effect, why)


def _removed(service: Service) -> Change:
    why = f"is forgotten (removed; {_DOWN[service.state]})" if service.is_down else "stops (removed)"
    return Change("removed", service.name, (of_whole(service.spec, comes=False),), "stop", why)


def _changed(service: Service, spec: ServiceSpec) -> Change | None:
    """The change of a service that stays; None when there is none."""
    name = service.name
    keys = () if service.spec == spec else differences(service.spec, spec)
    # The successor was made by the present specification, and takes over.
    present = service.spec if service.is_down or service.successor else service.run_spec
    if keys and _is_deaf(service, spec):
        why = "restarts: its present run was not told where to say that it is ready"
        return Change("changed", name, keys, "restart", why, hard=True)
    if not needs_new_run(present, spec):
        return _retuned(service, keys) if keys else None
    if service.spec == spec and service.is_renewed_anyway:
        return None
    since = differences(present, spec)
    process = tuple(key.key for key in since if key.when is When.NEW_RUN)
    if service.wanted and service.state in (State.BACKOFF, State.FAILED):
        why = f"starts: it failed before, and {', '.join(process)} changed"
        return Change("changed", name, keys, "start", why)
    if service.is_down or not service.wanted:
        how = _DOWN.get(service.state, "it is being stopped")
        why = f"nothing restarts: {how}, and {_counts(process, 'counts when it starts')}"
        return Change("changed", name, keys, "none", why)
    before = "" if keys else "its present run was made before "
    why = f"restarts: {before}{', '.join(process)} changed"
    hands_over = service.ready and service.can_hand_over and _with(service, spec).can_hand_over
    if hands_over:
        why += "; the new run takes over when it is ready"
    return Change("changed", name, keys or since, "restart", why, hard=not hands_over)


def _retuned(service: Service, keys: tuple[Difference, ...]) -> Change:
    """A change that needs no new run."""
    if _is_asked(service):
        ready = [key.key.partition(".")[0] == "ready" for key in keys]
        keys = tuple(
            key._replace(when=When.AT_ONCE) if is_ready else key
            for key, is_ready in zip(keys, ready, strict=True)
        )
    counting = [key for key in keys if key.when is not When.NEW_RUN]
    told = [_by_time(counting)] if counting else []
    if there := [key.key for key in keys if key.when is When.NEW_RUN]:
        # The last change was not taken up, and this one takes it back.
        told.append(f"its present run was made with {', '.join(there)} as it is now")
    return Change("changed", service.name, keys, "none", f"nothing restarts: {'; '.join(told)}")


def _is_asked(service: Service) -> bool:
    """Whether its ready probe is being asked."""
    return service.pid is not None and (
        service.state is State.STARTING
        or (service.state is State.RUNNING and not service.ready)
        or service.successor is not None
    )


def _is_deaf(service: Service, spec: ServiceSpec) -> bool:
    """Whether it is on its way, is to tell by itself when it is ready, and was not told where."""
    before = service.run_spec
    on_its_way = service.state is State.STARTING and service.pid is not None and service.wanted
    return on_its_way and spec.tells_ready and not (before.tells_ready or before.notify)


def _rests(service: Service) -> bool:
    """Whether a start would begin something."""
    if service.state is State.EXITED:
        return service.spec.type == "service" or not service.wanted
    return not service.wanted or service.state in (State.FAILED, State.BACKOFF)


def _needed(names: Iterable[str], new: Mapping[str, ServiceSpec]) -> dict[str, str]:
    """Whom these need to start, directly or not, and one who needs it each."""
    pulls = {name: (*spec.requires, *spec.wants) for name, spec in new.items()}
    return {need: name for name in reversed(closure(names, pulls)) for need in pulls[name]}


def _tell_dependents(found: dict[str, Change], old: Mapping[str, Service]) -> None:
    """What becomes of those who need one that stops or restarts."""
    dependents: dict[str, list[str]] = {}
    for name in sorted(old):
        for need in () if old[name].is_down else old[name].spec.requires:
            if need in found and (found[need].hard or found[need].effect == "stop"):
                dependents.setdefault(need, []).append(name)
    for name, others in dependents.items():
        change = found[name]
        effects = {other: found[other].effect if other in found else "none" for other in others}
        if change.effect == "restart":
            staying = [other for other, effect in effects.items() if effect not in ("stop", "restart")]
            told = (
                f"; {_listed(staying)} {'goes' if len(staying) == 1 else 'go'} on meanwhile"
                if staying
                else ""
            )
        else:
            going = [other for other, effect in effects.items() if effect == "stop"]
            told = f" after {_listed(going)}" if going and not old[name].is_down else ""
        found[name] = change._replace(why=change.why + told)


def _with(service: Service, spec: ServiceSpec) -> Service:
    return msgspec.structs.replace(service, spec=spec)


def _by_time(keys: Iterable[Difference]) -> str:
    """`log.keep is taken up at once; kill, stop_timeout count from its next stop`."""
    by_when: dict[When, list[str]] = {}
    for key in keys:
        by_when.setdefault(key.when, []).append(key.key)
    return "; ".join(_counts(names, when.value) for when, names in by_when.items())


def _counts(names: Sequence[str], told: str) -> str:
    if len(names) > 1:
        told = told.replace("is taken", "are taken").replace("counts", "count")
    return f"{', '.join(names)} {told}"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
