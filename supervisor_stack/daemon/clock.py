"""From the monotonic clock, which decides, to the calendar, which people read."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def wall(at: float) -> str:
    """A monotonic time as RFC 3339 in UTC, with milliseconds.

    The calendar may have been set since; the answer is by today's calendar.
    """
    moment = datetime.fromtimestamp(time.time() - time.monotonic() + at, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
