"""The words that all moves are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from supervisor_stack.core import actions as do
from supervisor_stack.core.state import NEVER, Service, State
from supervisor_stack.spec import Address, Watch

KILL_TIMEOUT = 10.0
"""Seconds after SIGKILL until a process counts as unkillable (uninterruptible sleep on a dead disk)."""

Step = tuple[Service, tuple[do.Action, ...]]
Move = Callable[[Service, Any, float, float], Step]
"""(service, event, now, chance) -> (service, orders); `chance` is a random number in [0, 1)."""


def lasted(since: float, now: float) -> str:
    """A time as people say it: `0.3 s`, `60 s`."""
    return f"{round(now - since, 1):g} s"


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
        renew=False,
        failures=0,
        failed_at=(),
        reason="",
        detail=(),
        blocked=False,
        stalled=False,
        ending=None,
        copy=None,
    )


def run(service: Service, now: float) -> Service:
    """It is of use. After a failure it has to stay so for `reset_after` seconds to be trusted again."""
    trusted_at = now + service.spec.backoff.reset_after if service.failures else NEVER
    return enter(
        service,
        State.RUNNING,
        now,
        ready=True,
        reason="",
        detail=(),
        ending=None,
        deadline=trusted_at,
        missed=0,
    )


def terminate(service: Service, now: float) -> Step:
    """End the present run gracefully: the main process is asked to go, nobody else is signalled.

    uWSGI's workers and Redis's saving child misread a signal that was meant for their parent.
    """
    orders = quiet(service)
    if service.is_leaving:  # older runs may serve on until a new one is ready, and there will be none
        orders = (*orders, *(retire(service, other) for other in service.others))
    if service.successor:
        service, retiring = dismiss(service)
        orders = (*orders, *retiring)
    patience = now + service.spec.stop_timeout
    leaving = enter(service, State.STOPPING, now, ready=False, stale=False, refused=False, patience=patience)
    leaving = msgspec.structs.replace(leaving, deadline=next_stop_deadline(leaving, now))
    return leaving, orders if service.pid is None else (*orders, *ask_to_leave(service))


def next_stop_deadline(service: Service, now: float) -> float:
    """When a stopping service gets its signal again, or has used up its time."""
    again = service.spec.stop_again
    return min(service.patience, now + again) if again else service.patience


def ask_to_leave(service: Service) -> tuple[do.Action, ...]:
    """Tell it to stop, and look whether it obeys where it may refuse."""
    name, run = service.name, service.run
    ask = do.AskToLeave(service=name, run=run, signal=service.spec.stop_signal)
    # Looked at from before it is told, or the answer may be missed.
    return (do.WatchStop(service=name, run=run), ask) if service.spec.stop_refusal else (ask,)


def dismiss(service: Service) -> Step:
    """End the successor, which is not needed or did not get ready; the present run goes on."""
    if service.successor is None:
        return service, ()
    run = service.successor.run
    service = msgspec.structs.replace(service, successor=None, others=(*service.others, run))
    return service, (retire(service, run), do.HoldSockets(service=service.name, addresses=service.held))


def retire(service: Service, run: int) -> do.Action:
    """End what is left of another run, gracefully if it lets itself be."""
    spec = service.spec
    orphans = spec.hold.retire_signal if spec.hold else ""
    return do.Retire(
        service=service.name, run=run, stop=spec.stop_signal, orphans=orphans, timeout=spec.stop_timeout
    )


def spawn(service: Service, run: int, *, beside: bool = False) -> do.Action:
    """Make the process of a run, with the sockets that are held for the service."""
    return do.Spawn(
        service=service.name,
        run=run,
        addresses=service.addresses,
        hold=service.held,
        beside=beside,
        copy=service.copy is not None,
    )


def quiet(service: Service) -> tuple[do.Action, ...]:
    """Nothing is to be asked of it any more."""
    return (do.StopProbe(service=service.name), do.StopCheck(service=service.name))


def start_probe(service: Service) -> do.Action:
    """Ask until it is ready."""
    address = probe_address(service)
    return do.StartProbe(service=service.name, run=service.run, address=address, beside=bool(service.others))


def watch_alive(service: Service) -> tuple[do.Action, ...]:
    """Ask from now on whether it still answers, if there is a way to ask."""
    if service.spec.alive is None:
        return ()
    address = service.spec.alive.address or probe_address(service)
    return (do.WatchAlive(service=service.name, run=service.run, address=address),)


def told_of_copy(service: Service) -> str:
    """That it runs on the copy of its configuration, and why."""
    why = f": {service.copy.reason}" if service.copy else ""
    return f"runs on the copy of its configuration of {service.kept}{why}"


def keep_config(service: Service) -> tuple[do.Action, ...]:
    """Its configuration has proved good: keep a copy, unless it is one."""
    if not service.spec.copy or service.copy:
        return ()
    return (do.KeepConfig(service=service.name, run=service.run),)


def probe_address(service: Service) -> Address | None:
    """Where the ready probe asks: as configured, else the first address that its test reported."""
    if service.spec.ready and service.spec.ready.address:
        return service.spec.ready.address
    return service.report.addresses[0] if service.report and service.report.addresses else None


def watch_files(service: Service) -> tuple[do.Action, ...]:
    """Watch what its configuration is made of now; always while a copy stands in for broken files."""
    watch = service.spec.watch or (Watch() if service.copy else None)
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
