"""All about one service: facts, a line each, and sections of lines below them. Nothing here prints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from supervisor_stack.cli.render import (
    age,
    counted,
    glyph,
    harmless,
    has_signs,
    note,
    percent,
    size,
    state,
    tone_of,
)
from supervisor_stack.cli.table import Column, Row, Table, Tone
from supervisor_stack.control.parts import (
    Answer,
    Detail,
    Process,
    ServiceStatus,
)

TITLE = 10
"""Characters of the titles, which end at the same place."""
INDENT = "    "


class Fact(NamedTuple):
    """`tone`: how alarming the value is, where that is known."""

    title: str
    value: str
    tone: Tone | None = None


class Section(NamedTuple):
    """What takes more than a line: a table, or lines."""

    title: str
    content: Table | tuple[str, ...]


def plain_lines(service: ServiceStatus, now: datetime) -> Iterator[str]:
    """All of it, whole: for files, programs, and whoever cuts by himself."""
    yield title(service)
    for fact in facts(service, now):
        yield f"{fact.title:>{TITLE}}: {fact.value}"
    for section in sections(service.detail or Detail(), now):
        yield from section_lines(section)


def section_lines(section: Section) -> Iterator[str]:
    """A section, whole."""
    yield f"{section.title:>{TITLE}}:"
    content = section.content
    lines = content.lines() if isinstance(content, Table) else content
    yield from (INDENT + line for line in lines)


def title(service: ServiceStatus) -> str:
    """The first line."""
    return f"{glyph(tone_of(service))} {service.name} ({service.kind})"


def facts(service: ServiceStatus, now: datetime) -> Iterator[Fact]:
    """What can be said of it in a line each. Those that it has none of are left out."""
    detail = service.detail or Detail()
    return (fact for fact in (*_state(service, detail, now), *_setting(detail, now)) if fact.value)


def _state(service: ServiceStatus, detail: Detail, now: datetime) -> Iterator[Fact]:
    tone = tone_of(service)
    ready = "ready" if service.ready else "not ready"
    yield Fact("State", f"{state(service)}, {ready}, since {service.since} ({age(service.since, now)})", tone)
    yield Fact("Wanted", service.wanted if service.wanted != _is(service) else "")
    yield Fact("Reason", harmless(note(service, now)), tone)
    adopted = ", adopted" if service.adopted else ""
    yield Fact("PID", f"{service.pid} (run {service.run}{adopted})" if service.pid else "")
    yield Fact("Leaving", ", ".join(f"run {run}" for run in detail.other_runs))
    yield Fact("Restarts", str(service.restarts or ""))
    if service.processes:
        used = f"{percent(service.cpu_percent)} CPU, {size(service.memory_bytes)} memory"
        yield Fact("Uses", f"{used}, {counted(service.processes, 'process', 'processes')}")


def _setting(detail: Detail, now: datetime) -> Iterator[Fact]:
    yield Fact("Command", harmless(" ".join(detail.command)))
    yield Fact("Config", f"{detail.config} (copy of {detail.kept})" if detail.kept else detail.config)
    yield Fact("Listens", ", ".join(detail.addresses))
    yield Fact("Held", ", ".join(detail.held))
    yield Fact("Ready", detail.probe)
    yield _answer(detail.answers, "ready", now)
    yield Fact("Alive", detail.alive)
    yield _answer(detail.answers, "alive", now)
    yield Fact("Requires", ", ".join(detail.requires))
    yield Fact("Wants", ", ".join(detail.wants))
    yield Fact("After", ", ".join(detail.after))
    yield Fact("Needed by", ", ".join(detail.needed_by))
    yield Fact("Watches", ", ".join(detail.watching))
    yield Fact("Logs", ", ".join(log_files(detail)))
    yield Fact("Output", f"goes to {detail.log_to}" if detail.log_to not in ("", "file") else "")


def _answer(answers: Iterable[Answer], probe: str, now: datetime) -> Fact:
    """The last answer of a probe."""
    for last in answers:
        if last.probe == probe:
            word = "well" if last.ok else "not well"
            words = f": {harmless(last.answer)}" if last.answer else ""
            told = f"{word}, {age(last.time, now)} ago (run {last.run}){words}"
            return Fact("answered", told, "good" if last.ok else "bad")
    return Fact("answered", "")


def sections(detail: Detail, now: datetime) -> Iterator[Section]:
    """Its processes, how earlier runs ended, and what there is to prove what its reason says."""
    if detail.tree:
        yield Section("Processes", _process_table(detail.tree))
    if detail.exits:
        ends = (
            f"run {past.run} ended {age(past.time, now)} ago, after {past.lasted:.1f}s:"
            f" {harmless(past.reason)}"
            for past in detail.exits
        )
        yield Section("Earlier", tuple(ends))
    if detail.evidence:
        yield Section("Evidence", tuple(map(harmless, detail.evidence)))


_PROCESS_COLUMNS = (
    Column("PID", right=True),
    Column("CPU", right=True, drop=1),
    Column("MEM", right=True, drop=2),
    Column("COMMAND"),
)


def _process_table(processes: Sequence[Process]) -> Table:
    rows = (
        (str(each.pid), percent(each.cpu_percent), size(each.memory_bytes), branch + harmless(each.command))
        for branch, each in tree(processes)
    )
    return Table(_PROCESS_COLUMNS, tuple(Row("idle", cells) for cells in rows), toned=())


def tree(processes: Sequence[Process]) -> Iterator[tuple[str, Process]]:
    """Each process below its parent, with the branch that leads to it."""
    known = {each.pid for each in processes}
    below: dict[int, list[Process]] = {}
    for each in processes:
        below.setdefault(each.parent, []).append(each)
    shown: set[int] = set()
    # Looked at one after the other, and numbers are used again: parents may form a ring, which has no root.
    for root in (*(each for each in processes if each.parent not in known), *processes):
        if root.pid not in shown:
            yield from _branches(root, below, shown)


def _branches(
    root: Process, below: Mapping[int, Sequence[Process]], shown: set[int]
) -> Iterator[tuple[str, Process]]:
    fork, last, line = ("├─ ", "└─ ", "│  ") if has_signs() else ("|- ", "`- ", "|  ")
    waiting = [("", "", root)]
    while waiting:
        branch, indent, process = waiting.pop()
        shown.add(process.pid)
        yield branch, process
        ends, goes_on = (indent + last, indent + "   "), (indent + fork, indent + line)
        for child in reversed([each for each in below.get(process.pid, ()) if each.pid not in shown]):
            waiting.append((*ends, child))
            ends = goes_on


def log_files(detail: Detail) -> list[str]:
    """The log files of a service: first what it printed."""
    return [path for path in dict.fromkeys((detail.log, *detail.logs)) if path]


def _is(service: ServiceStatus) -> str:
    """What it is, in the words of `wanted`."""
    return "stopped" if service.active in ("inactive", "failed", "deactivating") else "running"
