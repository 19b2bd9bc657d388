"""Which changes of a service are news."""

from __future__ import annotations

from supervisor_stack.core import actions as do
from supervisor_stack.core import events as ev
from supervisor_stack.core.state import Service, State


def publish(before: Service, after: Service, event: ev.Event, now: float) -> list[do.Action]:
    """News for subscribers: what a person would call a change."""
    seen = (before.state, before.wanted, before.ready, before.rejected, before.run, before.pid)
    if seen == (after.state, after.wanted, after.ready, after.rejected, after.run, after.pid):
        return []
    verdict = before.state is State.RELOADING and after.state is State.RUNNING
    rejected = after.rejected if verdict else ""
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
            reason=rejected or after.reason,
            detail=() if detail == told else detail,
        )
    ]
