"""Verbs that set something going, and tell how it goes: start, stop, restart, reload, shutdown."""

from __future__ import annotations

from supervisor_stack.cli.failure import Deed
from supervisor_stack.cli.options import ALL, Options
from supervisor_stack.cli.output import InterruptError, emit, emit_error, tell_error
from supervisor_stack.cli.progress import view, watch
from supervisor_stack.cli.target import connect
from supervisor_stack.control.client import Operation, StackClient
from supervisor_stack.control.messages import (
    Accepted,
    Finished,
    Reload,
    Restart,
    Shutdown,
    Start,
    Stop,
)
from supervisor_stack.control.purpose import purpose
from supervisor_stack.errors import OperationError, TimedOutError

LEAVE_TIMEOUT = 10.0
"""Seconds for stackd to leave when all its services are stopped, or left."""


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
            with view(Deed(options), accepted) as shown:
                finished = watch(steps, shown)
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


def _see_off(client: StackClient, message: Shutdown) -> None:
    if not client.wait_gone(LEAVE_TIMEOUT):
        raise TimedOutError(
            f"cannot shut down the stack: stackd did not leave within {LEAVE_TIMEOUT:g} s",
            ("all services go on." if message.keep_services else "all services are stopped.",),
        )


def _report(message: Operation, finished: Finished, options: Options) -> int:
    """The exit code. To a person the failures were told already."""
    failed = [Deed(options).error(each) for each in finished.outcomes if each.error]
    if not finished.ok and not failed:
        unexplained = OperationError(f"cannot {purpose(message)}: stackd does not say why")
        failed = [unexplained]
        if not options.json:
            tell_error(unexplained)
    if options.json and failed:
        whole = failed[0] if len(failed) == 1 else _summary(message, failed)
        emit_error(whole, op=finished.op, services=finished.outcomes)
    elif options.json:
        emit(op=finished.op, services=finished.outcomes)
    return OperationError.exit_code if failed else 0


def _summary(message: Operation, errors: list[OperationError]) -> OperationError:
    detail = tuple(line for error in errors for line in (error.message, *error.detail))
    return OperationError(f"cannot {purpose(message)}: {len(errors)} services failed", detail)
