"""Monotonic times as the calendar has them."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

from supervisor_stack.daemon.clock import Calendar, wall


def test_a_time_is_told_in_utc_with_milliseconds() -> None:
    before = datetime.now(UTC)

    told = wall(time.monotonic())

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", told)
    assert abs((datetime.fromisoformat(told) - before).total_seconds()) < 60


def test_times_that_are_told_together_keep_their_distance_and_their_order() -> None:
    calendar = Calendar()
    start = time.monotonic()
    steps = [number / 7 for number in range(50)]

    told = [calendar(start + step) for step in steps]

    assert told == sorted(told)
    assert calendar(start) == told[0]
    first = datetime.fromisoformat(told[0])
    for text, step in zip(told, steps, strict=True):
        assert abs((datetime.fromisoformat(text) - first).total_seconds() - step) < 0.002
