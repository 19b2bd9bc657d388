"""Going on where an earlier stackd was ended.

What that one had ordered, and may not have seen through, is ordered once more: asking, telling to leave,
clearing away, letting go and testing do no harm twice. Only making a process would, so that is ordered
again only where none was found. What is waited for gets its whole time again: nobody knows how much of it
was of use.
"""

from __future__ import annotations

import msgspec

from supervisor_stack.core import actions as do
from supervisor_stack.core import events as ev
from supervisor_stack.core.moves.base import (
    KILL_TIMEOUT,
    Step,
    ask_to_leave,
    enter,
    keep,
    keep_config,
    next_stop_deadline,
    retire,
    start_probe,
    watch_alive,
    watch_files,
)
from supervisor_stack.core.moves.endings import settle, sweep
from supervisor_stack.core.moves.reloading import begin
from supervisor_stack.core.moves.starting import supervise
from supervisor_stack.core.moves.succession import make_successor, probe_successor
from supervisor_stack.core.state import AT_REST, Service, State


def adopt_down(service: Service, event: ev.Adopted, now: float, chance: float) -> Step:
    """It has no main process. What is there of it goes, unless the next run may begin beside it."""
    orders = watch_files(service) if service.state in (State.BACKOFF, State.FAILED) else ()
    if service.state in AT_REST and service.spec.hold:
        orders = (*orders, do.ReleaseSockets(service=service.name))
    if service.others and (service.state in AT_REST or not service.can_hand_over):
        service = msgspec.structs.replace(service, again=service.state not in AT_REST)
        service, sweeping = sweep(service, "clearing what is left of older runs", now)
        return service, (*orders, *sweeping)
    return service, orders


def adopt_starting(service: Service, event: ev.Adopted, now: float, chance: float) -> Step:
    """It was on its way: ask on; or begin anew, if nothing had been made yet."""
    service = msgspec.structs.replace(service, deadline=now + service.spec.start_timeout)
    if event.pid is not None and service.spec.check and service.report is None:
        # Where it listens is not known, and only its test tells.
        service = msgspec.structs.replace(service, adopted=True, pid=event.pid)
        return service, (do.RunCheck(service=service.name, run=service.run),)
    if event.pid is not None:
        made = ev.Spawned(service=service.name, run=service.run, pid=event.pid)
        found, orders = supervise(msgspec.structs.replace(service, adopted=True), made, now, chance)
        return found, (*watch_files(service), *orders)
    if service.pid is not None:
        return service, ()  # its end is told next
    if not service.wanted:
        return settle(service, now, chance)
    # What it needs may not be ready any more.
    return enter(service, State.WAITING, now, again=False), ()


def adopt_running(service: Service, event: ev.Adopted, now: float, chance: float) -> Step:
    """It has gone on without stackd: look after it as before."""
    if event.pid is None:
        return service, ()
    service = msgspec.structs.replace(service, adopted=True, pid=event.pid)
    if service.ready:
        watching = watch_alive(service)
    else:
        watching = (start_probe(service),) if service.spec.ready and service.spec.type == "service" else ()
    copying = keep_config(service) if service.ready else ()
    # Its sockets may not have been brought along; then they are had out of its process.
    held = (do.HoldSockets(service=service.name, addresses=service.held),) if service.spec.hold else ()
    return service, (*watch_files(service), *held, *_retire_others(service), *watching, *copying)


def adopt_reloading(service: Service, event: ev.Adopted, now: float, chance: float) -> Step:
    """It was being renewed or taking up files, which begins anew as far as it had not come to an end."""
    if event.pid is not None:
        service = msgspec.structs.replace(service, adopted=True)
    service = msgspec.structs.replace(service, deadline=now + service.spec.start_timeout)
    if service.successor is not None:
        service, orders = _adopt_successor(service, event, now, chance)
        return service, (*watch_files(service), *_retire_others(service), *orders)
    if event.pid is None:
        return service, ()
    reloading, orders = begin(service, now)
    return reloading, (*_retire_others(service), *orders)


def adopt_stopping(service: Service, event: ev.Adopted, now: float, chance: float) -> Step:
    """It was told to leave, or was about to be."""
    if event.pid is None and service.pid is None and not (service.is_over and service.others):
        return settle(service, now, chance)
    patience = now + service.spec.stop_timeout
    service = msgspec.structs.replace(service, patience=patience, refused=False, blocked=False)
    service, _ = keep(service, deadline=next_stop_deadline(service, now))
    if event.pid is None:
        return service, _retire_others(service)
    service = msgspec.structs.replace(service, pid=event.pid, adopted=True)
    return service, (*_retire_others(service), *ask_to_leave(service))


def adopt_killing(service: Service, event: ev.Adopted, now: float, chance: float) -> Step:
    """SIGKILL was sent, or was about to be."""
    service, _ = keep(service, deadline=now + KILL_TIMEOUT, adopted=event.pid is not None)
    return service, (do.Sweep(service=service.name, run=service.run),)


def _adopt_successor(service: Service, event: ev.Adopted, now: float, chance: float) -> Step:
    successor = service.successor
    if successor is None:
        return service, ()
    if event.successor_pid is None:
        # One that was there has ended, which is told next.
        return service, make_successor(service, successor.run) if successor.pid is None else ()
    found = msgspec.structs.replace(successor, adopted=True, pid=event.successor_pid)
    service = msgspec.structs.replace(service, successor=found)
    if found.ending is not None:
        ask = do.AskToLeave(service=service.name, run=found.run, signal=service.spec.stop_signal)
        return service, (ask,)
    made = ev.Spawned(service=service.name, run=found.run, pid=event.successor_pid)
    return probe_successor(service, made, now, chance)


def _retire_others(service: Service) -> tuple[do.Action, ...]:
    """All of them were told to finish before: this run is of use, or is not wanted either."""
    return tuple(retire(service, run) for run in service.others)
