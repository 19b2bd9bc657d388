"""The verb blame: what the start of the stack waited for, and which chain of services it hung on."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import msgspec

from supervisor_stack.cli import render
from supervisor_stack.cli.options import Options
from supervisor_stack.cli.output import emit, say, tell
from supervisor_stack.cli.shapes import Success
from supervisor_stack.cli.starts import Start, between, critical_path, starts_of
from supervisor_stack.cli.table import GAP, Column, Row, Table
from supervisor_stack.cli.target import connect
from supervisor_stack.control.messages import Graph, GraphReply
from supervisor_stack.control.names import require_known
from supervisor_stack.control.parts import Stack

COLUMNS = (
    Column("TOOK", right=True),
    Column("SERVICE"),
    Column("PATH"),
    Column("ASKED", right=True, drop=2),
    Column("BEGUN", right=True, drop=3),
    Column("MADE", right=True, drop=1),
    Column("READY", right=True, drop=4),
    Column("NOTE"),
)


class Blamed(Success, frozen=True, kw_only=True):
    """What the start waited for."""

    stack: Stack  #: as a whole
    services: tuple[Start, ...]  #: the slowest first
    critical_path: tuple[str, ...]  #: the chain that the start hung on, in the order of time
    seconds: float | None  #: how long that took; null: it is not known


def blame(options: Options) -> int:
    """What the start waited for."""
    with connect(options) as client:
        reply = client.request(Graph())
    nodes = {node.name: node for node in reply.services}
    require_known(options.services, list(nodes))
    starts = starts_of(nodes)
    path = critical_path(starts, tuple(options.services) or tuple(starts))
    named = {*options.services, *path} if options.services else set(starts)
    told = sorted((start for name, start in starts.items() if name in named), key=_slowest_first)
    told = [msgspec.structs.replace(start, critical=start.name in path) for start in told]
    if options.json:
        took = between(starts[path[0]].asked, starts[path[-1]].ready) if path else None
        emit(Blamed(stack=reply.stack, services=tuple(told), critical_path=tuple(path), seconds=took))
    elif not told:
        tell("nothing was started yet")
    else:
        _say(reply, told, [starts[name] for name in path], options)
    return 0


def _say(reply: GraphReply, told: Sequence[Start], path: Sequence[Start], options: Options) -> None:
    headline = GAP.join((reply.stack.name, reply.stack.state))
    shown = table(told, path)
    if sys.stdout.isatty():
        from supervisor_stack.cli.tty import print_table

        print_table(headline, shown, options.no_color)
    else:
        say(headline)
        for line in shown.lines():
            say(line)
    for line in path_lines(path):
        say(line)


def _slowest_first(start: Start) -> tuple[bool, float, str]:
    return start.took_seconds is None, -(start.took_seconds or 0.0), start.name


def table(starts: Sequence[Start], path: Sequence[Start]) -> Table:
    """A line for each start; times count from the first request."""
    zero = min(start.asked for start in starts)
    place = {start.name: f"critical {number}/{len(path)}" for number, start in enumerate(path, 1)}
    return Table(COLUMNS, tuple(_row(start, zero, place.get(start.name, "")) for start in starts))


def _row(start: Start, zero: str, place: str) -> Row:
    cells = (
        "-" if start.took_seconds is None else render.duration(start.took_seconds),
        start.name,
        place,
        *(_offset(zero, at) for at in (start.asked, start.begun, start.spawned, start.ready)),
        ", ".join(_notes(start)),
    )
    return Row("busy" if place else "idle", cells)


def _offset(zero: str, at: str | None) -> str:
    seconds = between(zero, at)
    return "-" if seconds is None else f"+{render.offset(seconds)}"


def _notes(start: Start) -> Iterator[str]:
    if start.ready is None:
        yield f"not ready: {start.state}"
    if start.waited_for:
        yield f"waited {render.duration(start.waited_seconds or 0.0)} for {start.waited_for}"
    elif start.tries <= 1 and start.waited_seconds:
        yield f"waited {render.duration(start.waited_seconds)} for what has started again since"
    if start.tries > 1:
        yield f"{start.tries} tries"


def path_lines(path: Sequence[Start]) -> Iterator[str]:
    """The critical path in the order of time."""
    if not path:
        return
    whole = between(path[0].asked, path[-1].ready)
    yield f"critical path: {path[-1].name} was ready after {render.duration(whole or 0.0)}"
    for start in path:
        yield f"  {render.duration(start.took_seconds or 0.0):>7}  {start.name}"
