"""How a run ends, what that means, and what comes next."""

from __future__ import annotations

from typing import Any

import msgspec

from supervisor_stack.core import actions as do
from supervisor_stack.core import events as ev
from supervisor_stack.core import restart
from supervisor_stack.core.evidence import excerpt, telling_line
from supervisor_stack.core.moves.base import KILL_TIMEOUT, Step, enter, keep, quiet, retire, wait
from supervisor_stack.core.state import AT_REST, Copy, Ending, ExitRecord, Service, State

REMEMBERED_EXITS = 5

SIGNAL_NAMES = {
    1: "HUP", 2: "INT", 3: "QUIT", 4: "ILL", 5: "TRAP", 6: "ABRT", 7: "BUS", 8: "FPE", 9: "KILL",
    10: "USR1", 11: "SEGV", 12: "USR2", 13: "PIPE", 14: "ALRM", 15: "TERM", 24: "XCPU", 31: "SYS",
}  # fmt: skip
"""Linux's numbers (signal(7)); the core may not ask the signal module. Others are told by number."""


def after_exit(service: Service, event: ev.ProcessExited, now: float, chance: float) -> Step:
    """The main process is gone by itself.

    Whatever it left behind goes before the next run, or serves on until that is ready.
    """
    ending = judge(service, event, now)
    if service.ready and event.code in service.spec.wish_exits:
        service = msgspec.structs.replace(service, again=True, restarts=service.restarts + 1)
    elif not service.ready:
        service, ending = _fall_back(service, ending, event)
    return _leave_behind(service, ending, event, now, chance)


def after_stop(service: Service, event: ev.ProcessExited, now: float, chance: float) -> Step:
    """The main process is gone because it was told to."""
    ending = service.ending or Ending(describe_exit(event.code), clean=True)
    explained = explain(ending, event)
    if ending.unexplained:  # it could never have got ready
        service, explained = _fall_back(service, explained, event)
    if service.is_leaving and service.others and not event.leftovers:
        # Those of the run before are finishing what they were doing, and have been told to.
        return keep(record(service, explained, now), deadline=service.patience)[0], quiet(service)
    return _leave_behind(service, explained, event, now, chance)


def after_kill(service: Service, event: ev.ProcessExited, now: float, chance: float) -> Step:
    """SIGKILL reached the main process; the others may still be on their way."""
    service = record(service, explain(service.ending or Ending(service.reason), event), now)
    return (service, ()) if event.leftovers or service.others else settle(service, now, chance)


def swept(service: Service, event: ev.MembersGone, now: float, chance: float) -> Step:
    """The last process is gone."""
    return settle(msgspec.structs.replace(service, others=()), now, chance)


def forget_last_generation(service: Service, event: ev.GenerationGone, now: float, chance: float) -> Step:
    """Nothing is left of another run; if it was waited for, the stop is done."""
    service, _ = forget_generation(service, event, now, chance)
    return settle(service, now, chance) if service.is_over and not service.others else (service, ())


def forget_generation(service: Service, event: ev.GenerationGone, now: float, chance: float) -> Step:
    """Nothing is left of another run."""
    return msgspec.structs.replace(
        service, others=tuple(run for run in service.others if run != event.old)
    ), ()


def after_spawn_failure(service: Service, event: ev.SpawnFailed, now: float, chance: float) -> Step:
    """There is no process, and why."""
    ending = Ending(event.reason, event.detail, final=event.final, passing=event.passing)
    return settle(msgspec.structs.replace(service, ending=ending), now, chance)


def describe_exit(code: int | None) -> str:
    """An exit status as people say it: `exit status 1`, `killed by SIGSEGV`."""
    if code is None:
        return "ended, exit status unknown (an earlier stackd had started it)"
    if code >= 0:
        return f"exit status {code}"
    return f"killed by SIG{SIGNAL_NAMES[-code]}" if -code in SIGNAL_NAMES else f"killed by signal {-code}"


def _fall_back(service: Service, ending: Ending, event: ev.ProcessExited) -> tuple[Service, Ending]:
    """If it fell over changed files: next time on the copy of those with which it worked."""
    if not (event.changed and service.kept) or service.copy:
        return service, ending
    ending = msgspec.structs.replace(ending, final=False)
    return msgspec.structs.replace(service, copy=Copy(ending.reason, ending.detail, fell=True)), ending


def explain(ending: Ending, event: ev.ProcessExited) -> Ending:
    """With the run's own words, where the reason alone says too little."""
    line = telling_line(event.last_words)
    if ending.unexplained and line:
        return Ending(f"{ending.reason}: {line}", excerpt(event.last_words))
    if ending.clean or ending.detail:
        return ending
    return msgspec.structs.replace(ending, detail=excerpt(event.last_words))


