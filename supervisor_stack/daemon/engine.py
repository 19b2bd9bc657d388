"""The heart of the daemon: one inbox, one writer, one alarm.

Facts are posted from anywhere on the event loop; each goes through the core, and the orders that
come back are performed at once. Performing never waits: what comes of an order is posted as a fact.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from supervisor_stack.core.actions import Action
from supervisor_stack.core.events import Event
from supervisor_stack.core.stack import Stack

log = logging.getLogger(__name__)

TURN = 0.005
"""Seconds of work on the inbox before sockets and timers get their turn: a thousand services that
die at once must not make the control socket deaf."""

LATE = 0.5
"""Seconds. An alarm that rings so much too late has not been waited for: stackd was stopped (SIGSTOP), the
machine was suspended or hopelessly overloaded."""

GRACE = 1.0
"""Seconds for what happened meanwhile to be heard of, before anybody is judged for his silence."""


class Engine:
    """Drives a stack on a running asyncio loop. `finished` is called once, when the stack is."""

    def __init__(self, stack: Stack, loop: asyncio.AbstractEventLoop, finished: Callable[[], None]) -> None:
        self.stack = stack
        self.perform: Callable[[Action], None] = lambda _: None
        self._loop = loop
        self._finished = finished
        self._inbox: deque[Event] = deque()
        self._orders: deque[Action] = deque()
        self._turning = False
        self._alarm: asyncio.TimerHandle | None = None
        self._not_before = 0.0
        self._rung = float("-inf")
        self._seen_alive = loop.time()
        self._closed = False

    def now(self) -> float:
        """Monotonic seconds: the only clock that the core ever sees."""
        return self._loop.time()

    def post(self, event: Event) -> None:
        """Take in a fact; it is handled in this turn of the loop or the next."""
        self._inbox.append(event)
        self._schedule()

    def request(self, ask: Callable[[float], list[Action]]) -> None:
        """Ask the stack for something, now. Errors of the request go to the caller, nothing is done."""
        if not self._closed:
            self._orders.extend(ask(self.now()))
            self._carry_out(self.now() + TURN)
            self._schedule()

    def close(self) -> None:
        """Take in nothing more and do nothing more: from now on everything is another stackd's."""
        self._closed = True
        self._inbox.clear()
        self._orders.clear()
        if self._alarm is not None:
            self._alarm.cancel()

    def _schedule(self) -> None:
        if not self._turning and not self._closed:
            self._turning = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        if self._closed:
            return
        until = self.now() + TURN
        self._carry_out(until)
        while self._inbox and not self._orders and self.now() < until:
            event = self._inbox.popleft()
            try:
                self._orders.extend(self.stack.handle(event, self.now()))
            except Exception:
                # A bug of ours: it costs this one event, not the services.
                log.exception("cannot handle %s: internal error; its service stays as it was", event)
            self._carry_out(until)
        while not self._is_busy and self.stack.deadline <= self._rung and self.now() < until:
            self._wake()
            self._carry_out(until)
        self._turning = False
        self._seen_alive = self.now()
        if self._is_busy or self.stack.deadline <= self._rung:
            self._schedule()
            return
        self._arm()
        if self.stack.is_finished:
            self._finished()

    @property
    def _is_busy(self) -> bool:
        """Whether something comes before a deadline: what happened before an alarm rang counts first."""
        return bool(self._inbox or self._orders)

    def _carry_out(self, until: float) -> None:
        """What was ordered, one after the other; the rest in the next turn, before anything else is decided.

        A start of thousands takes seconds, in which clients want to be answered.
        """
        while self._orders and not self._closed:
            action = self._orders.popleft()
            try:
                self.perform(action)
            except Exception:
                log.exception("cannot perform %s: internal error", action)
            if self.now() >= until:
                return

    def _wake(self) -> None:
        try:
            self._orders.extend(self.stack.wake(self.now()))
        except Exception:
            log.exception("cannot handle a deadline: internal error; its service stays as it was")

    def _arm(self) -> None:
        deadline = max(self.stack.deadline, self._not_before)
        if self._alarm is not None:
            if self._alarm.when() == deadline:
                return
            self._alarm.cancel()
            self._alarm = None
        if deadline != float("inf"):
            self._alarm = self._loop.call_at(deadline, self._ring, deadline)

    def _ring(self, due: float) -> None:
        self._alarm = None
        # While thousands of deadlines are being dealt with the next ones are late, and nothing stood still.
        late = self.now() - max(due, self._seen_alive)
        if late > LATE:
            log.warning("stackd stood still for %.1f s or more; deadlines wait for what happened", late)
            self._not_before = self.now() + GRACE
        else:
            self._rung = self.now()
        self._schedule()
