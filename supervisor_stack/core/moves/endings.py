"""How a run ends, what that means, and what comes next."""

from __future__ import annotations

from typing import Any

import msgspec

from supervisor_stack.core import actions as do
from supervisor_stack.core import events as ev
from supervisor_stack.core import restart
from supervisor_stack.core.evidence import excerpt, telling_line
from supervisor_stack.core.moves.base import KILL_TIMEOUT, Step, enter, quiet, wait
from supervisor_stack.core.state import Ending, ExitRecord, Service, State

REMEMBERED_EXITS = 5

SIGNAL_NAMES = {
    1: "HUP", 2: "INT", 3: "QUIT", 4: "ILL", 5: "TRAP", 6: "ABRT", 7: "BUS", 8: "FPE", 9: "KILL",
    10: "USR1", 11: "SEGV", 12: "USR2", 13: "PIPE", 14: "ALRM", 15: "TERM", 24: "XCPU", 31: "SYS",
}  # fmt: skip
"""Linux's numbers (signal(7)); the core may not ask the signal module. Others are told by number."""


def after_exit(service: Service, event: ev.ProcessExited, now: float, chance: float) -> Step:
    """The main process is gone by itself. Whatever it left behind goes before the next run."""
    return _clear(service, _judge(service, event), event, now, chance)


def after_stop(service: Service, event: ev.ProcessExited, now: float, chance: float) -> Step:
    """The main process is gone because it was told to."""
    ending = service.ending or Ending(describe_exit(event.code), clean=True)
    return _clear(service, _explain(ending, event), event, now, chance)


def after_kill(service: Service, event: ev.ProcessExited, now: float, chance: float) -> Step:
    """SIGKILL reached the main process; the others may still be on their way."""
    service = _record(service, _explain(service.ending or Ending(service.reason), event), now)
    return (service, ()) if event.leftovers else (settle(service, now, chance), ())


def swept(service: Service, event: ev.MembersGone, now: float, chance: float) -> Step:
    """The last process is gone."""
    return settle(service, now, chance), ()


def after_spawn_failure(service: Service, event: ev.SpawnFailed, now: float, chance: float) -> Step:
    """There is no process, and why."""
    ending = Ending(event.reason, event.detail, final=event.final)
    return settle(msgspec.structs.replace(service, ending=ending), now, chance), ()


def describe_exit(code: int) -> str:
    """An exit status as people say it: `exit status 1`, `killed by SIGSEGV`."""
    if code >= 0:
        return f"exit status {code}"
    return f"killed by SIG{SIGNAL_NAMES[-code]}" if -code in SIGNAL_NAMES else f"killed by signal {-code}"


def _explain(ending: Ending, event: ev.ProcessExited) -> Ending:
    """With the run's own words, where the reason alone says too little."""
    if not ending.unexplained or not event.last_words:
        return ending
    return Ending(f"{ending.reason}: {telling_line(event.last_words)}", excerpt(event.last_words))


def _judge(service: Service, event: ev.ProcessExited) -> Ending:
    """What an exit that nobody asked for means."""
    words = event.last_words
    if event.code == 0 and event.leftovers and service.spec.type == "service" and not service.ready:
        told = "it put itself into the background; its command has to stay in the foreground"
        return Ending(told, excerpt(words), final=True)
    reason = describe_exit(event.code)
    if event.code != 0 and words:
        reason = f"{reason}: {telling_line(words)}"
    if meaning := service.spec.final_exits.get(event.code):
        return Ending(f"{reason} ({meaning})", excerpt(words), final=True)
    return Ending(reason, excerpt(words), clean=event.code == 0)


def _clear(service: Service, ending: Ending, event: ev.ProcessExited, now: float, chance: float) -> Step:
    service = _record(service, ending, now)
    if not event.leftovers:
        return settle(service, now, chance), quiet(service)
    told = f"{ending.reason}; clearing {event.leftovers} left-over processes"
    service = enter(service, State.KILLING, now, reason=told, deadline=now + KILL_TIMEOUT)
    return service, (*quiet(service), do.Sweep(service=service.name, run=service.run))


def _record(service: Service, ending: Ending, now: float) -> Service:
    record = ExitRecord(service.run, now, ending.reason, now - service.started)
    exits = (*service.exits, record)[-REMEMBERED_EXITS:]
    return msgspec.structs.replace(service, pid=None, ready=False, stale=False, ending=ending, exits=exits)


def settle(service: Service, now: float, chance: float) -> Service:
    """All processes of the run are gone: what comes next."""
    ending = service.ending or Ending("stopped", clean=True)
    service = msgspec.structs.replace(service, blocked=False)
    if not service.wanted:
        reason = "" if ending.clean else ending.reason
        detail = () if ending.clean else ending.detail
        return enter(
            service, State.STOPPED, now, pid=None, again=False, reason=reason, detail=detail, ending=None
        )
    if service.again:
        return wait(service, now)
    if ending.clean and (service.spec.type == "task" or service.spec.restart != "always"):
        return enter(service, State.EXITED, now, reason=ending.reason, detail=(), ending=None)
    return _fail(service, ending, now, chance)


def _fail(service: Service, ending: Ending, now: float, chance: float) -> Service:
    """The run ended as it should not have: again at once, later, or not at all."""
    limit = service.spec.start_limit
    failed_at = restart.within(service.failed_at, limit, now)
    failures = service.failures + 1
    common: dict[str, Any] = {
        "pid": None,
        "ready": False,
        "failures": failures,
        "failed_at": failed_at,
        "reason": ending.reason,
        "detail": ending.detail,
        "ending": ending,
    }
    if ending.final or service.spec.restart == "never":
        return enter(service, State.FAILED, now, **common)
    if restart.is_exhausted(failed_at, limit):
        told = f"gave up after {len(failed_at)} failures in {limit.interval:g} s: {ending.reason}"
        return enter(service, State.FAILED, now, **common | {"reason": told})
    common["restarts"] = service.restarts + 1
    delay = restart.next_delay(service.spec.backoff, failures, chance)
    if delay == 0.0:
        return enter(service, State.WAITING, now, **common)
    return enter(service, State.BACKOFF, now, deadline=now + delay, **common)
