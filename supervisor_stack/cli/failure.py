"""What went wrong with an operation: the cause, the evidence, what comes now, and what to type next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby

from supervisor_stack.cli.options import PROGRAM, Options
from supervisor_stack.cli.render import span, utc_now
from supervisor_stack.control.messages import Outcome
from supervisor_stack.errors import OperationError

NAMED = 3
"""Services that a sentence names; of more, only how many."""


def verb_of(options: Options) -> str:
    """What is done to each service: a shutdown stops them."""
    return "stop" if options.verb == "shutdown" else options.verb


def error_of(verb: str, outcome: Outcome) -> OperationError:
    """A failure as stackd tells it."""
    return OperationError(f"cannot {verb} {outcome.service}: {outcome.error}", outcome.detail)


def told(outcome: Outcome, options: Options) -> OperationError:
    """The same for a person who is at it: with the last answer, the next try and the next command."""
    error = error_of(verb_of(options), outcome)
    return OperationError(error.message, (*error.detail, *_now(outcome), *_hints(outcome.service, options)))


def told_together(outcomes: Sequence[Outcome], options: Options) -> Iterator[OperationError]:
    """Failures of many services, those with the same cause in one sentence."""
    by_cause = sorted(outcomes, key=lambda each: each.error)
    for cause, alike in groupby(by_cause, key=lambda each: each.error):
        first, *others = alike
        if others:
            names = listed((first.service, *(each.service for each in others)))
            yield OperationError(
                f"cannot {verb_of(options)} {names}: {cause}", tuple(_hints(first.service, options))
            )
        else:
            yield told(first, options)


def listed(names: Iterable[str]) -> str:
    """`a, b, c and 17 more`."""
    every = list(names)
    more = len(every) - NAMED
    return ", ".join(every[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _now(outcome: Outcome) -> Iterator[str]:
    if outcome.probe:
        yield f"last answer of its ready probe: {outcome.probe}"
    if outcome.next_retry:
        left = (datetime.fromisoformat(outcome.next_retry) - utc_now()).total_seconds()
        yield f"stackd goes on trying; next in {span(left)}"


def _hints(service: str, options: Options) -> Iterator[str]:
    match verb_of(options):
        case "reload":
            hints: tuple[str, ...] = ("check",)
        case "stop":
            hints = (f"status {service}",)
        case _:
            hints = (f"logs {service} -n 50", f"explain {service}")
    yield from (f"see: {command(options, hint)}" for hint in hints)


def command(options: Options, words: str) -> str:
    """A command to copy: for the same stackd as this one."""
    from shlex import quote

    config = f"-c {quote(options.config)}" if options.config else ""
    socket = f"--socket {quote(options.socket)}" if options.socket else ""
    return " ".join(filter(None, (PROGRAM, config, socket, words)))
