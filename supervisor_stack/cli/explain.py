"""The verb explain: why a service runs or does not, down to the root of it, and what to do."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from supervisor_stack.cli import render
from supervisor_stack.cli.lines import Line, Part, say_lines
from supervisor_stack.cli.options import PROGRAM, Options
from supervisor_stack.cli.output import emit
from supervisor_stack.cli.sentences import Context, command, remarks, says
from supervisor_stack.cli.shapes import Success
from supervisor_stack.cli.target import connect
from supervisor_stack.control.client import StackClient
from supervisor_stack.control.messages import Events, Graph, Notice
from supervisor_stack.control.names import require_known
from supervisor_stack.control.parts import Node

NOT_ACTIVE = 3
_STEP = 2
_ALL_NOTICES = 2**31 - 1


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """One service of the chain."""

    service: str  #: its name
    state: str  #: `running`, `backoff`, …: see states.md
    active: str  #: the same in the words of systemd: `active`, `activating`, …
    ready: bool  #: whether it is of use
    depth: int  #: how far from the one that was asked about
    says: str  #: how it is and why, in a sentence
    remarks: tuple[str, ...] = ()  #: what else is to be known of it
    evidence: tuple[str, ...] = ()  #: its own last words, line by line
    because: tuple[str, ...] = ()  #: what it hangs on, explained by the links below it
    next: str = ""  #: what stackd does next about it; empty when all is as it should be
    next_at: str | None = None  #: when, where a clock decides; RFC 3339, UTC
    command: str = ""  #: what to type next


class Explained(Success, frozen=True, kw_only=True):
    """Why a service runs or does not: it, and what it hangs on down to the root of it."""

    service: str  #: which was asked about
    chain: tuple[Link, ...]  #: the service itself first


def explain(options: Options) -> int:
    """Why a service runs or does not."""
    (name,) = options.services
    with connect(options) as client:
        reply = client.request(Graph())
        nodes = {node.name: node for node in reply.services}
        require_known([name], list(nodes))
        below = _chain(nodes, name)
        stops = _stops(client, below)
    context = Context(nodes, stops, render.utc_now(), _program(options))
    links = tuple(_link(step, context) for step in below)
    if options.json:
        emit(Explained(service=name, chain=links))
    else:
        say_lines(lines(links, context), options.no_color)
    node = nodes[name]
    return 0 if node.active in ("active", "reloading") or node.ready else NOT_ACTIVE


def _program(options: Options) -> str:
    """How stackctl was called, so that the next command reaches the same stackd."""
    words = [PROGRAM]
    words += ["-c", options.config] if options.config else []
    words += ["--socket", options.socket] if options.socket else []
    return shlex.join(words)


class Step(NamedTuple):
    """A service on the way down."""

    node: Node
    depth: int
    because: tuple[str, ...]


def _chain(nodes: Mapping[str, Node], name: str) -> list[Step]:
    """The service, and below each what it hangs on; every service once."""
    found: list[Step] = []
    seen: set[str] = set()
    # A chain may be longer than Python's stack is deep.
    pending = [(name, 0)]
    while pending:
        current, depth = pending.pop()
        if current in seen:
            continue
        seen.add(current)
        because = _hangs_on(nodes[current], nodes)
        found.append(Step(nodes[current], depth, because))
        pending += [(other, depth + 1) for other in reversed(because)]
    return found


def _hangs_on(node: Node, nodes: Mapping[str, Node]) -> tuple[str, ...]:
    """Whom it waits for; or, while it runs, what it requires and is not there."""
    if node.waits_for or node.active not in ("active", "reloading"):
        return node.waits_for
    return tuple(name for name in node.requires if name in nodes and not nodes[name].ready)


def _stops(client: StackClient, chain: Sequence[Step]) -> dict[str, Notice]:
    """By service the last time that somebody asked for its stop, as far as stackd remembers."""
    if all(step.node.wanted == "running" for step in chain):
        return {}
    notices = client.request(Events(limit=_ALL_NOTICES)).notices
    return {notice.service: notice for notice in notices if notice.event == "StopRequested"}


def _link(step: Step, context: Context) -> Link:
    node = step.node
    return Link(
        service=node.name,
        state=node.state,
        active=node.active,
        ready=node.ready,
        depth=step.depth,
        says=says(node, context),
        remarks=tuple(remarks(node, context)) if step.depth == 0 or not step.because else (),
        evidence=node.evidence or node.rejected_evidence,
        because=step.because,
        next=node.next,
        next_at=node.next_at,
        command=command(node, context),
    )


def lines(links: Sequence[Link], context: Context) -> Iterator[Line]:
    """The chain for a person: what to do is told where it ends."""
    seen: set[str] = set()
    for link in links:
        is_task = context.nodes[link.service].type == "task"
        tone = render.tone(link.state, link.active, link.ready, is_task)
        hang = link.depth * _STEP
        yield Line(
            (Part(f"{render.glyph(tone)} ", tone), Part(render.harmless(link.says))), hang, breaks=True
        )
        hang += _STEP
        for remark in link.remarks:
            yield Line((Part(render.harmless(remark)),), hang, breaks=True)
        again = [name for name in link.because if name in seen]
        if again:
            yield Line((Part(f"{', '.join(again)}: see above"),), hang, breaks=True)
        seen.update(link.because)
        for words in link.evidence:
            yield Line((Part("| ", tone), Part(render.harmless(words))), hang, breaks=True)
        if link.because:
            continue
        if link.next:
            yield Line((Part(_next(link, context.now)),), hang, breaks=True)
        if link.command:
            yield Line((Part(f"type: {link.command}"),), hang, breaks=True)


def _next(link: Link, now: datetime) -> str:
    if link.next_at is None:
        return f"next: {link.next}"
    left = (datetime.fromisoformat(link.next_at) - now).total_seconds()
    return f"next, in {render.span(left)}: {link.next}"
