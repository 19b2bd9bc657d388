"""A new run beside the present one: it takes over when it is ready, and until then nothing is lost.

The sockets are held by stackd and shared by both, so that there is no moment without anybody to
accept. A successor that does not get ready is dismissed, and the present run has never stopped serving.
"""

from __future__ import annotations

import msgspec

from supervisor_stack.core import actions as do
from supervisor_stack.core import events as ev
from supervisor_stack.core.moves.base import (
    Step,
    dismiss,
    enter,
    keep,
    keep_config,
    probe_address,
    retire,
    run,
    spawn,
    terminate,
    told_of_copy,
    watch_alive,
    watch_files,
)
from supervisor_stack.core.moves.endings import after_exit, explain, judge, record, with_leftovers
from supervisor_stack.core.state import Copy, Ending, Service, State, Successor


def renew_on_request(service: Service, event: ev.RestartRequested, now: float, chance: float) -> Step:
    """A restart: by a successor where that is possible, as soon as nothing else is under way."""
    if event.hard or not service.ready or not service.can_hand_over:
        return keep(service, wanted=True, again=True)
    return keep(service, wanted=True, renew=True)


def begin_renewal(service: Service, event: ev.DependenciesReady, now: float, chance: float) -> Step:
    """All that a successor needs is ready."""
    return renew(service, now) if service.renew else (service, ())


def call_off_renewal(service: Service, event: ev.DependenciesPending, now: float, chance: float) -> Step:
    """What a successor needs is not going to be ready."""
    if not service.renew or not event.blocked:
        return service, ()
    return keep(service, renew=False, rejected=event.reason, rejected_detail=())


def renew(service: Service, now: float) -> Step:
    """Begin a successor, or end the present run first where two cannot live beside each other."""
    if not service.can_hand_over:
        return keep(service, again=True)
    number = service.last_run + 1
    service = enter(
        service,
        State.RELOADING,
        now,
        successor=Successor(run=number, started=now),
        last_run=number,
        renew=False,
        stale=False,
        deadline=now + service.spec.start_timeout,
    )
    return service, make_successor(service, number)


def make_successor(service: Service, number: int) -> tuple[do.Action, ...]:
    """The first orders of a successor."""
    if service.spec.check and service.spec.check.before_start:
        return (do.RunCheck(service=service.name, run=number),)
    from_files = msgspec.structs.replace(service, copy=None)
    return (*watch_files(service), spawn(from_files, number, beside=True))


# What happens to the successor.


def spawn_successor(service: Service, event: ev.CheckFinished, now: float, chance: float) -> Step:
    """The files are good: make its process."""
    if not event.ok:
        service, orders = give_up_successor(service, event.summary, event.evidence, now)
        return service, (*watch_files(service), *orders)
    heir = msgspec.structs.replace(service, report=event.report, copy=None)
    if not heir.can_hand_over:
        # It is going to listen at an address that cannot be shared: one run after the other, then.
        return _end(msgspec.structs.replace(service, successor=None), now, again=True), ()
    orders = (*watch_files(heir), spawn(heir, event.run, beside=True))
    return _with_successor(service, report=event.report), orders


def probe_successor(service: Service, event: ev.Spawned, now: float, chance: float) -> Step:
    """Its process exists: ask it."""
    service = _with_successor(service, pid=event.pid)
    return service, probe_again(service)


def probe_again(service: Service) -> tuple[do.Action, ...]:
    """Ask the successor, from the beginning, if its process exists."""
    heir = _heir(service)
    if service.successor is None or heir.pid is None:
        return ()
    return (do.StartProbe(service=heir.name, run=heir.run, address=probe_address(heir), beside=True),)


def judge_successor(service: Service, event: ev.ProbeFailed, now: float, chance: float) -> Step:
    """It is not ready yet, or never will be."""
    if event.hopeless:
        # It goes now, and its last words will say more.
        service = msgspec.structs.replace(service, deadline=now + service.spec.stop_timeout)
        ending = Ending(event.answer, unexplained=True)
        ask = do.AskToLeave(service=service.name, run=event.run, signal=service.spec.stop_signal)
        service = _with_successor(service, answer=event.answer, ending=ending)
        return service, (do.StopProbe(service=service.name), ask)
    patience = now + service.spec.start_timeout if event.progress else 0.0
    service = msgspec.structs.replace(service, deadline=max(service.deadline, patience))
    return _with_successor(service, answer=event.answer), ()


