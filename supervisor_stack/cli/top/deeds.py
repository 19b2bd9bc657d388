"""What a person asks for by a key, carried out in a thread: it may take long, and nothing waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import count

from textual.message import Message

from supervisor_stack.cli.failure import Deed
from supervisor_stack.cli.options import Options
from supervisor_stack.cli.top.feeds import Connect, Post
from supervisor_stack.control.client import Operation
from supervisor_stack.control.messages import Finished, Progress, Status
from supervisor_stack.control.parts import Detail
from supervisor_stack.control.purpose import purpose
from supervisor_stack.errors import StackError

_numbers = count(1)
_OUT_OF_USE = ("stopped", "exited", "failed")


class Told(Message):
    """How it goes with what was asked for, as lines; `is_over`: these are the last ones."""

    def __init__(self, number: int, lines: tuple[str, ...], is_over: bool) -> None:
        super().__init__()
        self.number = number
        self.lines = lines
        self.is_over = is_over


class StopAsked(Message):
    """A person wants to stop a service, and these need it."""

    def __init__(self, service: str, needers: tuple[str, ...]) -> None:
        super().__init__()
        self.service = service
        self.needers = needers


def carry_out(message: Operation, connect: Connect, post: Post) -> None:
    """Ask stackd for it, and tell how it goes to its end."""
    number = next(_numbers)
    what = purpose(message)
    post(Told(number, (f"{what}: asked",), is_over=False))

    def run() -> None:
        with connect() as client:
            for step in client.operate(message):
                match step:
                    case Progress():
                        now = ": ".join(filter(None, (f"{step.service} is {step.state}", step.reason)))
                        post(Told(number, (f"{what}: {now}",), is_over=False))
                    case Finished():
                        post(Told(number, _outcome(message, step), is_over=True))

    _in_thread(run, lambda error: post(Told(number, _lines(error), is_over=True)))


def ask_to_stop(service: str, connect: Connect, post: Post) -> None:
    """Find out who needs the service and is in use, then post StopAsked."""

    def run() -> None:
        with connect() as client:
            states: dict[str, str] = {}
            asked = {service}
            while asked:
                found = client.request(Status(services=tuple(sorted(asked)), detail=True)).services
                states |= {each.name: each.state for each in found}
                needers = {name for each in found for name in (each.detail or Detail()).needed_by}
                asked = needers - states.keys()
        in_use = (name for name, state in states.items() if state not in _OUT_OF_USE)
        post(StopAsked(service, tuple(name for name in in_use if name != service)))

    _in_thread(run, lambda error: post(Told(next(_numbers), _lines(error), is_over=True)))


def _outcome(message: Operation, finished: Finished) -> tuple[str, ...]:
    deed = Deed(Options(verb=type(message).__name__.lower()))
    errors = [deed.error(outcome) for outcome in finished.outcomes if outcome.error]
    lines = tuple(line for error in errors for line in _lines(error))
    return lines or (f"{purpose(message)}: {'done' if finished.ok else 'failed'}",)


def _lines(error: StackError) -> tuple[str, ...]:
    return error.message, *(f"  {line}" for line in error.detail)


def _in_thread(run: Callable[[], None], failed: Callable[[StackError], object]) -> None:
    def guarded() -> None:
        try:
            run()
        except StackError as error:
            failed(error)

    threading.Thread(target=guarded, name="deed", daemon=True).start()
