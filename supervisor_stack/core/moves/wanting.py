"""What the operator wants."""

from __future__ import annotations

from supervisor_stack.core import events as ev
from supervisor_stack.core.moves.base import Step, enter, keep, wait
from supervisor_stack.core.state import Service, State


def want(service: Service, event: ev.StartRequested, now: float, chance: float) -> Step:
    """Begin from rest. A start by hand is always allowed: earlier failures are forgotten."""
    return wait(service, now), ()


def want_after_all(service: Service, event: ev.StartRequested, now: float, chance: float) -> Step:
    """It is on and stays on, also when a stop was waiting for dependents."""
    return keep(service, wanted=True)


def want_again(service: Service, event: ev.Event, now: float, chance: float) -> Step:
    """It is leaving, or shall leave: a new run begins when this one is over."""
    return keep(service, wanted=True, again=True)


def unwant(service: Service, event: ev.StopRequested, now: float, chance: float) -> Step:
    """It shall leave; when, is for those to say who need it."""
    return keep(service, wanted=False, again=False)


def rest(service: Service, event: ev.StopRequested, now: float, chance: float) -> Step:
    """Nothing runs: it is stopped on the spot."""
    stopped = enter(service, State.STOPPED, now, wanted=False, again=False, reason="", detail=())
    return stopped, ()


def forget(service: Service, event: ev.ResetRequested, now: float, chance: float) -> Step:
    """Begin to count anew."""
    return keep(service, failures=0, failed_at=(), restarts=0, exits=(), rejected="", rejected_detail=())


def forget_failure(service: Service, event: ev.ResetRequested, now: float, chance: float) -> Step:
    """A failed service that is still wanted gets another chance; an unwanted one is just stopped."""
    service, _ = forget(service, event, now, chance)
    if service.wanted:
        return wait(service, now), ()
    return enter(service, State.STOPPED, now, reason="", detail=()), ()
