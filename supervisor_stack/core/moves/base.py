"""The words that all moves are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from supervisor_stack.core import actions as do
from supervisor_stack.core.state import NEVER, Service, State
from supervisor_stack.spec import Address

KILL_TIMEOUT = 10.0
"""Seconds after SIGKILL until a process counts as unkillable (uninterruptible sleep on a dead disk)."""

Step = tuple[Service, tuple[do.Action, ...]]
Move = Callable[[Service, Any, float, float], Step]
"""(service, event, now, chance) -> (service, orders); `chance` is a random number in [0, 1)."""


def enter(service: Service, state: State, now: float, **changes: Any) -> Service:
    """Into another state: a new `since`, and no deadline unless one is given."""
    changes.setdefault("deadline", NEVER)
    return msgspec.structs.replace(service, state=state, since=now, **changes)


def keep(service: Service, **changes: Any) -> Step:
    """The state stays, something known about the service changes; no orders."""
    return msgspec.structs.replace(service, **changes), ()


def wait(service: Service, now: float) -> Service:
    """Begin from rest, with all earlier failures forgotten."""
    return enter(
        service,
        State.WAITING,
        now,
        wanted=True,
        again=False,
        failures=0,
        failed_at=(),
        reason="",
        detail=(),
        blocked=False,
        ending=None,
    )


def run(service: Service, now: float) -> Service:
    """It is of use. After a failure it has to stay so for `reset_after` seconds to be trusted again."""
    trusted_at = now + service.spec.backoff.reset_after if service.failures else NEVER
    return enter(
        service, State.RUNNING, now, ready=True, reason="", detail=(), ending=None, deadline=trusted_at
    )


def terminate(service: Service, now: float) -> Step:
    """End the present run gracefully: the main process is asked to go, nobody else is signalled.

    uWSGI's workers and Redis's saving child misread a signal that was meant for their parent.
    """
    leaving = enter(service, State.STOPPING, now, ready=False, stale=False)
    leaving = msgspec.structs.replace(leaving, deadline=next_stop_deadline(leaving, now))
    if service.pid is None:
        return leaving, quiet(service)
    return leaving, (*quiet(service), *stop_signals(service))


def next_stop_deadline(service: Service, now: float) -> float:
    """When a stopping service gets its signal again, or has used up its time."""
    patience = service.since + service.spec.stop_timeout
    return min(patience, now + service.spec.stop_again) if service.spec.stop_again else patience


def stop_signals(service: Service) -> tuple[do.Action, ...]:
    """Its stop signal, and SIGCONT: a stopped process (SIGSTOP) sees no other signal until it goes on."""
    name, run = service.name, service.run
    return tuple(do.Signal(service=name, run=run, name=each) for each in (service.spec.stop_signal, "CONT"))


def quiet(service: Service) -> tuple[do.Action, ...]:
    """Nothing is to be asked of it any more."""
    return (do.StopProbe(service=service.name), do.StopCheck(service=service.name))


def start_probe(service: Service) -> do.Action:
    """Ask until it is ready."""
    return do.StartProbe(service=service.name, run=service.run, address=probe_address(service))


def probe_address(service: Service) -> Address | None:
    """Where the ready probe asks: as configured, else the first address that its test reported."""
    if service.spec.ready and service.spec.ready.address:
        return service.spec.ready.address
    return service.report.addresses[0] if service.report and service.report.addresses else None


def watch_files(service: Service) -> tuple[do.Action, ...]:
    """Watch what its configuration is made of now."""
    watch = service.spec.watch
    if watch is None:
        return ()
    files: tuple[str, ...]
    globs: tuple[str, ...]
    if watch.paths:
        files, globs = watch.paths, ()
    elif service.report:
        files, globs = service.report.files, service.report.globs
    else:
        files, globs = (service.spec.config,), ()
    return (do.WatchFiles(service=service.name, files=files, globs=globs, debounce=watch.debounce),)
