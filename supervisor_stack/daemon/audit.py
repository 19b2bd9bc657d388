"""Who did what: a line of stackd's log for each request that acts, and for each that is refused."""

from __future__ import annotations

import logging
from collections.abc import Callable

from supervisor_stack.control.messages import AnyRequest, Reset, Signal
from supervisor_stack.control.roles import needed
from supervisor_stack.daemon.access import Caller, said
from supervisor_stack.errors import NotPermittedError, StackError

log = logging.getLogger("stackd.audit")

MANY = 20
"""Lines of one sort that are written within `INTERVAL`; the rest is counted. Nobody may fill the disk by
asking."""

INTERVAL = 10.0
"""Seconds."""


class Share:
    """How many lines of one sort may be written; the first one begins an interval."""

    def __init__(self) -> None:
        self._until = 0.0
        self._asked = 0

    def unwritten(self, now: float) -> int:
        """Begin anew when the interval is over; returns how many were left out in it, once."""
        if now < self._until:
            return 0
        more = max(0, self._asked - MANY)
        self._until, self._asked = now + INTERVAL, 0
        return more

    def take(self) -> bool:
        """Whether one more may be written."""
        self._asked += 1
        return self._asked <= MANY


class Audit:
    """Writes the lines; `now` tells monotonic seconds.

    What moves a service is always told. Signals and resets can be asked for without end, and are limited for
    each user and key; refusals are for all together.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._refusals = Share()
        self._acts: dict[str, Share] = {}

    def accept(self, caller: Caller, request: AnyRequest, result: str) -> None:
        """He asked, and this is what comes of it. Who only looks is not told of."""
        if needed(request) == "view":
            return
        if isinstance(request, Signal | Reset):
            share = self._acts.setdefault(caller.account, Share())
            if more := share.unwritten(self._now()):
                log.info("audit: %d more signals and resets of %s were done", more, caller.name)
            if not share.take():
                return
        log.info("audit: %s asked to %s: %s", caller.told, said(request), result)

    def refuse(self, caller: Caller, request: AnyRequest, error: StackError) -> None:
        """He asked, and did not get it. Nor is it told that somebody could not see what there is not."""
        if needed(request) == "view" and not isinstance(error, NotPermittedError):
            return
        if more := self._refusals.unwritten(self._now()):
            log.warning("audit: %d more requests were refused", more)
        if self._refusals.take():
            cause = error.message
            if isinstance(error, NotPermittedError):
                cause = f"has the role {caller.role or 'none'}, and it takes {needed(request)}"
            log.warning("audit: %s asked to %s: refused: %s", caller.told, said(request), cause)
