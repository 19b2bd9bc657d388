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
    probe_address,
    run,
    start_probe,
    watch_files,
)
from supervisor_stack.core.state import Service, State


def test_reload(service: Service, event: ev.ReloadRequested, now: float, chance: float) -> Step:
    """Somebody asks for it."""
    return _begin(service, now)


def follow_change(service: Service, event: ev.FilesChanged, now: float, chance: float) -> Step:
    """Watched files changed."""
    return follow(service, now)


def follow(service: Service, now: float) -> Step:
    """Take up changed files by a reload, or by a new run, as the configuration says."""
    if service.is_leaving:
        return service, ()
    if service.spec.watch and service.spec.watch.action == "restart":
        return keep(service, again=True)
    return _begin(service, now)


def follow_later(service: Service, event: ev.Event, now: float, chance: float) -> Step:
    """Something changed after the files were read: once more when this is done."""
    return keep(service, stale=True)


def apply_reload(service: Service, event: ev.CheckFinished, now: float, chance: float) -> Step:
    """The test passed: signal and verify. It did not: nothing is signalled, all goes on as it was."""
    if not event.ok:
        service, orders = _end(service, event.summary, event.evidence, now)
        return service, (*watch_files(service), *orders)
    service = msgspec.structs.replace(service, report=event.report)
    return service, _signal(service)


def finish_reload(service: Service, event: ev.ReloadVerified, now: float, chance: float) -> Step:
    """It works with the new configuration."""
    return _end(msgspec.structs.replace(service, ready=True), "", (), now)


def reject_reload(service: Service, event: ev.ReloadFailed, now: float, chance: float) -> Step:
    """It did not take up the new configuration, and may not even answer any more."""
    ready = event.ready or service.spec.ready is None
    service, orders = _end(msgspec.structs.replace(service, ready=ready), event.reason, event.evidence, now)
    return service, orders if ready else (*orders, start_probe(service))


def abandon_reload(service: Service, event: ev.DeadlinePassed, now: float, chance: float) -> Step:
    """No verdict came."""
    service, orders = _end(service, "the reload came to no verdict", (), now)
    return service, (do.StopCheck(service=service.name), *orders)


def _begin(service: Service, now: float) -> Step:
    """Test the changed configuration first; nothing is signalled yet."""
    spec = service.spec
    if spec.reload is None:
        return service, ()
    allowed = spec.reload.timeout + (spec.check.timeout if spec.check else 0.0)
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
    return _begin(ended, now) if service.stale else (ended, ())
