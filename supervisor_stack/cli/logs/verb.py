"""From a command line of `stackctl logs` to lines, and an exit code."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial
from io import FileIO

from supervisor_stack.cli.logs.files import Tail, open_log
from supervisor_stack.cli.logs.past import Line, history, last
from supervisor_stack.cli.logs.show import Display, Printer
from supervisor_stack.cli.logs.sources import Source, find
from supervisor_stack.cli.options import DEFAULT_LINES, Options
from supervisor_stack.errors import StackError

Lines = Iterator[tuple[Source, Line]]


def logs(options: Options) -> int:
    """What services printed, and what they wrote to log files of their own: the last lines of all logs
    together, in one order of time, and with -f what comes."""
    count = DEFAULT_LINES if options.lines is None else options.lines
    sources = find(options)
    printer = Printer(sources, options)
    stream(sources, count, options.follow, printer)
    printer.close()
    return printer.exit_code


def stream(sources: Sequence[Source], count: int, goes_on: bool, display: Display) -> None:
    """Show the last `count` lines of these logs, and, where it `goes_on`, what comes, without an end.

    Raises BrokenPipeError when nobody reads it any more, and StackError.
    """
    with ExitStack() as stack:
        tails: dict[Source, Tail] = {}
        past: list[Lines] = []
        for source in filter(_is_file, sources):
            try:
                if goes_on:
                    tails[source] = tail = stack.enter_context(closing(Tail(source.path)))
                    begun = tail.begin()
                else:
                    file = stack.enter_context(open_log(source.path))
                    begun = file, os.fstat(file.fileno()).st_size
            except OSError as error:
                tails.pop(source, None)
                display.complain(source, error)
            else:
                past += [_past(source, *begun, display)] if begun else []
        of_journal = {source.service: source for source in sources if not _is_file(source)}
        journal = None
        if of_journal:
            from supervisor_stack.cli.logs.journal import Journal

            try:
                journal = stack.enter_context(closing(Journal(tuple(of_journal))))
                entries = reversed(journal.last(count))
            except StackError as error:
                journal = None
                display.fail(error)
            else:
                past.append((of_journal[name], line) for name, line in entries)
        shown = last(past, count)
        display.show(shown)
        if goes_on:
            from supervisor_stack.cli.logs.follow import Followed, follow

            times = {source: line.time for source, line in shown}
            followed = [Followed(source, tail, times.get(source)) for source, tail in tails.items()]
            follow(followed, journal, of_journal, display)


def _is_file(source: Source) -> bool:
    return bool(source.path)


def _past(source: Source, file: FileIO, end: int, display: Display) -> Lines:
    complain = partial(display.complain, source)
    return ((source, line) for line in history(source.path, file, end, complain))
