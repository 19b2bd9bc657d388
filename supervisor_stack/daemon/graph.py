"""The answer to a graph request: what the core knows by itself, so that it costs little for thousands."""

from __future__ import annotations

from collections.abc import Callable

from supervisor_stack.control import messages, parts
from supervisor_stack.core.outlook import outlook
from supervisor_stack.core.stack import Stack
from supervisor_stack.core.state import ACTIVE, Service, StartTimes, State
from supervisor_stack.daemon.clock import Calendar


class GraphReader:
    """Makes graph replies for one stack, `name`. `warning` tells what is wrong with stackd itself."""

    def __init__(self, name: str, stack: Stack, warning: Callable[[], str]) -> None:
        self._name = name
        self._stack = stack
        self._warning = warning

    def __call__(self, request: messages.Graph, seq: int) -> messages.GraphReply:
        """The reply."""
        wall = Calendar()
        return messages.GraphReply(
            id=request.id,
            stack=parts.Stack(name=self._name, state=self._stack.state, warning=self._warning()),
            services=tuple(self._node(service, wall) for service in self._stack.services.values()),
            seq=seq,
        )

    def _node(self, service: Service, wall: Calendar) -> parts.Node:
        spec = service.spec
        does, at = outlook(service)
        return parts.Node(
            name=spec.name,
            kind=spec.kind,
            type=spec.type,
            autostart=spec.autostart,
            requires=spec.requires,
            wants=spec.wants,
            after=spec.after,
            state=service.state,
            active=ACTIVE[service.state],
            wanted="running" if service.wanted else "stopped",
            ready=service.ready or service.is_fulfilled,  # a task that is done
            pid=service.pid,
            run=service.run,
            since=wall(service.stands_since),
            failures=service.failures,
            reason=service.reason,
            evidence=service.detail,
            rejected=service.rejected,
            rejected_evidence=service.rejected_detail,
            on_copy=service.copy is not None,
            stuck=service.is_stuck,
            successor=service.successor.run if service.successor else None,
            answer=service.successor.answer if service.successor else "",
            waits_for=self._stack.waits_for(spec.name),
            next=does,
            next_at=None if at is None else wall(at),
            next_retry=wall(service.deadline) if service.state is State.BACKOFF else None,
            last_exit=_last_exit(service, wall),
            times=_times(service.times, wall) if service.times else None,
        )


def _last_exit(service: Service, wall: Calendar) -> parts.Exit | None:
    if not service.exits:
        return None
    past = service.exits[-1]
    return parts.Exit(run=past.run, time=wall(past.at), reason=past.reason, lasted=past.lasted)


def _times(times: StartTimes, wall: Calendar) -> parts.Times:
    def told(at: float | None) -> str | None:
        return None if at is None else wall(at)

    return parts.Times(
        asked=wall(times.asked),
        begun=told(times.begun),
        spawned=told(times.spawned),
        ready=told(times.ready),
        tries=times.tries,
    )
