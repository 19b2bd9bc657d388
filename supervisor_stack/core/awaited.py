"""What a service waits for on its way to where it is wanted, in words, and until when it does so."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from supervisor_stack.core.graph import Graph
from supervisor_stack.core.moves.base import probe_address
from supervisor_stack.core.state import NEVER, Service, State

NAMED = 3
"""Services that are told by name; of more, only how many."""


class Awaited(msgspec.Struct, frozen=True):
    """`until`: monotonic time at which `then` comes of it, if nothing else happens before."""

    what: str
    until: float = NEVER
    then: str = ""


def awaited(service: Service, services: dict[str, Service], graph: Graph) -> Awaited:
    """What is to happen next, and what if it does not. Looks at the service and its neighbours only."""
    match service.state:
        case State.STARTING if service.pid is None and not _is_tested(service):
            return Awaited("")  # its process is there in a moment
        case State.STARTING:
            return Awaited(_start(service), service.deadline, "given up")
        case State.RELOADING if service.successor:
            run, answer = service.successor.run, service.successor.answer
            told = f"run {run} starts beside it" + (f": {answer}" if answer else "")
            return Awaited(told, service.deadline, "given up")
        case State.RELOADING:
            return Awaited(service.reason or "takes up its configuration", service.deadline, "given up")
        case State.RUNNING if service.is_leaving:
            return Awaited(_dependents(service, services, graph) or service.reason)
        case State.STOPPING if not service.blocked:
            return _stop(service)
        case State.BACKOFF:
            return Awaited(service.reason, service.deadline, "tried again")
        case _:
            return Awaited(service.reason)


def listed(names: Iterable[str]) -> str:
    """`a, b, c and 17 more`."""
    all_names = list(names)
    more = len(all_names) - NAMED
    return ", ".join(all_names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _start(service: Service) -> str:
    spec = service.spec
    if service.pid is None:
        return "its configuration is tested"
    if spec.ready is None:
        return service.reason
    # Until it is asked for the first time, the reason is still why the last run ended.
    last = service.exits[-1].reason if service.exits else ""
    answer = "" if service.reason == last else service.reason
    if spec.ready.type == "notify":
        return "waits for READY=1" + (f": {answer}" if answer else "")
    if spec.ready.type == "exec":
        return f"waits for {answer or spec.ready.command[0]}"
    address = probe_address(service) or next(iter(service.addresses), None)
    where = f" at {address.dial}" if address else ""
    words = answer.removeprefix(f"{address.dial}: ") if address else answer
    return f"waits for {spec.ready.type}{where}" + (f": {words}" if words else "")


def _is_tested(service: Service) -> bool:
    return service.spec.check is not None and service.spec.check.before_start


def _stop(service: Service) -> Awaited:
    spec = service.spec
    asked = "asked to stop" if spec.fifo else f"asked to stop by SIG{spec.stop_signal}"
    may_kill = spec.kill or bool(service.ending and service.ending.hung)
    return Awaited(asked, service.patience, "killed" if may_kill else "asked again")


def _dependents(service: Service, services: dict[str, Service], graph: Graph) -> str:
    behind = (services[name] for name in graph.behind[service.name])
    leaving = [other.name for other in behind if other.is_leaving and not other.is_down]
    return f"waits for {listed(leaving)} to stop" if leaving else ""
