"""From the wish to start to being of use, and back there after a failure."""

from __future__ import annotations

import msgspec

from supervisor_stack.core import actions as do
from supervisor_stack.core import events as ev
from supervisor_stack.core.moves.base import Step, enter, keep, run, start_probe, terminate, wait, watch_files
from supervisor_stack.core.moves.endings import settle
from supervisor_stack.core.moves.reloading import follow
from supervisor_stack.core.state import NEVER, Ending, Service, State


def note_needs(service: Service, event: ev.DependenciesPending, now: float, chance: float) -> Step:
    """Say what is missing."""
    return keep(service, reason=event.reason, blocked=event.blocked)


def begin(service: Service, event: ev.DependenciesReady, now: float, chance: float) -> Step:
    """A new run: first the configuration test, where it is cheap and its report is needed."""
    number = service.run + 1
    started = enter(
        service,
        State.STARTING,
        now,
        run=number,
        stale=False,
        blocked=False,
        ending=None,
        deadline=now + service.spec.start_timeout,
        # Why the last run ended stays in sight until this one is ready.
        reason=service.ending.reason if service.ending else "",
        started=now,
    )
    if service.spec.check and service.spec.check.before_start:
        return started, (do.RunCheck(service=service.name, run=number),)
    spawn = do.Spawn(service=service.name, run=number, addresses=service.spec.addresses)
    return started, (*watch_files(started), spawn)


def spawn_checked(service: Service, event: ev.CheckFinished, now: float, chance: float) -> Step:
    """The test before a start is done: go on, or fail without trying what cannot work."""
    if not event.ok:
        # Watched all the same: the cure is a change of these files.
        ending = Ending(event.summary, event.evidence, final=event.final)
        failed = msgspec.structs.replace(service, ending=ending)
        return settle(failed, now, chance), watch_files(service)
    service = msgspec.structs.replace(service, report=event.report)
    addresses = event.report.addresses if event.report else service.spec.addresses
    spawn = do.Spawn(service=service.name, run=service.run, addresses=addresses)
    return service, (*watch_files(service), spawn)


def supervise(service: Service, event: ev.Spawned, now: float, chance: float) -> Step:
    """The process exists: ask it whether it is ready, if there is a way to ask."""
    service = msgspec.structs.replace(service, pid=event.pid)
    if service.spec.type == "task":
        return enter(service, State.RUNNING, now, reason="", detail=()), ()
    if service.spec.ready is None:
        return run(service, now), ()
    return service, (start_probe(service),)


def accept(service: Service, event: ev.BecameReady, now: float, chance: float) -> Step:
    """It answers: it is of use. Files that changed while it started may have been read before that."""
    service = run(service, now)
    return follow(service, now) if service.stale else (service, ())


def recover(service: Service, event: ev.BecameReady, now: float, chance: float) -> Step:
    """It answers again."""
    return keep(service, ready=True, reason="", detail=())


def judge_answer(service: Service, event: ev.ProbeFailed, now: float, chance: float) -> Step:
    """Say how far it is; a run that can never get ready is not waited for."""
    if event.hopeless:
        ending = Ending(event.answer, unexplained=True)
        return terminate(msgspec.structs.replace(service, ending=ending), now)
    return note_answer(service, event, now, chance)


def note_answer(service: Service, event: ev.ProbeFailed, now: float, chance: float) -> Step:
    """Say how far it is."""
    return keep(service, reason=event.answer)


def note_status(service: Service, event: ev.StatusReceived, now: float, chance: float) -> Step:
    """The service tells about itself, and may ask for more time (EXTEND_TIMEOUT_USEC)."""
    deadline = max(service.deadline, now + event.extend) if event.extend else service.deadline
    return keep(service, reason=event.status or service.reason, deadline=deadline)


def give_up_start(service: Service, event: ev.DeadlinePassed, now: float, chance: float) -> Step:
    """Too late. It gets its stop signal, not SIGKILL: it may be a database in recovery."""
    waited = f"not ready within {service.spec.start_timeout:g} s"
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
