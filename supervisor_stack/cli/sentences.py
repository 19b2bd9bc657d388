"""What is said of a service that somebody asks about: how it is and why, for each state it can be in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from supervisor_stack.cli import render
from supervisor_stack.cli.starts import start_of
from supervisor_stack.control.messages import Notice
from supervisor_stack.control.parts import Node, Times


class Context(NamedTuple):
    """What else is known. `stops`: by service the last request to stop it. `program`: how stackctl runs."""

    nodes: Mapping[str, Node]
    stops: Mapping[str, Notice]
    now: datetime
    program: str


_ACTIVE = ("running", "reloading")

_PHRASES = {
    "starting": "is starting, for {lasts}",
    "reloading": "is taking up a change, for {lasts}",
    "renewed": "is being renewed, for {lasts}",
    "stopping": "is stopping, for {lasts}",
    "stuck": "should have stopped, for {lasts}",
    "killing": "is being cleared away, for {lasts}",
    "backoff": "failed {times} in a row and is tried again",
    "exited": "came to its end, {lasts} ago",
    "done": "is done, for {lasts}",
}
"""What is said with a reason behind it. States that are not here are said as they are: `failed`."""


def says(node: Node, context: Context) -> str:
    """How it is, and why: one sentence."""
    lasts = render.age(node.since, context.now)
    match node.state:
        case "stopped":
            return _stopped(node, context)
        case "waiting":
            return f"{node.name} is waiting: {_waits(node)}"
        case "running":
            return _running(node, lasts)
        case "exited" if node.ready:
            key = "done"
        case "reloading" if node.successor:
            key = "renewed"
        case _:
            key = "stuck" if node.stuck else node.state
    times = render.counted(node.failures, "time", "times")
    phrase = _PHRASES.get(key, key).format(lasts=lasts, times=times)
    return _with(f"{node.name} {phrase}", node.reason)


def remarks(node: Node, context: Context) -> Iterator[str]:
    """What else there is to say of it."""
    if node.rejected:
        yield f"it {node.rejected}" if node.on_copy else f"its last change was not taken up: {node.rejected}"
    elif node.on_copy:
        yield "it starts on the copy of its last good configuration, as its files are broken"
    if node.ready and node.state == "running" and node.reason:
        yield node.reason
    if node.successor:
        yield _with(f"run {node.successor} is being started beside run {node.run}", node.answer)
    is_coming = node.wanted == "running" and node.state in ("starting", *_ACTIVE)
    if is_coming and node.state in _ACTIVE:
        yield f"it is wanted: {_wanted_by(node, context)}"
    if is_coming and node.times:
        yield from _start(node, node.times, context)
    if node.last_exit and node.last_exit.run != node.run and node.last_exit.reason != node.reason:
        ended = f"{render.age(node.last_exit.time, context.now)} ago"
        yield f"the run before ended {ended}: {node.last_exit.reason}"
    missing = [name for name in node.requires if name in context.nodes and not context.nodes[name].ready]
    if missing and node.state == "running" and not node.waits_for:
        yield f"it goes on without {', '.join(missing)} meanwhile"


def command(node: Node, context: Context) -> str:
    """What a person would type next; empty when there is nothing to do."""
    name = node.name
    match node.state:
        case "stopped" | "failed" | "backoff":
            words = f"start {name}"
        case "exited":
            words = "" if node.ready else f"start {name}"
        case "starting" | "waiting":
            words = f"wait {name}"
        case "stopping" if node.stuck:
            words = f"stop {name}"
        case "stopping" | "killing" if node.wanted == "stopped":
            words = f"wait --for stopped {name}"
        case "running" if node.rejected:
            # The same reload would be rejected once more. Without a copy nothing follows by itself.
            words = "check" if node.on_copy else f"check && {context.program} reload {name}"
        case "running" if node.ready or node.type == "task":
            words = ""
        case _:
            words = f"status {name}"
    return f"{context.program} {words}" if words else ""


def _with(sentence: str, reason: str) -> str:
    return f"{sentence}: {reason}" if reason else sentence


def _stopped(node: Node, context: Context) -> str:
    if node.run == 0 and node.times is None and not node.autostart:
        return f"{node.name} was not started: autostart = false, and nobody asked for it"
    notice = context.stops.get(node.name)
    if notice is None:
        return _with(f"{node.name} is stopped, since {node.since}; somebody asked for it", node.reason)
    who = getattr(notice, "by", "") or "somebody"
    ago = render.age(notice.time, context.now)
    return _with(f"{node.name} is stopped: {who} asked for it at {notice.time} ({ago} ago)", node.reason)


def _waits(node: Node) -> str:
    needs = [name for name in node.waits_for if name in (*node.requires, *node.wants)]
    order = [name for name in node.waits_for if name in node.after and name not in needs]
    leaving = [name for name in node.waits_for if name not in (*needs, *order)]
    told = (
        f"needs {', '.join(needs)}" if needs else "",
        f"comes after {', '.join(order)}" if order else "",
        f"first {', '.join(leaving)} has to stop" if leaving else "",
    )
    return "; ".join(filter(None, told)) or node.reason


def _running(node: Node, lasts: str) -> str:
    name = node.name
    if node.waits_for:
        is_renewed = set(node.waits_for) <= {*node.requires, *node.wants, *node.after}
        waits = _waits(node) if is_renewed else f"first {', '.join(node.waits_for)} has to stop"
        what = "stopped" if node.wanted == "stopped" else "restarted"
        return f"{name} is to be {what}, and waits: {waits}"
    if node.type == "task":
        return f"{name} is at work, for {lasts}"
    if node.ready:
        return f"{name} runs and is ready, for {lasts} (pid {node.pid}, run {node.run})"
    return _with(f"{name} runs and does not answer", node.reason)


def _wanted_by(node: Node, context: Context) -> str:
    dependents = [
        other.name
        for other in context.nodes.values()
        if other.wanted == "running" and node.name in (*other.requires, *other.wants)
    ]
    why = ["it starts with stackd"] if node.autostart else []
    why += [f"{', '.join(dependents)} needs it"] if len(dependents) == 1 else []
    why += [f"{', '.join(dependents)} need it"] if len(dependents) > 1 else []
    return ", and ".join(why) or "somebody asked for it"


def _start(node: Node, times: Times, context: Context) -> Iterator[str]:
    if times.tries > 1:
        yield f"run {node.run} is try {times.tries} of this start"
    start = start_of(node, times, context.nodes)
    told = f"its start was asked for {render.age(start.asked, context.now)} ago"
    if start.waited_for:
        told += f", waited {render.duration(start.waited_seconds or 0.0)} for {start.waited_for}"
    if start.took_seconds is not None:
        told += f", and took {render.duration(start.took_seconds)}"
    yield told
