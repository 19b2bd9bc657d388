"""From the wish to start to being of use, and back there after a failure."""

from __future__ import annotations

import msgspec

from supervisor_stack.core import actions as do
from supervisor_stack.core import events as ev
from supervisor_stack.core.moves.base import (
    Step,
    enter,
    keep,
    keep_config,
    lasted,
    retire,
    run,
    spawn,
    start_probe,
    terminate,
    told_of_copy,
    wait,
    watch_alive,
    watch_files,
)
from supervisor_stack.core.moves.endings import settle
from supervisor_stack.core.moves.reloading import follow
from supervisor_stack.core.state import NEVER, Copy, Ending, Service, State


def note_needs(service: Service, event: ev.DependenciesPending, now: float, chance: float) -> Step:
    """Say what is missing."""
    return keep(service, reason=event.reason, blocked=event.blocked, stalled=event.stalled)


def begin(service: Service, event: ev.DependenciesReady, now: float, chance: float) -> Step:
    """A new run: first the configuration test, where it is cheap and its report is needed."""
    number = service.last_run + 1
    started = enter(
        service,
        State.STARTING,
        now,
        run=number,
        last_run=number,
        runs_as=None,
        stale=False,
        blocked=False,
        stalled=False,
        ending=None,
        deadline=now + service.spec.start_timeout,
        # Why the last run ended stays in sight until this one is ready.
        reason=service.ending.reason if service.ending else "",
        started=now,
        adopted=False,
    )
    if service.spec.check and service.spec.check.before_start:
        return started, (do.RunCheck(service=service.name, run=number),)
    return started, (*watch_files(started), spawn(started, number))


def spawn_checked(service: Service, event: ev.CheckFinished, now: float, chance: float) -> Step:
    """The test before a start is done: go on, or fail without trying what cannot work."""
    if service.pid is not None:  # adopted, and it was asked for where it listens
        service = msgspec.structs.replace(service, report=event.report if event.ok else service.report)
        made = ev.Spawned(service=service.name, run=service.run, pid=service.pid or 0)
        found, orders = supervise(service, made, now, chance)
        return found, (*watch_files(service), *orders)
    if event.ok:
        if not (service.copy and service.copy.fell):
            service = msgspec.structs.replace(service, report=event.report, copy=None)
    elif event.final and service.kept:
        service = msgspec.structs.replace(service, copy=Copy(event.summary, event.evidence))
    else:
        # Watched all the same: the cure is a change of these files.
        ending = Ending(event.summary, event.evidence, final=event.final)
        failed, orders = settle(msgspec.structs.replace(service, ending=ending), now, chance)
        return failed, (*watch_files(service), *orders)
    return service, (*watch_files(service), spawn(service, service.run))


def supervise(service: Service, event: ev.Spawned, now: float, chance: float) -> Step:
    """The process exists: ask it whether it is ready, if there is a way to ask."""
    service = msgspec.structs.replace(service, pid=event.pid)
    if service.spec.type == "task":
        return enter(service, State.RUNNING, now, reason="", detail=()), ()
    if service.spec.ready is None:
        return _take_up(service, now)
    return service, (start_probe(service),)


def accept(service: Service, event: ev.BecameReady, now: float, chance: float) -> Step:
    """It answers: it is of use. Files that changed while it started may have been read before that."""
    stale = service.stale
    service, orders = _take_up(service, now)
    if not stale:
        return service, orders
    service, more = follow(service, now)
    return service, (*orders, *more)


def _take_up(service: Service, now: float) -> Step:
    """It is of use, and what older runs have left is not needed any more."""
    if service.copy:
        told, detail = told_of_copy(service), service.copy.detail
        service = msgspec.structs.replace(service, rejected=told, rejected_detail=detail)
    else:
        service = msgspec.structs.replace(service, rejected="", rejected_detail=())
    retiring = tuple(retire(service, other) for other in service.others)
    # It may have told by itself that it is ready, while it was being asked.
    watch = watch_alive(service) or (do.StopProbe(service=service.name),)
    # What another run listened at may still be held.
    held = (do.HoldSockets(service=service.name, addresses=service.held),) if service.spec.hold else ()
    return run(service, now), (*held, *retiring, *watch, *keep_config(service))


def recover(service: Service, event: ev.BecameReady, now: float, chance: float) -> Step:
    """It answers again."""
    service, _ = keep(service, ready=True, reason="", detail=())
    return service, watch_alive(service)


def judge_answer(service: Service, event: ev.ProbeFailed, now: float, chance: float) -> Step:
    """Say how far it is; a run that can never get ready is not waited for, one that comes nearer is."""
    if event.hopeless:
        ending = Ending(event.answer, unexplained=True)
        return terminate(msgspec.structs.replace(service, ending=ending), now)
    patience = now + service.spec.start_timeout if event.progress else 0.0
    return keep(service, reason=event.answer, deadline=max(service.deadline, patience))


def note_answer(service: Service, event: ev.ProbeFailed, now: float, chance: float) -> Step:
    """Say how far it is."""
    return keep(service, reason=event.answer)


def note_status(service: Service, event: ev.StatusReceived, now: float, chance: float) -> Step:
    """The service tells about itself, and may ask for more time (EXTEND_TIMEOUT_USEC)."""
    deadline = max(service.deadline, now + event.extend) if event.extend else service.deadline
    return keep(service, reason=event.status or service.reason, deadline=deadline)


def note_copy(service: Service, event: ev.ConfigKept, now: float, chance: float) -> Step:
    """There is a copy of its configuration to fall back on."""
    return keep(service, kept=event.at)


def give_up_start(service: Service, event: ev.DeadlinePassed, now: float, chance: float) -> Step:
    """Too late. It gets its stop signal, not SIGKILL: it may be a database in recovery."""
    waited = f"not ready within {lasted(service.since, now)}"
    reason = f"{waited}: {service.reason}" if service.reason else waited
    return terminate(msgspec.structs.replace(service, ending=Ending(reason)), now)


def trust(service: Service, event: ev.DeadlinePassed, now: float, chance: float) -> Step:
    """It has been well for `reset_after` seconds: the next failure is a first one again."""
    return keep(service, failures=0, deadline=NEVER)


def retry(service: Service, event: ev.DeadlinePassed, now: float, chance: float) -> Step:
    """The backoff is over."""
    return enter(service, State.WAITING, now), ()


def start_exited(service: Service, event: ev.StartRequested, now: float, chance: float) -> Step:
    """A service that came to its end runs again. A task that is done stays done."""
    if service.spec.type == "task" and service.wanted:
        return service, ()
    return wait(service, now), ()


def retry_changed(service: Service, event: ev.FilesChanged, now: float, chance: float) -> Step:
    """Its files changed: what failed for good before may work now."""
    if not service.wanted:
        return service, ()
    return wait(service, now), ()
