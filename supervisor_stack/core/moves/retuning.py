"""Taking up a changed specification without a new run: what is asked and what is watched from now on."""

from __future__ import annotations

import msgspec

from supervisor_stack.core import actions as do
from supervisor_stack.core import events as ev
from supervisor_stack.core.moves.base import Step, start_probe, watch_alive, watch_files
from supervisor_stack.core.moves.succession import probe_again
from supervisor_stack.core.state import Service, State


def take_up(before: Service, after: Service) -> Step:
    """Go over to another specification, the state being the same; what is asked already is asked anew."""
    orders: tuple[do.Action, ...] = ()
    if watch_files(before) != watch_files(after):
        orders = watch_files(after) or (do.WatchFiles(service=after.name, files=()),)
    if _is_watched(after):
        if (before.spec.alive, watch_alive(before)) != (after.spec.alive, watch_alive(after)):
            orders = (*orders, *(watch_alive(after) or (do.StopProbe(service=after.name),)))
            after = _unmissed(after)
    elif before.spec.ready != after.spec.ready:
        orders = (*orders, *_ask_anew(after))
    return after, orders


def known_as_ready(before: Service, after: Service) -> tuple[ev.Event, ...]:
    """That a run is ready whose ready probe was taken away: its process is all that there is to see of it."""
    if before.spec.ready is None or after.spec.ready is not None or after.spec.type == "task":
        return ()
    if after.successor is not None:
        made, run = after.successor.pid, after.successor.run
    else:
        made, run = None if _is_watched(after) else after.pid, after.run
    return (ev.BecameReady(service=after.name, run=run),) if made is not None else ()


def _is_watched(service: Service) -> bool:
    """Whether its alive probe is asked."""
    on = service.state in (State.RUNNING, State.RELOADING) and service.ready
    return on and (service.successor is None or service.successor.pid is None)


def _ask_anew(service: Service) -> tuple[do.Action, ...]:
    if service.spec.ready is None:
        return ()
    if service.successor is not None:
        return probe_again(service)
    asked = service.state in (State.STARTING, State.RUNNING) and service.pid is not None
    return (start_probe(service),) if asked else ()


def _unmissed(service: Service) -> Service:
    """What another probe missed does not count."""
    if not service.missed:
        return service
    return msgspec.structs.replace(service, missed=0, hung="", reason="", detail=())
