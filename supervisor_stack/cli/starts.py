"""How services started, out of what stackd tells: who waited for whom, and which chain it hung on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from supervisor_stack.control.parts import Node, Times

_SETTLED = ("stopped", "exited", "failed", "backoff")


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """The start of one service: the present run's, or the last one's. Times are RFC 3339 in UTC, and null
    where it did not come so far, or nobody saw it; seconds are null where an end of the time is not known."""

    name: str  #: of the service
    kind: str  #: `nginx`, `uwsgi`, `redis`, `mysqld` or `command`
    state: str  #: what it is in now
    asked: str  #: when it was to run
    begun: str | None  #: when all that it needs was ready
    spawned: str | None  #: when its process was made
    ready: str | None  #: when it was of use; of a task: when it was done
    tries: int  #: how many runs it took so far; the last one is told
    waited_for: str  #: the last of its needs to be ready, so that this one could begin
    waited_seconds: float | None  #: from `asked` to `begun`
    took_seconds: float | None  #: from `begun` to `ready`
    critical: bool = False  #: whether it is on the critical path


def starts_of(nodes: Mapping[str, Node]) -> dict[str, Start]:
    """The starts that are known, by service."""
    return {name: start_of(node, node.times, nodes) for name, node in nodes.items() if node.times}


def start_of(node: Node, times: Times, nodes: Mapping[str, Node]) -> Start:
    """The start that these times are of."""
    return Start(
        name=node.name,
        kind=node.kind,
        state=node.state,
        asked=times.asked,
        begun=times.begun,
        spawned=times.spawned,
        ready=times.ready,
        tries=times.tries,
        waited_for=_released_by(node, times, nodes),
        waited_seconds=between(times.asked, times.begun),
        took_seconds=between(times.begun, times.ready),
    )


def _released_by(node: Node, times: Times, nodes: Mapping[str, Node]) -> str:
    """The last of its needs that was there after this start was asked for and before it began.

    One that has started again since is not found: when it was ready then is not known any more.
    """
    if times.begun is None:
        return ""
    there = [
        (at, name)
        for name in dict.fromkeys((*node.requires, *node.wants, *node.after))
        if name in nodes and (at := _there_at(nodes[name], name in node.requires))
        # RFC 3339 in one zone and with the same digits: the order of the text is that of time.
        if times.asked <= at <= times.begun
    ]
    latest = max((at for at, _ in there), default="")
    return next((name for at, name in there if at == latest), "")


def _there_at(node: Node, is_required: bool) -> str | None:
    """When waiting for it was over: it was ready, or it was clear that it would not be soon."""
    if node.times and node.times.ready:
        return node.times.ready
    return node.since if node.state in _SETTLED and not is_required else None


def critical_path(starts: Mapping[str, Start], names: Sequence[str]) -> list[str]:
    """The chain that ends at the last of these to be ready: each waited for the one before it."""
    ready = [(start.ready, name) for name in names if (start := starts.get(name)) and start.ready]
    if not ready:
        return []
    latest = max(at for at, _ in ready)
    path = [next(name for at, name in ready if at == latest)]
    while (before := starts[path[-1]].waited_for) in starts:
        path.append(before)
    return path[::-1]


def between(first: str | None, second: str | None) -> float | None:
    """Seconds from one time to another, to the millisecond."""
    if first is None or second is None:
        return None
    passed = datetime.fromisoformat(second) - datetime.fromisoformat(first)
    return round(passed.total_seconds(), 3)
