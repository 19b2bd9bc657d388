"""Taking up a changed configuration: tested first, verified after; the old one stays until then."""

from __future__ import annotations

import msgspec

from supervisor_stack.core import actions as do
from supervisor_stack.core import events as ev
from supervisor_stack.core.moves.base import (
    KILL_TIMEOUT,
    Step,
    enter,
    keep,
    keep_config,
    lasted,
    probe_address,
    run,
    start_probe,
    watch_files,
)
from supervisor_stack.core.moves.succession import give_up_successor, renew
from supervisor_stack.core.state import Service, State


def test_reload(service: Service, event: ev.ReloadRequested, now: float, chance: float) -> Step:
    """Somebody asks for it."""
    return begin(service, now)


def follow_change(service: Service, event: ev.FilesChanged, now: float, chance: float) -> Step:
    """Watched files changed."""
    return follow(service, now)


def follow(service: Service, now: float) -> Step:
    """Take up changed files by a reload, or by a new run, as the configuration says."""
    if service.is_leaving:
        return service, ()
    if service.spec.watch and service.spec.watch.action == "restart":
        return renew(service, now)
    return begin(service, now)


def follow_later(service: Service, event: ev.Event, now: float, chance: float) -> Step:
    """Something changed after the files were read: once more when this is done."""
    return keep(service, stale=True)


def apply_reload(service: Service, event: ev.CheckFinished, now: float, chance: float) -> Step:
    """The test passed: signal and verify. It did not: nothing is signalled, all goes on as it was."""
    if not event.ok:
        service, orders = _end(service, event.summary, event.evidence, now)
        return service, (*watch_files(service), *orders)
    if service.copy:  # a signal would have it read the copy again
        return keep(service, again=True)
    service = msgspec.structs.replace(service, report=event.report)
    return service, _signal(service)


def finish_reload(service: Service, event: ev.ReloadVerified, now: float, chance: float) -> Step:
    """It works with the new configuration, and listens where that says."""
    service = msgspec.structs.replace(service, ready=True)
    following = keep_config(service)
    if service.spec.hold:
        following = (do.HoldSockets(service=service.name, addresses=service.held), *following)
    service, orders = _end(service, "", (), now)
    return service, (*following, *orders)


def reject_reload(service: Service, event: ev.ReloadFailed, now: float, chance: float) -> Step:
    """It did not take up the new configuration, and may not even answer any more."""
    ready = event.ready or service.spec.ready is None
    service, orders = _end(msgspec.structs.replace(service, ready=ready), event.reason, event.evidence, now)
    return service, orders if ready else (*orders, start_probe(service))


def abandon_reload(service: Service, event: ev.DeadlinePassed, now: float, chance: float) -> Step:
    """No verdict came."""
    if service.successor:
        waited = f"not ready within {lasted(service.since, now)}"
        answer = service.successor.answer
        return give_up_successor(service, f"{waited}: {answer}" if answer else waited, (), now)
    service, orders = _end(service, "the reload came to no verdict", (), now)
    return service, (do.StopCheck(service=service.name), *orders)


def note_unheld(service: Service, event: ev.HoldFailed, now: float, chance: float) -> Step:
    """Where it listens of its own accord nobody can wait for its next run, nor share with this one."""
    if service.report is None:
        return service, ()
    held = tuple(address for address in service.report.hold if address not in event.addresses)
    return keep(service, report=msgspec.structs.replace(service.report, hold=held))


def begin(service: Service, now: float) -> Step:
    """Test the changed configuration first; nothing is signalled yet."""
    spec = service.spec
    by_successor = service.copy or (spec.reload and spec.reload.by_successor)
    if by_successor and service.can_hand_over:
        return renew(service, now)
    if spec.reload is None and not (service.copy and spec.check):
        return service, ()
    allowed = (spec.reload.timeout if spec.reload else 0.0) + (spec.check.timeout if spec.check else 0.0)
    # The shell bounds both steps itself; this deadline only catches the shell's own failure.
    service = enter(service, State.RELOADING, now, stale=False, deadline=now + allowed + KILL_TIMEOUT)
    if spec.check:
        return service, (do.RunCheck(service=service.name, run=service.run),)
    return service, _signal(service)


def _signal(service: Service) -> tuple[do.Action, ...]:
    reload = do.StartReload(service=service.name, run=service.run, address=probe_address(service))
    return (*watch_files(service), reload)


def _end(service: Service, problem: str, evidence: tuple[str, ...], now: float) -> Step:
    """Back to running: as ready as it is, and with the verdict on its configuration."""
    verdict = msgspec.structs.replace(service, stale=False, rejected=problem, rejected_detail=evidence)
    ended = run(verdict, now)
    if not service.ready:
        ended = msgspec.structs.replace(ended, ready=False, reason=problem or service.reason)
    return begin(ended, now) if service.stale and not service.renew else (ended, ())
