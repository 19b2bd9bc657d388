"""How an operation goes, shown while it goes: on a terminal redrawn in place, elsewhere a line per change."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from time import monotonic
from typing import IO, Protocol

from supervisor_stack.cli.failure import Deed, command, listed, told, told_together
from supervisor_stack.cli.output import tell, tell_error
from supervisor_stack.cli.render import counted, harmless, seconds, span
from supervisor_stack.control.messages import Accepted, Finished, Progress
from supervisor_stack.control.parts import Outcome
from supervisor_stack.errors import StackError

_PAST = {
    "start": "started", "stop": "stopped", "restart": "restarted", "reload": "reloaded",
    "shutdown": "stopped", "apply": "applied",
}  # fmt: skip
_IS_ALREADY = {"start": "up", "stop": "down"}
"""What a service is already for which there was nothing to do."""

_TOLD_IN_FULL = 5
"""Failures that are told at once, and causes that are told at the end; the others are counted."""


class View(Protocol):
    """What shows the progress."""

    def show(self, step: Progress | Finished) -> None:
        """Take in what changed."""


def view(deed: Deed, accepted: Accepted) -> AbstractContextManager[View]:
    """What shows the progress of this operation to whoever has asked for it: failures at once, at the end
    how long it took, nothing with --json."""
    if deed.options.json:
        return nullcontext(_Silence())
    if not (accepted.services and is_capable(sys.stderr)):
        return nullcontext(_Lines(deed, accepted.services))
    from supervisor_stack.cli.live import LiveProgress

    return LiveProgress(deed, accepted.services)


def watch(steps: Iterator[Accepted | Progress | Finished], view: View) -> Finished:
    """Show an operation that was accepted until its end. Raises what StackClient.operate raises."""
    for step in steps:
        if isinstance(step, Progress | Finished):
            view.show(step)
        if isinstance(step, Finished):
            return step
    raise TypeError("an operation ends with Finished")


def is_capable(stream: IO[str]) -> bool:
    """Whether it is a terminal on which lines can be drawn again."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


class Narrator:
    """Tells failures once each, as soon as they are there, and how long all of it took."""

    def __init__(self, deed: Deed, tell_error: Callable[[StackError], None] = tell_error) -> None:
        self._deed = deed
        self._tell_error = tell_error
        self._began = monotonic()
        self._told: set[str] = set()
        self._states: dict[str, set[str]] = {}

    def on_its_way(self, step: Progress) -> None:
        """A service is in this state, on its way to the end of the operation."""
        self._states.setdefault(step.service, set()).add(step.state)

    def over(self, outcome: Outcome) -> None:
        """It is over for a service. Whoever only waited for one that failed is told of at the end."""
        is_cause = outcome.error and outcome.state != "waiting"
        if is_cause and outcome.service not in self._told and len(self._told) < _TOLD_IN_FULL:
            self._told.add(outcome.service)
            self._tell_error(told(outcome, self._deed))

    def end(self, finished: Finished) -> None:
        """It is over for all."""
        for outcome in finished.outcomes:
            self.over(outcome)
        rest = [each for each in finished.outcomes if each.error and each.service not in self._told]
        errors = list(told_together(rest, self._deed))
        for error in errors[:_TOLD_IN_FULL]:
            self._tell_error(error)
        if more := len(errors[_TOLD_IN_FULL:]):
            tell(
                f"{counted(more, 'more cause', 'more causes')}; see: {command(self._deed.options, 'status')}"
            )
        if summary := self._summary(finished.outcomes):
            tell(summary)

    def _summary(self, outcomes: Sequence[Outcome]) -> str:
        failed = [each.service for each in outcomes if each.error]
        done = [each.service for each in outcomes if not each.error]
        what = _PAST.get(self._deed.options.verb, "done")
        took = f"in {seconds(monotonic() - self._began)}"
        if not failed:
            return self._well(outcomes, f"{what} {took}")
        return f"{len(done)} of {len(outcomes)} {what} {took}, failed: {listed(failed)}"

    def _well(self, outcomes: Sequence[Outcome], what: str) -> str:
        """What was done, and for whom there was nothing to do: those were in no other state meanwhile."""
        word = _IS_ALREADY.get(self._deed.options.verb, "")
        idle = [
            each.service
            for each in outcomes
            if word and self._states.get(each.service, set()) <= {each.state}
        ]
        done = [each.service for each in outcomes if each.service not in idle]
        already = f"{listed(idle)} {'was' if len(idle) == 1 else 'were'} {word} already" if idle else ""
        return "; ".join(filter(None, (f"{listed(done)} {what}" if done else "", already)))


class _Silence:
    """For programs: they get the end."""

    def show(self, step: Progress | Finished) -> None:
        """Nothing."""


class _Lines:
    """A line on stderr for each change, for logs and pipes."""

    def __init__(self, deed: Deed, services: Sequence[str]) -> None:
        self._narrator = Narrator(deed)
        self._width = max(map(len, services), default=0)
        self._told: dict[str, tuple[str, str]] = {}

    def show(self, step: Progress | Finished) -> None:
        """Tell what changed."""
        if isinstance(step, Progress):
            if step.outcome:
                self._end(step.outcome)
                self._narrator.over(step.outcome)
            else:
                self._narrator.on_its_way(step)
                self._tell(step.service, step.state, step.reason, outlook(step.then, step.left))
            return
        for outcome in step.outcomes:
            self._end(outcome)
        self._narrator.end(step)

    def _end(self, outcome: Outcome) -> None:
        state, reason = self._told.get(outcome.service, ("", ""))
        # An error is told in full.
        self._tell(outcome.service, outcome.state, reason if state == outcome.state else "")

    def _tell(self, service: str, state: str, reason: str, outlook: str = "") -> None:
        if self._told.get(service) != (state, reason):
            self._told[service] = (state, reason)
            waits = ", ".join(filter(None, (harmless(reason), outlook)))
            tell(f"{service:<{self._width}}  {state:<9}  {waits}".rstrip())


def outlook(then: str, left: float | None) -> str:
    """What comes of waiting: `killed in 8s`."""
    return f"{then} in {span(left)}" if then and left is not None else ""
