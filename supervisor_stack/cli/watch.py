"""`status --watch`: the table, shown again whenever a service changes, until Ctrl-C."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from time import monotonic, sleep

import msgspec

from supervisor_stack.cli.options import Options
from supervisor_stack.cli.output import say
from supervisor_stack.cli.progress import is_capable
from supervisor_stack.cli.render import tone_of
from supervisor_stack.cli.report import status_lines
from supervisor_stack.cli.target import connect
from supervisor_stack.control.client import StackClient
from supervisor_stack.control.messages import Status, StatusReply
from supervisor_stack.control.parts import ServiceStatus
from supervisor_stack.errors import TimedOutError

LEAST_INTERVAL = 0.2
"""Seconds between two looks: a thousand services that crash at once are shown some times a second."""


def watch(options: Options, emit_reply: Callable[[StatusReply], None]) -> int:
    """Show how the stack is until somebody ends it. With --json, `emit_reply` writes a line per change."""
    with connect(options) as client:
        replies = _replies(client, options)
        if options.json:
            for reply in _changes(replies):
                emit_reply(reply)
        elif is_capable(sys.stdout):
            _redraw(replies, options)
        else:
            for number, reply in enumerate(_changes(replies)):
                if number:
                    say("")
                for line in status_lines(reply, options.no_color):
                    say(line)
                sys.stdout.flush()
    raise TypeError("watching has no end")


def _redraw(replies: Iterator[StatusReply], options: Options) -> None:
    from supervisor_stack.cli.live import Screen

    now = next(replies)
    with Screen(options.no_color, lambda height: _fitted(now, height, options)) as screen:
        screen.draw()
        for now in replies:  # noqa: B007  what the screen shows
            screen.draw()


def _fitted(reply: StatusReply, height: int, options: Options) -> list[str]:
    """What has room in the height of the terminal: first those that are not well."""
    room = max(1, height - (4 if reply.stack.warning else 3))
    more = len(reply.services) - room
    if more <= 0:
        return list(status_lines(reply, options.no_color))
    order = ("bad", "busy", "good", "idle")
    pressing = sorted(reply.services, key=lambda service: order.index(tone_of(service)))
    shown = msgspec.structs.replace(reply, services=tuple(pressing[:room]))
    return [*status_lines(shown, options.no_color), f"{more} more"]


def _replies(client: StackClient, options: Options) -> Iterator[StatusReply]:
    """How it is: at once, whenever something has changed, and every `interval` for the figures."""
    request = Status(services=tuple(options.services))
    interval = max(LEAST_INTERVAL, options.interval)
    while True:
        looked = monotonic()
        reply = client.request(request)
        yield reply
        try:
            next(client.subscribe(reply.seq, interval))
        except TimedOutError:
            continue
        sleep(max(0.0, LEAST_INTERVAL - (monotonic() - looked)))


def _changes(replies: Iterator[StatusReply]) -> Iterator[StatusReply]:
    """Those in which more than the figures differs from the one before."""
    before: object = None
    for reply in replies:
        now = (reply.stackd, reply.stack, tuple(map(_without_figures, reply.services)))
        if now != before:
            before = now
            yield reply


def _without_figures(service: ServiceStatus) -> ServiceStatus:
    return msgspec.structs.replace(service, cpu_percent=None, memory_bytes=None, processes=0)
