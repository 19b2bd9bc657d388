"""Who did what: a line of stackd's log for each request that acts, and for each that is refused."""

from __future__ import annotations

import logging
from collections.abc import Callable

from supervisor_stack.control.messages import AnyRequest
from supervisor_stack.control.roles import needed
from supervisor_stack.daemon.access import Caller, said
from supervisor_stack.errors import NotPermittedError, StackError

log = logging.getLogger("stackd.audit")

MANY = 20
"""Refusals that are told within `INTERVAL`; the rest is counted. Nobody may fill the disk by asking."""

INTERVAL = 10.0
"""Seconds."""


class Audit:
    """Writes the lines; `now` tells monotonic seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._until = 0.0
        self._refused = 0

    def accept(self, caller: Caller, request: AnyRequest, result: str) -> None:
        """He asked, and this is what comes of it. Who only looks is not told of."""
        if needed(request) != "view":
            log.info("audit: %s asked to %s: %s", caller.told, said(request), result)

    def refuse(self, caller: Caller, request: AnyRequest, error: StackError) -> None:
        """He asked, and did not get it. Nor is it told that somebody could not see what there is not."""
        if needed(request) == "view" and not isinstance(error, NotPermittedError):
            return
        now = self._now()
        if now >= self._until:
            if self._refused > MANY:
                log.warning("audit: %d more requests were refused", self._refused - MANY)
            self._until, self._refused = now + INTERVAL, 0
        self._refused += 1
        if self._refused <= MANY:
            cause = error.message
            if isinstance(error, NotPermittedError):
                cause = f"has the role {caller.role or 'none'}, and it takes {needed(request)}"
            log.warning("audit: %s asked to %s: refused: %s", caller.told, said(request), cause)
