"""The verb events: what happened to the services, and what happens."""

from __future__ import annotations

import sys

from supervisor_stack.cli.options import DEFAULT_LINES, Options
from supervisor_stack.cli.output import emit, say_all, tell
from supervisor_stack.cli.render import event_lines
from supervisor_stack.cli.target import connect
from supervisor_stack.control.messages import Notice


def events(options: Options) -> int:
    """What happened to the services, and with -f what happens."""
    count = DEFAULT_LINES if options.lines is None else options.lines
    with connect(options) as client:
        reply = client.events(limit=count)
        for notice in reply.notices:
            _show(notice, options)
        seq = reply.seq
        if options.follow:
            for notice in client.subscribe(seq):
                if notice.seq > seq + 1:
                    tell(f"stackd no longer knows the {notice.seq - seq - 1} events before the next one")
                elif notice.seq <= seq:
                    tell("another stackd has taken over, and counts anew")
                _show(notice, options)
                seq = notice.seq
    return 0


def _show(notice: Notice, options: Options) -> None:
    if options.json:
        emit(notice)
        return
    say_all(event_lines(notice))
    sys.stdout.flush()
