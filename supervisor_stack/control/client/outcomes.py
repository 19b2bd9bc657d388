"""What came of an operation, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from supervisor_stack.control.messages import Apply, Finished, Reload, Restart, Shutdown, Start, Stop
from supervisor_stack.control.parts import Outcome
from supervisor_stack.control.plans import Plan
from supervisor_stack.control.purpose import purpose
from supervisor_stack.errors import OperationError, TimedOutError

Operation = Start | Stop | Restart | Reload | Apply | Shutdown

LEAVE_TIMEOUT = 10.0
"""Seconds for stackd to leave when all its services are stopped, or left."""


def failure(verb: str, outcome: Outcome) -> OperationError:
    """What went wrong for one service."""
    return OperationError(f"cannot {verb} {outcome.service}: {outcome.error}", outcome.detail)


def unexplained(message: Operation) -> OperationError:
    """What is wrong when an operation failed and no service did."""
    return OperationError(f"cannot {purpose(message)}: stackd does not say why")


def in_one(message: Operation, errors: Sequence[OperationError]) -> OperationError:
    """One error that tells all of them."""
    if len(errors) == 1:
        return errors[0]
    detail = tuple(line for error in errors for line in (error.message, *error.detail))
    return OperationError(f"cannot {purpose(message)}: {len(errors)} services failed", detail)


def raise_if_failed(message: Operation, plan: Plan | None, finished: Finished) -> None:
    """Return when all is as wanted. `plan`: what was done to which service, of Apply."""
    verbs: Mapping[str, str] = {each.service: each.effect for each in plan.changes} if plan else {}
    usual = "stop" if isinstance(message, Shutdown) else type(message).__name__.lower()
    errors = [failure(verbs.get(each.service, usual), each) for each in finished.outcomes if each.error]
    if errors:
        raise in_one(message, errors)
    if not finished.ok:
        raise unexplained(message)


def still_there(message: Shutdown) -> TimedOutError:
    """What is wrong when stackd has not left in time after a shutdown."""
    return TimedOutError(
        f"cannot shut down the stack: stackd did not leave within {LEAVE_TIMEOUT:g} s",
        ("all services go on." if message.keep_services else "all services are stopped.",),
    )
