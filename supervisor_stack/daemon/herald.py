"""What systemd is told of the stack: ready when it has settled once, its state all the time, stopping."""

from __future__ import annotations

import asyncio

from supervisor_stack.core.stack import Stack
from supervisor_stack.daemon.systemd import Systemd

MARGIN = 30.0
"""Seconds for stackd itself, on top of what its services may take to stop."""


ASK_AGAIN = 1.0


class Herald:
    """Speaks for one stack. `warning`: shown with its state."""

    def __init__(self, systemd: Systemd, stack: Stack, loop: asyncio.AbstractEventLoop, warning: str) -> None:
        self.warning = warning
        self._systemd = systemd
        self._stack = stack
        self._loop = loop
        self._is_open = False
        self._ask_again = 0.0
        self._told_ready = False
        self._told_stopping = False

    def open(self) -> None:
        """Begin to ping the watchdog, if the unit has one, and tell the state for the first time.

        Not before the control socket is there: whoever waits for READY=1 may use it at once.
        """
        self._is_open = True
        if self._systemd.watchdog_interval:
            self._ping(self._systemd.watchdog_interval)
        self.tell()

    def tell(self) -> None:
        """Something may have changed."""
        if not self._is_open:
            return
        if self._stack.is_shutting_down:
            if not self._told_stopping:
                self._told_stopping = True
                self._systemd.stopping()
            self._ask_for_time()
        if not self._told_ready and not self._told_stopping and self._stack.state != "starting":
            self._told_ready = True
            self._systemd.ready(self._status())
        else:
            self._systemd.status(self._status())

    def _ask_for_time(self) -> None:
        """Each service may take its time to stop; the unit has one time for all of them."""
        now = self._loop.time()
        if now >= self._ask_again:  # looking at all services for each that goes would add up
            self._ask_again = now + ASK_AGAIN
            self._systemd.extend_timeout(self._stack.longest_stop + MARGIN)

    def begin_reload(self) -> None:
        """The configuration is being read again. That is not to be told of a start that is not over."""
        if self._told_ready:
            self._systemd.reloading()

    def end_reload(self) -> None:
        """And that is done, with whatever result."""
        if self._told_ready:
            self._systemd.ready(self._status())

    def close(self) -> None:
        """Say nothing more."""
        self._systemd.close()

    def _status(self) -> str:
        stack = self._stack
        state = f"{stack.state}: {stack.ready_count} of {len(stack.services)} services ready"
        return f"{state}; {self.warning}" if self.warning else state

    def _ping(self, interval: float) -> None:
        # From the loop and from nowhere else: when it is stuck, the pings stop, as they should.
        self._systemd.ping()
        self._loop.call_later(interval, self._ping, interval)
