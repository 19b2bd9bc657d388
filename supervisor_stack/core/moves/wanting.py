"""What the operator wants."""

from __future__ import annotations

import msgspec

from supervisor_stack.core import events as ev
from supervisor_stack.core.moves.base import Step, ask_to_leave, enter, keep, start_probe, terminate, wait
from supervisor_stack.core.moves.endings import settle
from supervisor_stack.core.state import Service, State


def want(service: Service, event: ev.StartRequested, now: float, chance: float) -> Step:
    """Begin from rest. A start by hand is always allowed: earlier failures are forgotten."""
    return wait(service, now), ()


def want_after_all(service: Service, event: ev.StartRequested, now: float, chance: float) -> Step:
    """It is on and stays on, also when a stop was waiting for dependents."""
    return keep(service, wanted=True)


def want_back(service: Service, event: ev.Event, now: float, chance: float) -> Step:
    """It is leaving, and shall be there: again when it is gone; or at once, if it refuses to leave."""
    if not service.refused or isinstance(event, ev.RestartRequested):
        return keep(service, wanted=True, again=True)
    # A start like any other, only that its process is there already.
    deadline = now + service.spec.start_timeout
    back = enter(service, State.STARTING, now, wanted=True, again=False, deadline=deadline)
    back = msgspec.structs.replace(back, refused=False, blocked=False)
    return back, (start_probe(back),)


def want_again(service: Service, event: ev.Event, now: float, chance: float) -> Step:
    """It is leaving, or shall leave: a new run begins when this one is over."""
    return keep(service, wanted=True, again=True)


def follow_dependency(service: Service, event: ev.DependencyCrashed, now: float, chance: float) -> Step:
    """What it requires crashed: it ends, and begins again when that is ready again."""
    if service.is_leaving:
        return service, ()
    return keep(service, again=True, reason=f"{event.dependency} crashed")


def unwant(service: Service, event: ev.StopRequested, now: float, chance: float) -> Step:
    """It shall leave; when, is for those to say who need it."""
    return keep(service, wanted=False, again=False, renew=False)


def insist(service: Service, event: ev.StopRequested, now: float, chance: float) -> Step:
    """It is leaving already; one that does not is asked again, as if it had never been."""
    if not service.is_stuck:
        return keep(service, wanted=False, again=False)
    patience = now + service.spec.stop_timeout
    service = msgspec.structs.replace(service, wanted=False, again=False, blocked=False, refused=False)
    return keep(service, patience=patience, deadline=patience)[0], ask_to_leave(service)


def rest(service: Service, event: ev.StopRequested, now: float, chance: float) -> Step:
    """No main process runs: it is stopped on the spot, or when those of older runs have finished."""
    stopped = msgspec.structs.replace(service, wanted=False, again=False, blocked=False, ending=None)
    return terminate(stopped, now) if service.is_over and service.others else settle(stopped, now, chance)


def forget(service: Service, event: ev.ResetRequested, now: float, chance: float) -> Step:
    """Begin to count anew. That a run has ended is still known while others are waited for."""
    ends = service.exits[-1:] if service.is_over and service.others else ()
    return keep(service, failures=0, failed_at=(), restarts=0, exits=ends, rejected="", rejected_detail=())


def forget_failure(service: Service, event: ev.ResetRequested, now: float, chance: float) -> Step:
    """A failed service that is still wanted gets another chance; an unwanted one is just stopped."""
    service, _ = forget(service, event, now, chance)
    if service.wanted:
        return wait(service, now), ()
    return enter(service, State.STOPPED, now, reason="", detail=()), ()