def judge(service: Service, event: ev.ProcessExited, now: float) -> Ending:
    """What an exit that nobody asked for means."""
    words = event.last_words
    is_early = not service.ready or now < service.steady_at
    if event.code == 0 and event.leftovers and service.spec.type == "service" and is_early:
        told = "it put itself into the background; its command has to stay in the foreground"
        return Ending(told, excerpt(words), final=True)
    reason = describe_exit(event.code)
    if event.out_of_memory:
        return Ending(f"{reason}: out of memory (the kernel's OOM killer)", (event.kernel, *excerpt(words)))
    if event.kernel:
        return Ending(f"{reason} ({event.kernel})", excerpt(words))
    if event.code is not None and (wish := service.spec.wish_exits.get(event.code)):
        return Ending(f"{reason}: {wish}")
    if event.code != 0 and (line := telling_line(words)):
        reason = f"{reason}: {line}"
    if event.code is not None and (meaning := service.spec.final_exits.get(event.code)):
        return Ending(f"{reason} ({meaning})", excerpt(words), final=True)
    return Ending(reason, excerpt(words), clean=event.code == 0)


def _leave_behind(
    service: Service, ending: Ending, event: ev.ProcessExited, now: float, chance: float
) -> Step:
    """What the main process has left serves on until the next run is ready, where that is possible."""
    if service.can_hand_over and service.wanted and not service.again and not ending.final:
        left = msgspec.structs.replace(record(service, ending, now), others=with_leftovers(service, event))
        settled, orders = settle(left, now, chance)
        if settled.is_down:
            # What never was of use need not be there.
            useless = (retire(service, service.run),) if event.leftovers and not _was_ready(service) else ()
            return settled, (*quiet(service), *useless, *orders)
    return _clear(service, ending, event, now, chance)


def _was_ready(service: Service) -> bool:
    return service.ready or service.state in (State.RUNNING, State.RELOADING)


def _clear(service: Service, ending: Ending, event: ev.ProcessExited, now: float, chance: float) -> Step:
    service = record(service, ending, now)
    if not event.leftovers and not service.others:
        service, orders = settle(service, now, chance)
        return service, (*quiet(service), *orders)
    others = f" and of {len(service.others)} other runs" if service.others else ""
    told = f"{ending.reason}; clearing {event.leftovers} left-over processes{others}"
    service, orders = sweep(service, told, now)
    return service, (*quiet(service), *orders)


def sweep(service: Service, reason: str, now: float) -> Step:
    """Be rid of every process of the service, whichever run it is of."""
    service = enter(service, State.KILLING, now, reason=reason, blocked=False, deadline=now + KILL_TIMEOUT)
    return service, (do.Sweep(service=service.name, run=service.run),)


def with_leftovers(service: Service, event: ev.ProcessExited) -> tuple[int, ...]:
    """The other runs of which processes may be there, now that the main process of this one is gone."""
    return (*service.others, service.run) if event.leftovers else service.others


def record(service: Service, ending: Ending, now: float, *, replaced: bool = False) -> Service:
    """The present run is over."""
    over = ExitRecord(service.run, now, ending.reason, now - service.started, replaced or service.again)
    exits = (*service.exits, over)[-REMEMBERED_EXITS:]
    return msgspec.structs.replace(
        service,
        pid=None,
        ready=False,
        stale=False,
        renew=False,
        refused=False,
        missed=0,
        hung="",
        ending=ending,
        exits=exits,
    )


def settle(service: Service, now: float, chance: float) -> Step:
    """All processes of the run are gone, or serve on without a main process: what comes next."""
    settled = _next(service, now, chance)
    if settled.state in AT_REST and settled.others:
        return sweep(service, "clearing what is left of older runs", now)
    return settled, ()


def _next(service: Service, now: float, chance: float) -> Service:
    ending = service.ending or Ending("stopped", clean=True)
    service = msgspec.structs.replace(service, blocked=False, stalled=False)
    if not service.wanted:
        reason = "" if ending.clean else ending.reason
        detail = () if ending.clean else ending.detail
        return enter(
            service,
            State.STOPPED,
            now,
            pid=None,
            again=False,
            renew=False,
            reason=reason,
            detail=detail,
            ending=None,
            copy=None,
        )
    if service.again:
        return wait(service, now)
    if ending.clean and (service.spec.type == "task" or service.spec.restart != "always"):
        return enter(service, State.EXITED, now, reason=ending.reason, detail=(), ending=None)
    return _fail(service, ending, now, chance)


def _fail(service: Service, ending: Ending, now: float, chance: float) -> Service:
    """The run ended as it should not have: again at once, later, or not at all."""
    limit = service.spec.start_limit
    failed_at = service.failed_at if ending.passing else restart.within(service.failed_at, limit, now)
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
    if not ending.passing and restart.is_exhausted(failed_at, limit):
        told = f"gave up after {len(failed_at)} failures in {limit.interval:g} s: {ending.reason}"
        return enter(service, State.FAILED, now, **common | {"reason": told})
    common["restarts"] = service.restarts + 1
    delay = restart.next_delay(service.spec.backoff, failures, chance)
    if delay == 0.0:
        return enter(service, State.WAITING, now, **common)
    return enter(service, State.BACKOFF, now, deadline=now + delay, **common)
