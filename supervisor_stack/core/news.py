"""Which changes of a service are news."""

from __future__ import annotations

from supervisor_stack.core import actions as do
from supervisor_stack.core import events as ev
from supervisor_stack.core.state import Service, State


def publish(before: Service, after: Service, event: ev.Event, now: float) -> list[do.Action]:
    """News for subscribers: what a person would call a change, and what a person asked for."""
    by = event.by if isinstance(event, ev.Asked) else ""
    if _seen(before) == _seen(after) and not (by and after != before):
        goes_on = (before.reason, before.deadline) == (after.reason, after.deadline)
        return [] if goes_on else [do.TellAwaited(service=after.name)]
    verdict = before.state is State.RELOADING and after.state is State.RUNNING
    rejected = after.rejected if verdict or after.rejected != before.rejected else ""
    detail = after.rejected_detail if rejected else after.detail
    told = () if rejected else before.detail
    return [
        do.Publish(
            service=after.name,
            event=type(event).__name__,
            state=after.state,
            previous=before.state,
            wanted="running" if after.wanted else "stopped",
            run=after.run,
            pid=after.pid,
            at=now,
            reason=_reason(event) or rejected or after.reason,
            detail=() if detail == told else detail,
            by=by,
        )
    ]


def _seen(service: Service) -> tuple[object, ...]:
    return (
        service.state,
        service.wanted,
        service.ready,
        service.rejected,
        service.run,
        service.pid,
        service.successor and service.successor.pid,
        service.others,
        service.is_stuck,
        service.kept,
    )


def _reason(event: ev.Event) -> str:
    """What the event itself tells, where the service stays as it is."""
    match event:
        case ev.GenerationGone():
            return f"run {event.old} is gone" + (", killed: it took too long" if event.killed else "")
        case ev.ConfigKept():
            return "a copy of its configuration is kept"
        case _:
            return ""
