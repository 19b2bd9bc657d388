"""The answer to `status` for people: the table, or all about some services."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from itertools import islice

from supervisor_stack.cli import render
from supervisor_stack.cli.logs.files import backwards, open_log
from supervisor_stack.cli.output import say
from supervisor_stack.control.messages import Detail, ServiceStatus, StatusReply

_LOG_LINES = 10


def say_table(reply: StatusReply, no_color: bool) -> None:
    """The stack in one line, and below it a line for each service."""
    now = render.utc_now()
    table = render.status_table(reply.services, now)
    headline = render.headline(reply, now)
    if sys.stdout.isatty():
        from supervisor_stack.cli.tty import print_table

        print_table(headline, table, no_color)
        return
    say(headline)
    for line in table.lines():
        say(line)


def say_details(services: Sequence[ServiceStatus]) -> None:
    """All that is known of some services, and the ends of their logs."""
    now = render.utc_now()
    for number, service in enumerate(services):
        if number:
            say("")
        for line in render.details(service, now):
            say(line)
        for path in render.log_files(service.detail or Detail()):
            _say_log(path)


def _say_log(path: str) -> None:
    try:
        with open_log(path) as file:
            size = os.fstat(file.fileno()).st_size
            lines = list(islice(backwards(file, size), _LOG_LINES))[::-1]
    except OSError as error:
        say(f"{path}: {error.strerror}")
        return
    say(f"{path}:" if lines else f"{path}: empty")
    for line in lines:
        say("    " + render.visible(line))
