"""Verbs that tell line by line what happens: logs and events."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, closing
from time import sleep
from typing import NamedTuple, Never

from supervisor_stack.cli.arguments import Options
from supervisor_stack.cli.output import emit_line, say, tell, tell_error
from supervisor_stack.cli.render import event_lines, log_files
from supervisor_stack.cli.tail import Tail, last_lines
from supervisor_stack.cli.target import config_file, connect
from supervisor_stack.control.messages import Detail, Events, Notice, Status
from supervisor_stack.control.names import require_known
from supervisor_stack.errors import ConfigError, StackError, UnreachableError

DEFAULT_LINES = 20
_PERIOD = 0.2
"""Seconds between two looks at the files that are followed; a person does not see less."""


class Source(NamedTuple):
    """A log file of a service."""

    service: str
    path: str


def events(options: Options) -> int:
    """What happened to the services, and with -f what happens."""
    count = DEFAULT_LINES if options.lines is None else options.lines
    with connect(options) as client:
        reply = client.request(Events(limit=count))
        for notice in reply.notices:
            _show(notice, options)
        seq = reply.seq
        if options.follow:
            for notice in client.subscribe(seq):
                if notice.seq > seq + 1:
                    tell(f"stackd no longer knows the {notice.seq - seq - 1} events before the next one")
                _show(notice, options)
                seq = notice.seq
    return 0


def logs(options: Options) -> int:
    """What the services printed, and what they wrote to log files of their own."""
    count = DEFAULT_LINES if options.lines is None else options.lines
    sources = _sources(options)
    printer = _Printer(sources, options.json)
    if options.follow:
        _follow(sources, printer, count)
    for source in sources:
        try:
            printer.show(source, last_lines(source.path, count))
        except FileNotFoundError:
            tell(f"{source.service} has not written {source.path} yet")
        except OSError as error:
            printer.complain(source, error)
    return printer.exit_code


def _follow(sources: Sequence[Source], printer: _Printer, count: int) -> Never:
    with ExitStack() as stack:
        tails = {}
        for source in sources:
            tails[source] = stack.enter_context(closing(Tail(source.path)))
            try:
                printer.show(source, tails[source].begin(count))
            except OSError as error:
                printer.complain(source, error)
                del tails[source]
        while True:
            for source, tail in tails.items():
                printer.show(source, tail.more())
            sleep(_PERIOD)


class _Printer:
    """Lines to stdout, each with its service when there are several."""

    def __init__(self, sources: Sequence[Source], json: bool) -> None:
        services = {source.service for source in sources}
        self._width = max(map(len, services), default=0) if len(services) > 1 else 0
        self._json = json
        self.exit_code = 0

    def show(self, source: Source, lines: Iterable[bytes]) -> None:
        """Print lines, as they are: in whatever encoding the service wrote them."""
        prefix = f"{source.service:<{self._width}}  | ".encode() if self._width else b""
        for line in lines:
            if self._json:
                text = line.decode(errors="replace")
                emit_line({"service": source.service, "file": source.path, "line": text})
            else:
                sys.stdout.buffer.write(prefix + line + b"\n")
        sys.stdout.buffer.flush()

    def complain(self, source: Source, error: OSError) -> None:
        """Tell that a file cannot be read; the others may be."""
        tell_error(StackError(f"cannot read {source.path} of {source.service}: {error.strerror}"))
        self.exit_code = StackError.exit_code


def _sources(options: Options) -> list[Source]:
    """The log files of the services, from stackd, or, when there is none, from the configuration."""
    names = tuple(options.services)
    try:
        with connect(options) as client:
            found = client.request(Status(services=names, detail=True)).services
    except UnreachableError as error:
        return _configured(names, options, error)
    return [Source(service.name, path) for service in found for path in log_files(service.detail or Detail())]


def _configured(names: tuple[str, ...], options: Options, absence: UnreachableError) -> list[Source]:
    from supervisor_stack.config import load

    path = config_file(options)
    try:
        stack = load(path, os.environ)
    except ConfigError:
        raise absence from None
    require_known(names, [service.name for service in stack.services])
    tell(f"stackd is not running; these are the log files by {path}")
    sources = []
    for service in stack.services:
        if not names or service.name in names:
            captured = f"{stack.log_dir}/{service.name}.log" if service.log.to == "file" else ""
            sources += [Source(service.name, log) for log in (captured, *service.logs) if log]
    return sources


def _show(notice: Notice, options: Options) -> None:
    if options.json:
        emit_line(notice)
        return
    for line in event_lines(notice):
        say(line)
    sys.stdout.flush()
