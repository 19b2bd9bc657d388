"""From the wish to stop to the last resort."""

from __future__ import annotations

import msgspec

from supervisor_stack.core import actions as do
from supervisor_stack.core import events as ev
from supervisor_stack.core.evidence import telling_line
from supervisor_stack.core.moves.base import (
    KILL_TIMEOUT,
    Step,
    ask_to_leave,
    enter,
    keep,
    lasted,
    next_stop_deadline,
    terminate,
)
from supervisor_stack.core.moves.endings import settle
from supervisor_stack.core.state import Service, State

LATER = "is told to stop when it is ready: a stop in the middle of its start could hang it"


def leave(service: Service, event: ev.DependentsDown, now: float, chance: float) -> Step:
    """Nobody is left who needs it: it may go, if it shall."""
    starting = service.state is State.STARTING and service.pid is not None
    if service.is_leaving and starting and service.spec.stop_when_ready:
        return (service, ()) if service.reason == LATER else keep(service, reason=LATER)
    return terminate(service, now) if service.is_leaving else (service, ())


def signal_late(service: Service, event: ev.Spawned, now: float, chance: float) -> Step:
    """The stop came while the process was being made."""
    service = msgspec.structs.replace(service, pid=event.pid)
    return service, ask_to_leave(service)


def settle_unborn(service: Service, event: ev.RunEvent, now: float, chance: float) -> Step:
    """The stop came before there was a process, and now there will be none."""
    if service.pid is not None:
        return service, ()
    return settle(service, now, chance)


def allow_more_time(service: Service, event: ev.StatusReceived, now: float, chance: float) -> Step:
    """It tells that it is busy leaving: a database that writes out what it has in memory."""
    patience = max(service.patience, now + event.extend) if event.extend else service.patience
    service = msgspec.structs.replace(service, patience=patience, reason=event.status or service.reason)
    return keep(service, deadline=next_stop_deadline(service, now))


def note_refusal(service: Service, event: ev.StopRefused, now: float, chance: float) -> Step:
    """It has said that it does not leave. It is told again from time to time: the cause may go away."""
    told = f"it refuses to stop: {telling_line(event.evidence)}"
    return keep(service, reason=told, detail=event.evidence, blocked=True, refused=True)


def kill(service: Service, event: ev.DeadlinePassed, now: float, chance: float) -> Step:
    """It did not leave in time, or not yet: a signal that came too early may have been lost."""
    if now < service.patience:
        return keep(service, deadline=next_stop_deadline(service, now))[0], ask_to_leave(service)
    spec = service.spec
    told = f"did not stop within {lasted(service.since, now)} of SIG{spec.stop_signal}"
    if spec.kill or (service.ending and service.ending.hung):
        service = enter(service, State.KILLING, now, reason=f"{told}: killed", deadline=now + KILL_TIMEOUT)
        return service, (do.Sweep(service=service.name, run=service.run),)
    if not service.refused:
        reason = f"{told}; it is not killed, since that may cost data (kill = true would allow it)"
        service = msgspec.structs.replace(service, reason=reason, blocked=True)
    patience = now + spec.stop_timeout
    return keep(service, patience=patience, deadline=patience)[0], ask_to_leave(service)


def report_unkillable(service: Service, event: ev.DeadlinePassed, now: float, chance: float) -> Step:
    """The kernel does not let go of a process. A new run beside it could corrupt its files.

    So this goes on for as long as the process does; whoever waits is told.
    """
    reason = f"processes still there {KILL_TIMEOUT:g} s after SIGKILL (uninterruptible sleep?)"
    service, _ = keep(service, reason=reason, blocked=True, deadline=now + KILL_TIMEOUT)
    return service, (do.Sweep(service=service.name, run=service.run),)
