"""The answer to `status` for people: the table."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from supervisor_stack.cli import render
from supervisor_stack.cli.output import say
from supervisor_stack.control.messages import StatusReply


def say_table(reply: StatusReply, no_color: bool) -> None:
    """The stack in one line, and below it a line for each service."""
    for line in status_lines(reply, no_color):
        say(line)


def status_lines(reply: StatusReply, no_color: bool) -> Iterator[str]:
    """The lines of that: as wide as the terminal, or in full where stdout is none."""
    now = render.utc_now()
    table = render.status_table(reply.services, now)
    titles = tuple(render.titles(reply, now))
    if not sys.stdout.isatty():
        return iter((*titles, *table.lines()))
    from supervisor_stack.cli.tty import titled_lines

    return titled_lines(titles, table, no_color)