def note_successor(service: Service, event: ev.StatusReceived, now: float, chance: float) -> Step:
    """It tells about itself, and may ask for more time."""
    deadline = max(service.deadline, now + event.extend) if event.extend else service.deadline
    service = msgspec.structs.replace(service, deadline=deadline)
    return _with_successor(service, answer=event.status) if event.status else service, ()


def take_over(service: Service, event: ev.BecameReady, now: float, chance: float) -> Step:
    """It is ready: it is the service now, and the run before it may finish what it is doing."""
    old = service.run
    why = service.hung or f"replaced by run {event.run}"
    heir = _heir(record(service, Ending(why, clean=True), now, replaced=True))
    heir = msgspec.structs.replace(
        heir,
        others=(*service.others, old),
        restarts=service.restarts + bool(service.hung),
        rejected="",
        rejected_detail=(),
        copy=None,
    )
    orders = (
        do.HoldSockets(service=heir.name, addresses=heir.held),
        *(retire(heir, other) for other in heir.others),
        *watch_alive(heir),
        *keep_config(heir),
    )
    # A restart that was asked for meanwhile is still to come, and files that changed are read by that.
    return msgspec.structs.replace(run(heir, now), renew=service.renew or service.stale), orders


def lose_successor(service: Service, event: ev.ProcessExited, now: float, chance: float) -> Step:
    """It ended before it was ready."""
    known = service.successor.ending if service.successor else None
    unready = msgspec.structs.replace(service, ready=False)
    ending = explain(known, event) if known else judge(unready, event, now)
    return give_up_successor(service, ending.reason, ending.detail, now)


def fail_successor(service: Service, event: ev.SpawnFailed, now: float, chance: float) -> Step:
    """There is no process, and why."""
    return give_up_successor(service, event.reason, event.detail, now)


def give_up_successor(service: Service, reason: str, detail: tuple[str, ...], now: float) -> Step:
    """The present run goes on, which has never stopped serving; one that hangs is ended all the same."""
    service, dismissal = dismiss(service)
    orders = (do.StopProbe(service=service.name), do.StopCheck(service=service.name), *dismissal)
    if service.hung:
        told = f"{service.hung}; a new run beside it failed: {reason}"
        service, more = terminate(
            msgspec.structs.replace(service, ending=Ending(told, detail, hung=True)), now
        )
        return service, (*orders, *more)
    if service.copy:
        service = msgspec.structs.replace(service, copy=Copy(reason, detail))
        reason = told_of_copy(service)
    verdict = msgspec.structs.replace(service, rejected=reason, rejected_detail=detail)
    # Files that changed meanwhile may be the cure.
    ended = msgspec.structs.replace(_end(verdict, now), renew=service.renew or service.stale)
    return ended, (*orders, *watch_alive(service))


# What happens to the present run meanwhile.


def lose_present(service: Service, event: ev.ProcessExited, now: float, chance: float) -> Step:
    """The present run ends while a successor is on its way: that one goes on as a start like any other."""
    if service.successor is None:
        return after_exit(service, event, now, chance)
    if service.is_leaving:
        service, dismissal = dismiss(service)
        service, orders = after_exit(service, event, now, chance)
        return service, (*dismissal, *orders)
    ending = judge(service, event, now)
    heir = msgspec.structs.replace(
        _heir(record(service, ending, now)),
        others=with_leftovers(service, event),
        stale=service.stale or service.renew,
        copy=None,
    )
    return enter(
        heir,
        State.STARTING,
        now,
        deadline=service.deadline,
        reason=ending.reason,
        detail=ending.detail,
        failures=service.failures + 1,
        restarts=service.restarts + 1,
    ), ()


def _heir(service: Service) -> Service:
    """The service with its successor in the place of the present run."""
    successor = service.successor
    if successor is None:
        return service
    return msgspec.structs.replace(
        service,
        run=successor.run,
        pid=successor.pid,
        started=successor.started,
        report=successor.report or service.report,
        runs_as=successor.runs_as,
        successor=None,
        adopted=successor.adopted,
    )


def _with_successor(service: Service, **changes: object) -> Service:
    if service.successor is None:
        return service
    return msgspec.structs.replace(service, successor=msgspec.structs.replace(service.successor, **changes))


def _end(service: Service, now: float, again: bool = False) -> Service:
    """Back to running with the present run."""
    return msgspec.structs.replace(run(service, now), again=again or service.again, stale=False)
