"""What an event costs does not grow with the stack: counted in calls, so that no clock is needed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType

import pytest

from tests.core.histories import History, service

Act = Callable[[History], object]


def calls(act: Callable[[], object]) -> int:
    """How many functions of Python and C are called."""
    count = 0

    def notice(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(notice)
    try:
        act()
    finally:
        sys.setprofile(None)
    return count


def running(size: int) -> History:
    """A stack of independent services that all run."""
    names = [f"s{number}" for number in range(size)]
    history = History(*map(service, names))
    history.ask("start", *names)
    history.up(*names)
    history.later(0.0)  # deadlines that were met leave the queue at the next look, each once
    return history


ACTS: dict[str, Act] = {
    "a crash": lambda history: history.exited("s3"),
    "a stop": lambda history: history.ask("stop", "s3"),
    "a restart": lambda history: history.ask("restart", "s3"),
    "an alarm after a crash": lambda history: (history.exited("s3"), history.later(100.0)),
    "a look at the alarm": lambda history: history.stack.deadline,
}


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_an_event_costs_the_same_among_ten_and_among_a_thousand(act: Act) -> None:
    few, many = running(10), running(1000)

    assert calls(lambda: act(few)) == calls(lambda: act(many))
