"""The answer to `status SERVICE…` for people: all about these services, with the ends of their logs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain

from supervisor_stack.cli import render
from supervisor_stack.cli.details import (
    INDENT,
    TITLE,
    Fact,
    Section,
    facts,
    plain_lines,
    section_lines,
    sections,
    title,
)
from supervisor_stack.cli.logs.past import Line
from supervisor_stack.cli.logs.show import Display, prefixes
from supervisor_stack.cli.logs.sources import Source, of_services
from supervisor_stack.cli.logs.verb import stream
from supervisor_stack.cli.output import say
from supervisor_stack.cli.table import Table
from supervisor_stack.control.parts import Detail, ServiceStatus
from supervisor_stack.errors import StackError

_LOG_LINES = 10


def say_details(services: Sequence[ServiceStatus], no_color: bool, *, with_logs: bool) -> None:
    """All that is known of some services, and the ends of their logs where they are on this machine."""
    now = render.utc_now()
    terminal = _Terminal(no_color) if sys.stdout.isatty() else None
    for number, service in enumerate(services):
        if number:
            say("")
        log = _log(service) if with_logs else ()
        if terminal:
            lines = terminal.lines(service, (*sections(service.detail or Detail(), now), *log), now)
        else:
            lines = chain(plain_lines(service, now), *map(section_lines, log))
        for line in lines:
            say(line)


def _log(service: ServiceStatus) -> tuple[Section, ...]:
    """What its logs have told last, in one order of time, as `stackctl logs` has it."""
    sources = of_services([service])
    if not sources:
        return ()
    log = _Collected(sources)
    stream(sources, _LOG_LINES, False, log)
    return (Section("Last log", tuple(log.lines)),)


class _Collected(Display):
    """Lines of logs as text, and what cannot be read in its place."""

    def __init__(self, sources: Sequence[Source]) -> None:
        super().__init__(sys.stdout.fileno())
        self.lines: list[str] = []
        self._prefixes = prefixes(sources, colorful=False)

    def show(self, lines: Iterable[tuple[Source, Line]]) -> None:
        """Take in lines."""
        self.lines += (self._prefixes[source].decode() + render.visible(line.text) for source, line in lines)

    def _tell(self, text: str) -> None:
        self.lines.append(f"({text})")

    def _tell_error(self, error: StackError) -> None:
        self.lines.append(f"({error.message})")


class _Terminal:
    """As wide as the terminal: sentences are wrapped, tables lose columns."""

    def __init__(self, no_color: bool) -> None:
        from supervisor_stack.cli import tty

        self._tty = tty
        self._width = tty.columns(sys.stdout)
        self._pen = tty.Pen(no_color)

    def lines(self, service: ServiceStatus, sections: Iterable[Section], now: datetime) -> Iterator[str]:
        """All about a service."""
        first, rest = title(service).split(" ", 1)
        shown = self._tty.cut(rest, self._width - len(first) - 1)
        yield f"{self._pen(first, render.tone_of(service))} {self._pen(shown, None)}"
        for fact in facts(service, now):
            yield from self._fact(fact)
        for section in sections:
            yield from self._section(section)

    def _fact(self, fact: Fact) -> Iterator[str]:
        before = f"{fact.title:>{TITLE}}: "
        for line in self._tty.wrap(fact.value, self._width - len(before)):
            yield before + (self._pen(line, fact.tone) if fact.tone else line)
            before = " " * len(before)

    def _section(self, section: Section) -> Iterator[str]:
        yield self._pen(f"{section.title:>{TITLE}}:", None)
        width = self._width - len(INDENT)
        if isinstance(section.content, Table):
            yield from (INDENT + line for line in self._tty.table_lines(section.content, width, self._pen))
            return
        for text in section.content:
            first, *more = self._tty.wrap(text.expandtabs(), width - 2)
            yield INDENT + first
            yield from (f"{INDENT}  {line}" for line in more)
