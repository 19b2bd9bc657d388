"""Verbs that set something going, and tell how it goes: start, stop, restart, reload, shutdown."""

from __future__ import annotations

from supervisor_stack.cli.failure import Deed
from supervisor_stack.cli.options import ALL, Options
from supervisor_stack.cli.output import InterruptError, emit, shape_of, tell, tell_error
from supervisor_stack.cli.progress import view, watch
from supervisor_stack.cli.shapes import Begun, Ended, OperationFailure
from supervisor_stack.cli.target import connect
from supervisor_stack.control.client import Operation
from supervisor_stack.control.client.outcomes import in_one, unexplained
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
from supervisor_stack.errors import OperationError


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
                    emit(Begun(op=accepted.op, services=accepted.services))
                return 0
            with view(Deed(options), accepted) as shown:
                finished = watch(steps, shown)
            if isinstance(message, Shutdown) and finished.ok:
                client.see_off(message)
                if message.keep_services and not options.json:
                    tell("stackd has left, and its services go on")
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


def _report(message: Operation, finished: Finished, options: Options) -> int:
    """The exit code. To a person the failures were told already."""
    failed = [Deed(options).error(each) for each in finished.outcomes if each.error]
    if not finished.ok and not failed:
        failed = [unexplained(message)]
        if not options.json:
            tell_error(failed[0])
    if options.json and failed:
        error = shape_of(in_one(message, failed))
        emit(OperationFailure(error=error, op=finished.op, services=finished.outcomes))
    elif options.json:
        emit(Ended(op=finished.op, services=finished.outcomes))
    return OperationError.exit_code if failed else 0
