"""From the monotonic clock, which decides, to the calendar, which people read."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def wall(at: float) -> str:
    """A monotonic time as RFC 3339 in UTC, with milliseconds.

    The calendar may have been set since; the answer is by today's calendar.
    """
    return Calendar()(at)


class Calendar:
    """One reading of both clocks, for times that are told together: what was at once is told as at once."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()
        self._seconds: dict[int, str] = {}

    def __call__(self, at: float) -> str:
        """As `wall`; thousands of times cost little where many are of the same second."""
        second, thousandth = divmod(int((self._offset + at) * 1000), 1000)
        told = self._seconds.get(second)
        if told is None:
            told = self._seconds[second] = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{told}.{thousandth:03d}Z"
