"""The verb graph: who needs whom, as a tree or for Graphviz. Works without a stackd."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from supervisor_stack.cli import render
from supervisor_stack.cli.lines import Line, Part, say_lines
from supervisor_stack.cli.options import Options
from supervisor_stack.cli.output import emit, say, tell
from supervisor_stack.cli.shapes import Success
from supervisor_stack.cli.table import Tone
from supervisor_stack.cli.target import config_file, connect
from supervisor_stack.control.messages import Graph
from supervisor_stack.control.names import require_known
from supervisor_stack.control.parts import Node
from supervisor_stack.errors import RequestError, UnreachableError
from supervisor_stack.spec import ServiceSpec

_COLOURS: dict[Tone, str] = {"good": "darkgreen", "busy": "orange", "bad": "red", "idle": "gray40"}
# The strongest first.
_STYLES = {"requires": "solid", "wants": "dashed", "after": "dotted"}


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A service in the graph. Where no stackd runs, nothing is known of how it is."""

    name: str  #: of the service
    kind: str  #: `nginx`, `uwsgi`, `redis`, `mysqld` or `command`
    type: str  #: `service` or `task`
    state: str | None = None  #: `running`, `backoff`, …: see states.md
    active: str | None = None  #: the same in the words of systemd
    wanted: str | None = None  #: what the operator asked for: `running` or `stopped`
    ready: bool | None = None  #: whether it is of use
    reason: str = ""  #: why it is not as wanted; empty when it is
    requires: tuple[str, ...] = ()  #: what has to be ready before it starts
    wants: tuple[str, ...] = ()  #: what is started with it, and may fail
    after: tuple[str, ...] = ()  #: what it starts after, if that is started too

    @property
    def tone(self) -> Tone | None:
        """How alarming its state is."""
        if self.state is None:
            return None
        return render.tone(self.state, self.active or "", bool(self.ready), self.type == "task")

    @property
    def word(self) -> str:
        """Its state in words."""
        if self.active == "active" and not self.ready and self.type == "service":
            return f"{self.state}, not ready"
        return self.state or "unknown"

    def needs(self) -> dict[str, str]:
        """What comes before it, each with the strongest relation that it has to it."""
        found: dict[str, str] = {}
        for relation in _STYLES:
            for name in getattr(self, relation):
                found.setdefault(name, relation)
        return found


class Drawn(Success, frozen=True, kw_only=True):
    """Who needs whom."""

    stack: str  #: its name
    services: tuple[Point, ...]  #: those that were named and all that they need, or all


Points = Mapping[str, Point]


def graph(options: Options) -> int:
    """Who needs whom, and how each is."""
    if options.dot and options.json:
        raise RequestError("cannot understand the command line: --dot and --json exclude each other")
    stack, points = _ask(options)
    require_known(options.services, list(points))
    roots = tuple(dict.fromkeys(options.services)) or roots_of(points)
    if options.json:
        emit(Drawn(stack=stack, services=tuple(points[name] for name in below(points, roots))))
    elif options.dot:
        for line in dot(stack, points, roots):
            say(line)
    else:
        say_lines(tree(points, roots), options.no_color)
    return 0


def _ask(options: Options) -> tuple[str, Points]:
    """The name of the stack and its services: from stackd, or else from the configuration."""
    try:
        with connect(options) as client:
            reply = client.request(Graph())
    except UnreachableError as error:
        if options.socket or options.hosts:
            raise  # which file that stackd would have read is not known
        return _configured(options, error)
    return reply.stack.name, _complete(map(_told, reply.services))


def _configured(options: Options, error: UnreachableError) -> tuple[str, Points]:
    from supervisor_stack.config import load

    path = config_file(options)
    stack = load(path, os.environ)
    tell(f"{error.message}; this is what {path} says, and how the services are is unknown")
    return stack.name, _complete(map(_planned, stack.services))


def _told(node: Node) -> Point:
    return Point(**{field: getattr(node, field) for field in Point.__struct_fields__})


def _planned(spec: ServiceSpec) -> Point:
    return Point(
        name=spec.name,
        kind=spec.kind,
        type=spec.type,
        requires=spec.requires,
        wants=spec.wants,
        after=spec.after,
    )


def _complete(points: Iterable[Point]) -> Points:
    """By name. A service that is on its way out of the configuration may need what is gone already."""
    found = {point.name: point for point in points}
    return {
        name: msgspec.structs.replace(
            point,
            **{
                relation: tuple(other for other in getattr(point, relation) if other in found)
                for relation in _STYLES
            },
        )
        for name, point in found.items()
    }


def roots_of(points: Points) -> tuple[str, ...]:
    """Those whom nobody needs."""
    needed = {name for point in points.values() for name in point.needs()}
    return tuple(name for name in points if name not in needed)


def below(points: Points, roots: Sequence[str]) -> list[str]:
    """These and all that they need, in the order of the configuration."""
    found = set(roots)
    queue = list(roots)
    while queue:
        for name in points[queue.pop()].needs():
            if name not in found:
                found.add(name)
                queue.append(name)
    return [name for name in points if name in found]


def tree(points: Points, roots: Sequence[str]) -> Iterator[Line]:
    """Below each service what it needs. What was shown before is only referred to."""
    fork, last, bar = ("├─ ", "└─ ", "│  ") if render.has_signs() else ("|- ", "`- ", "|  ")
    shown: set[str] = set()
    # A chain may be longer than Python's stack is deep.
    pending = [(name, "", "") for name in reversed(roots)]
    while pending:
        name, head, tail = pending.pop()
        point = points[name]
        if name in shown:
            yield Line((Part(f"{head}{name} (see above)"),))
            continue
        shown.add(name)
        yield Line((Part(head), *_described(point)))
        needs = list(point.needs().items())
        for number, (need, relation) in reversed(list(enumerate(needs, 1))):
            is_last = number == len(needs)
            turn, going_on = (last, "   ") if is_last else (fork, bar)
            pending.append((need, f"{tail}{turn}{relation} ", tail + going_on))


def _described(point: Point) -> Iterator[Part]:
    sign = render.glyph(point.tone) if point.tone else "?"
    yield Part(sign, point.tone)
    yield Part(f" {point.name}  ")
    yield Part(point.word, point.tone)
    if point.tone == "bad" and point.reason:
        yield Part(f": {render.harmless(point.reason)}")


def dot(stack: str, points: Points, roots: Sequence[str]) -> Iterator[str]:
    """The same for Graphviz: an arrow leads from a service to what it needs."""
    yield f"digraph {_quoted(stack)} {{"
    yield "  rankdir=LR;"
    yield '  node [shape=box, style=rounded, fontname="sans-serif"];'
    yield '  edge [fontname="sans-serif", fontsize=10];'
    shown = below(points, roots)
    for name in shown:
        point = points[name]
        colour = f", color={_COLOURS[point.tone]}" if point.tone else ""
        yield f"  {_quoted(name)} [label={_quoted(name, point.word)}{colour}];"
    for name in shown:
        for need, relation in points[name].needs().items():
            look = f"style={_STYLES[relation]}, label={relation}"
            yield f"  {_quoted(name)} -> {_quoted(need)} [{look}];"
    yield "}"


def _quoted(*lines: str) -> str:
    """A string of the DOT language: a line break is written as one."""
    escaped = (line.replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return '"' + "\\n".join(escaped) + '"'
