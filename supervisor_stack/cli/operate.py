"""Verbs that set something going, and tell how it goes: start, stop, restart, reload, shutdown."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from supervisor_stack.cli.options import ALL, Options
from supervisor_stack.cli.output import InterruptError, emit, emit_error, tell, tell_error
from supervisor_stack.cli.target import connect
from supervisor_stack.control.client import Operation, StackClient, purpose
from supervisor_stack.control.messages import (
    Accepted,
    Finished,
    Progress,
    Reload,
    Restart,
    Shutdown,
    Start,
    Stop,
)
from supervisor_stack.errors import OperationError, TimedOutError

LEAVE_TIMEOUT = 10.0
"""Seconds for stackd to leave when all its services are stopped, or left."""


class View(Protocol):
    """What shows the progress."""

    def show(self, step: Progress | Finished) -> None:
        """Take in what changed."""


def operate(options: Options) -> int:
    """Carry out one of the verbs. Raises StackError; a failed operation is told here."""
    message = _message(options)
    truth = "stackd may have begun with it"
    try:
        with connect(options) as client:
            steps = client.operate(message, options.timeout)
            accepted = next(steps)
            truth = "stackd goes on with it"
            if not isinstance(accepted, Accepted):
                raise TypeError(f"an operation begins with Accepted, not with {accepted}")
            if not options.wait:
                if options.json:
                    emit(op=accepted.op, services=accepted.services)
                return 0
            with _view(options, accepted) as view:
                finished = _watch(steps, view)
            if isinstance(message, Shutdown) and finished.ok:
                _see_off(client, message)
    except KeyboardInterrupt:
        detail = f"{truth}: {purpose(message)}; see how with: stackctl status"
        raise InterruptError("cannot wait for the end: interrupted", (detail,)) from None
    return _report(message, finished, options)


def _message(options: Options) -> Operation:
    services = () if ALL in options.services else tuple(options.services)
    match options.verb:
        case "start":
            return Start(services=services)
        case "stop":
            return Stop(services=services, cascade=options.cascade)
        case "restart":
            return Restart(services=services, cascade=options.cascade, hard=options.hard)
        case "reload":
            return Reload(services=services)
        case _:
            return Shutdown(keep_services=options.keep_services)


def _watch(steps: Iterator[Accepted | Progress | Finished], view: View) -> Finished:
    for step in steps:
        if isinstance(step, Progress | Finished):
            view.show(step)
        if isinstance(step, Finished):
            return step
    raise TypeError("an operation ends with Finished")


def _see_off(client: StackClient, message: Shutdown) -> None:
    if not client.wait_gone(LEAVE_TIMEOUT):
        raise TimedOutError(
            f"cannot shut down the stack: stackd did not leave within {LEAVE_TIMEOUT:g} s",
            ("all services go on." if message.keep_services else "all services are stopped.",),
        )


def _report(message: Operation, finished: Finished, options: Options) -> int:
    errors = _errors(message, finished)
    if not options.json:
        for error in errors:
            tell_error(error)
    elif not errors:
        emit(op=finished.op, services=finished.outcomes)
    else:
        whole = errors[0] if len(errors) == 1 else _summary(message, errors)
        emit_error(whole, op=finished.op, services=finished.outcomes)
    return OperationError.exit_code if errors else 0


def _errors(message: Operation, finished: Finished) -> list[OperationError]:
    verb = "stop" if isinstance(message, Shutdown) else type(message).__name__.lower()
    errors = [
        OperationError(f"cannot {verb} {outcome.service}: {outcome.error}", outcome.detail)
        for outcome in finished.outcomes
        if outcome.error
    ]
    if not errors and not finished.ok:
        return [OperationError(f"cannot {purpose(message)}: stackd does not say why")]
    return errors


def _summary(message: Operation, errors: list[OperationError]) -> OperationError:
    detail = tuple(line for error in errors for line in (error.message, *error.detail))
    return OperationError(f"cannot {purpose(message)}: {len(errors)} services failed", detail)


def _view(options: Options, accepted: Accepted) -> AbstractContextManager[View]:
    if options.json:
        return nullcontext(_Silence())
    if not sys.stderr.isatty():
        return nullcontext(_Lines(accepted.services))
    from supervisor_stack.cli.tty import LiveProgress

    return LiveProgress(accepted, options.no_color)


class _Silence:
    """For programs: they get the end."""

    def show(self, step: Progress | Finished) -> None:
        """Nothing."""


class _Lines:
    """A line on stderr for each change, for logs and pipes."""

    def __init__(self, services: tuple[str, ...]) -> None:
        self._width = max(map(len, services), default=0)
        self._told: dict[str, tuple[str, str]] = {}

    def show(self, step: Progress | Finished) -> None:
        """Tell what changed."""
        if isinstance(step, Progress):
            self._tell(step.service, step.state, step.reason)
            return
        for outcome in step.outcomes:
            state, reason = self._told.get(outcome.service, ("", ""))
            # An error is told in full when all is over.
            self._tell(outcome.service, outcome.state, reason if state == outcome.state else "")

    def _tell(self, service: str, state: str, reason: str) -> None:
        if self._told.get(service) != (state, reason):
            self._told[service] = (state, reason)
            tell(f"{service:<{self._width}}  {state:<9}  {reason}".rstrip())
