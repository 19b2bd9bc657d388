"""What went wrong with an operation: the cause, the evidence, what comes now, and what to type next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

from supervisor_stack.cli.options import PROGRAM, Options
from supervisor_stack.cli.render import span, utc_now
from supervisor_stack.control.client.outcomes import failure
from supervisor_stack.control.parts import Outcome
from supervisor_stack.errors import OperationError

NAMED = 3
"""Services that a sentence names; of more, only how many."""


class Deed(NamedTuple):
    """What is being done. `verbs`: to each service, where that is not what the command line says; `truths`:
    what is true after a failure, whatever it was."""

    options: Options
    verbs: Mapping[str, str] = {}
    truths: Mapping[str, str] = {}

    def verb(self, service: str) -> str:
        """What is done to a service: a shutdown stops them."""
        said = self.options.verb
        return self.verbs.get(service, "stop" if said == "shutdown" else said)

    def error(self, outcome: Outcome) -> OperationError:
        """A failure as stackd tells it."""
        error = failure(self.verb(outcome.service), outcome)
        if truth := self.truths.get(outcome.service, ""):
            error.detail = (*error.detail, truth)
        return error


def told(outcome: Outcome, deed: Deed) -> OperationError:
    """A failure for a person who is at it: with the last answer, the next try and the next command."""
    error = deed.error(outcome)
    return OperationError(error.message, (*error.detail, *_now(outcome), *_hints(outcome, deed)))


def told_together(outcomes: Sequence[Outcome], deed: Deed) -> Iterator[OperationError]:
    """Failures of many services, those with the same cause in one sentence."""

    def cause_of(outcome: Outcome) -> tuple[str, str]:
        return outcome.error, deed.verb(outcome.service)

    for (cause, verb), alike in groupby(sorted(outcomes, key=cause_of), key=cause_of):
        first, *others = alike
        if others:
            names = listed((first.service, *(each.service for each in others)))
            yield OperationError(f"cannot {verb} {names}: {cause}", tuple(_hints(first, deed)))
        else:
            yield told(first, deed)


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


def _hints(outcome: Outcome, deed: Deed) -> Iterator[str]:
    service = outcome.service
    match deed.verb(service):
        case "reload":
            hints: tuple[str, ...] = ("check",)
        case "stop":
            hints = (f"status {service}",)
        case _ if outcome.state == "waiting":  # it is another one that has something to tell
            hints = (f"explain {service}",)
        case _:
            hints = (f"logs {service} -n 50", f"explain {service}")
    yield from (f"see: {command(deed.options, hint)}" for hint in hints)


def command(options: Options, words: str) -> str:
    """A command to copy: for the same stackd as this one."""
    from shlex import quote

    config = f"-c {quote(options.config)}" if options.config else ""
    socket = f"--socket {quote(options.socket)}" if options.socket else ""
    return " ".join(filter(None, (PROGRAM, config, socket, words)))
