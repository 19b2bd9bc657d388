"""What a change of one service means for its neighbours: who has to look around, and what it sees.

Looking finds facts, which are handled like any other. What is asked here concerns neighbours only, so
that the work for a change does not grow with the stack.
"""

from __future__ import annotations

from collections.abc import Mapping

from supervisor_stack.core import events as ev
from supervisor_stack.core.graph import Graph
from supervisor_stack.core.state import Service, State

MAY_LEAVE = (State.STARTING, State.RUNNING, State.RELOADING)


def lookers(before: Service, after: Service, graph: Graph) -> set[str]:
    """Who has to look around after this change: itself, and the neighbours that it concerns."""
    found: set[str] = set()
    if after.state is State.WAITING or after.is_leaving or after.renew:
        found.add(after.name)
    if _appearance(before) != _appearance(after):
        found.update(graph.behind[after.name])
    if _is_on_its_way_out(before) and not _is_on_its_way_out(after):
        found.update(graph.before[after.name])
    return found


def look(service: Service, services: Mapping[str, Service], graph: Graph, parallel: bool) -> list[ev.Event]:
    """What follows for a service from how its neighbours are."""
    if service.state is State.WAITING:
        return _look_ahead(service, services, graph, parallel)
    if service.is_leaving and service.state in MAY_LEAVE:
        if not _leaving_first(service, services, graph):
            return [ev.DependentsDown(service=service.name)]
    elif service.renew and service.state is State.RUNNING:
        return _look_for_needs(service, services, graph, parallel=False)
    return []


def waits_for(
    service: Service, services: Mapping[str, Service], graph: Graph, parallel: bool
) -> tuple[str, ...]:
    """Whom it waits for before it starts, leaves, or is renewed."""
    waited: list[Service] = []
    if service.state is State.WAITING:
        waited = _renewed_first(service, services, graph) or _missing(service, services, graph, parallel)
    elif service.is_leaving and service.state in MAY_LEAVE:
        waited = _leaving_first(service, services, graph)
    elif service.renew and service.state is State.RUNNING:
        waited = _missing(service, services, graph, parallel=False)
    return tuple(other.name for other in waited)


def renewals(
    before: Service, after: Service, services: Mapping[str, Service], graph: Graph
) -> list[ev.Event]:
    """Who has to be renewed because this service ended by itself: those who wish so, and theirs."""
    hangs = before.state is State.STOPPING and before.ending is not None and before.ending.hung
    if not (before.state in MAY_LEAVE or hangs) or before.is_leaving or before.spec.type == "task":
        return []
    if after.state is State.EXITED or before.pid is None or before.pid == after.pid:
        return []
    found: dict[str, ev.Event] = {}
    queue = [before.name]
    while queue:
        for name in graph.required_by[queue.pop()]:
            if name not in found and services[name].spec.on_dependency_crash == "restart":
                found[name] = ev.DependencyCrashed(service=name, dependency=before.name)
                queue.append(name)
    return [found[name] for name in sorted(found)]


def _look_ahead(
    service: Service, services: Mapping[str, Service], graph: Graph, parallel: bool
) -> list[ev.Event]:
    """Tell a waiting service whether it may start, or what is missing."""
    leaving = _renewed_first(service, services, graph)
    if leaving:
        blocked = any(other.is_stuck for other in leaving)
        names = ", ".join(other.name for other in leaving)
        return _pending(service, f"waits until {names} has stopped", blocked=blocked)
    return _look_for_needs(service, services, graph, parallel)


def _renewed_first(service: Service, services: Mapping[str, Service], graph: Graph) -> list[Service]:
    """Those who are renewed because of it leave before it begins anew."""
    return [
        other
        for other in (services[name] for name in graph.required_by[service.name])
        if other.spec.on_dependency_crash == "restart" and _is_on_its_way_out(other)
    ]


def _leaving_first(service: Service, services: Mapping[str, Service], graph: Graph) -> list[Service]:
    """Those who need it leave before it does."""
    behind = (services[name] for name in graph.behind[service.name])
    return [other for other in behind if _is_on_its_way_out(other)]


def _missing(
    service: Service, services: Mapping[str, Service], graph: Graph, parallel: bool
) -> list[Service]:
    requires = graph.requires[service.name]
    return [
        other
        for other in (services[name] for name in graph.before[service.name])
        if not (other.is_fulfilled if other.name in requires else other.is_settled)
        and not (parallel and _queues_clients(other))
    ]


def _look_for_needs(
    service: Service, services: Mapping[str, Service], graph: Graph, parallel: bool
) -> list[ev.Event]:
    requires = graph.requires[service.name]
    missing = _missing(service, services, graph, parallel)
    if not missing:
        return [ev.DependenciesReady(service=service.name)]
    reason = f"needs {', '.join(other.name for other in missing)}"
    required = [other for other in missing if other.name in requires]
    hopeless, failing = list(filter(_is_hopeless, required)), list(filter(_is_failing, required))
    for culprit in (*hopeless, *failing)[:1]:
        how = "fails" if culprit.state is State.BACKOFF else f"is {culprit.state}"
        reason += f" ({culprit.name} {how}" + (f": {culprit.reason})" if culprit.reason else ")")
    return _pending(service, reason, blocked=bool(hopeless), stalled=bool(failing))


def _pending(service: Service, reason: str, *, blocked: bool, stalled: bool = False) -> list[ev.Event]:
    if (reason, blocked, stalled) == (service.reason, service.blocked, service.stalled):
        return []
    return [ev.DependenciesPending(service=service.name, reason=reason, blocked=blocked, stalled=stalled)]


def _appearance(service: Service) -> tuple[object, ...]:
    """What those behind it look at."""
    return (
        service.is_fulfilled,
        service.is_settled,
        service.reason,
        _is_failing(service),
        _queues_clients(service),
    )


def _queues_clients(service: Service) -> bool:
    """Whether it is starting, and its clients wait in the queues of its held sockets meanwhile."""
    return (
        service.state is State.STARTING
        and service.pid is not None
        and service.is_held
        and bool(service.addresses)
        and not service.is_leaving
    )


def _is_on_its_way_out(service: Service) -> bool:
    return service.is_leaving and not service.is_down


def _is_hopeless(service: Service) -> bool:
    """Whether it will not come without help."""
    if service.state in (State.FAILED, State.STOPPED):
        return True
    return service.blocked or (service.state is State.EXITED and not service.is_fulfilled)


def _is_failing(service: Service) -> bool:
    """Whether it has just failed, or what it requires, and is tried again."""
    return service.state is State.BACKOFF or (service.state is State.WAITING and service.stalled)
