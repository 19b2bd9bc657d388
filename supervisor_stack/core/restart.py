"""The arithmetic of restarts: how long to wait, and when to give up."""

from __future__ import annotations

from supervisor_stack.spec import Backoff, StartLimit

JITTER = 0.1
"""At most this share is added to a delay, so that services which fell together do not rise together."""


def next_delay(backoff: Backoff, failures: int, chance: float) -> float:
    """Seconds to wait before the restart that follows the `failures`-th failure in a row.

    The first failure after a good time is repaired at once. `chance` is a random number in [0, 1).
    """
    if failures <= 1:
        return 0.0
    # The exponent is capped because a float overflows near 2**1024, after a few days of failing.
    delay = min(backoff.max, backoff.initial * backoff.factor ** min(failures - 2, 64))
    return delay * (1.0 + JITTER * chance)


def within(times: tuple[float, ...], limit: StartLimit, now: float) -> tuple[float, ...]:
    """The failure times that still count, with `now` as the newest."""
    return (*(at for at in times if now - at < limit.interval), now)


def is_exhausted(times: tuple[float, ...], limit: StartLimit) -> bool:
    """Whether these failures, all within the interval, are as many as the limit allows."""
    return len(times) >= limit.burst
