"""From the wish to stop to the last resort."""

from __future__ import annotations

import msgspec

from supervisor_stack.core import actions as do
from supervisor_stack.core import events as ev
from supervisor_stack.core.moves.base import (
    KILL_TIMEOUT,
    Step,
    enter,
    keep,
    next_stop_deadline,
    stop_signals,
    terminate,
)
from supervisor_stack.core.moves.endings import settle
from supervisor_stack.core.state import Service, State


def leave(service: Service, event: ev.DependentsDown, now: float, chance: float) -> Step:
    """Nobody is left who needs it: it may go, if it shall."""
    return terminate(service, now) if service.is_leaving else (service, ())


def signal_late(service: Service, event: ev.Spawned, now: float, chance: float) -> Step:
    """The stop came while the process was being made."""
    service = msgspec.structs.replace(service, pid=event.pid)
    return service, stop_signals(service)


def settle_unborn(service: Service, event: ev.RunEvent, now: float, chance: float) -> Step:
    """The stop came before there was a process, and now there will be none."""
    if service.pid is not None:
        return service, ()
    return settle(service, now, chance), ()


def kill(service: Service, event: ev.DeadlinePassed, now: float, chance: float) -> Step:
    """It did not leave in time, or not yet: a signal that came too early may have been lost."""
    if now < service.since + service.spec.stop_timeout:
        return keep(service, deadline=next_stop_deadline(service, now))[0], stop_signals(service)
    told = f"did not stop within {service.spec.stop_timeout:g} s of SIG{service.spec.stop_signal}: killed"
    service = enter(service, State.KILLING, now, reason=told, deadline=now + KILL_TIMEOUT)
    return service, (do.Sweep(service=service.name, run=service.run),)


def report_unkillable(service: Service, event: ev.DeadlinePassed, now: float, chance: float) -> Step:
    """The kernel does not let go of a process. A new run beside it could corrupt its files.

    So this goes on for as long as the process does; whoever waits is told.
    """
    reason = f"processes still there {KILL_TIMEOUT:g} s after SIGKILL (uninterruptible sleep?)"
    service, _ = keep(service, reason=reason, blocked=True, deadline=now + KILL_TIMEOUT)
    return service, (do.Sweep(service=service.name, run=service.run),)
