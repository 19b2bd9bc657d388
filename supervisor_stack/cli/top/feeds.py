"""What comes from stackd by itself, read in threads: how the services are, and what happens to them.

At its end textual waits for the threads that it makes, and one that hears nothing would hold up a person who
quits. These end with the process.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from time import monotonic
from typing import Protocol

from textual.message import Message

from supervisor_stack.cli.render import event_lines
from supervisor_stack.control.client import StackClient
from supervisor_stack.control.messages import (
    Events,
    Notice,
    Status,
    StatusReply,
)
from supervisor_stack.control.parts import ServiceStatus
from supervisor_stack.errors import StackError, TimedOutError, UnknownServiceError

RETRY = 1.0
"""Seconds until stackd is looked for again."""
KEPT = 2000
"""Lines of events and of logs."""
_RECALLED = 100
"""Events from before."""
_FEW = 20
"""Services that are asked for by name; for more of them all are."""
_PAUSE = 0.05
"""Seconds before a question: what happens together is asked for together, and a storm of notices does not
become one of requests."""
_TURN = 5.0
"""Seconds after which the subscription is renewed, and whether somebody still reads is looked at."""

Connect = Callable[[], StackClient]


class Post(Protocol):
    """Takes a message from any thread; False when nobody reads it any more."""

    def __call__(self, message: Message) -> bool: ...


class Polled(Message):
    """How services are; `whole`: all of them."""

    def __init__(self, reply: StatusReply, whole: bool) -> None:
        super().__init__()
        self.reply = reply
        self.whole = whole


class Detailed(Message):
    """All about one service."""

    def __init__(self, service: ServiceStatus) -> None:
        super().__init__()
        self.service = service


class Lost(Message):
    """stackd does not answer."""

    def __init__(self, error: StackError) -> None:
        super().__init__()
        self.error = error


class Arrived(Message):
    """There is something in a basket."""

    def __init__(self, basket: Basket) -> None:
        super().__init__()
        self.basket = basket


class Basket:
    """Lines that a thread found, until the screen takes them out. It holds up nobody: the oldest go."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._lines: deque[str] = deque(maxlen=KEPT)
        self._is_told = False

    def put(self, lines: Iterable[str]) -> None:
        """Add lines, and say once that there are some."""
        self._lines.extend(lines)
        if self._lines and not self._is_told:
            self._is_told = True
            self._post(Arrived(self))

    def empty(self) -> list[str]:
        """All that is in it."""
        self._is_told = False  # before it is emptied: what comes meanwhile is told
        found = []
        with suppress(IndexError):
            while True:
                found.append(self._lines.popleft())
        return found


class _Feed(threading.Thread):
    """Reads from stackd, and connects anew when it went away."""

    def __init__(self, connect: Connect, post: Post) -> None:
        super().__init__(name=type(self).__name__, daemon=True)
        self._connect = connect
        self._post = post
        self._wake = threading.Condition()
        self._is_over = False

    def run(self) -> None:
        """Until nobody reads it any more."""
        while not self._is_over:
            try:
                with self._connect() as client:
                    self._read(client)
            except StackError as error:
                self._lost(error)
                with self._wake:
                    self._wake.wait_for(lambda: self._is_over, RETRY)

    def stop(self) -> None:
        """End soon."""
        with self._wake:
            self._is_over = True
            self._wake.notify()

    def _read(self, client: StackClient) -> None:
        raise NotImplementedError

    def _lost(self, error: StackError) -> None:
        pass


class Poller(_Feed):
    """Asks how all services are, every `interval` seconds, and of some at once when something happened to
    them. Posts Polled, Detailed and Lost."""

    def __init__(self, connect: Connect, post: Post, interval: float) -> None:
        super().__init__(connect, post)
        self._interval = interval
        self._due = 0.0
        self._changed: set[str] = set()
        self._detailed = ""

    def look_at(self, name: str) -> None:
        """Something happened to this service."""
        with self._wake:
            self._changed.add(name)
            self._wake.notify()

    def tell_all_about(self, name: str) -> None:
        """Add the details of this service to each answer; "" for none."""
        with self._wake:
            if self._detailed != name:
                self._detailed = name
                self._changed |= {name} - {""}
                self._wake.notify()

    def _read(self, client: StackClient) -> None:
        self._due = 0.0
        while (names := self._next()) is not None:
            try:
                self._ask(client, names)
            except UnknownServiceError:
                # It was removed from the configuration: to see that, one has to look at all.
                self._due, self._detailed = 0.0, ""

    def _next(self) -> tuple[str, ...] | None:
        """What is to be asked for next, when it is due; () for all, None for the end."""
        with self._wake:
            self._wake.wait_for(lambda: self._is_over or self._changed, max(0.0, self._due - monotonic()))
            self._wake.wait_for(lambda: self._is_over, _PAUSE)
            if self._is_over:
                return None
            changed, self._changed = self._changed, set()
            return () if monotonic() >= self._due or len(changed) > _FEW else tuple(sorted(changed))

    def _ask(self, client: StackClient, names: tuple[str, ...]) -> None:
        if not names:
            self._due = monotonic() + self._interval
        is_read = self._post(Polled(client.request(Status(services=names)), whole=not names))
        self._is_over = self._is_over or not is_read
        detailed = self._detailed
        if detailed and (not names or detailed in names):
            (service,) = client.request(Status(services=(detailed,), detail=True)).services
            self._post(Detailed(service))

    def _lost(self, error: StackError) -> None:
        self._post(Lost(error))


class Listener(_Feed):
    """Hears what happens. `happened` is told the service of each notice, in this thread."""

    def __init__(self, connect: Connect, post: Post, happened: Callable[[str], None]) -> None:
        super().__init__(connect, post)
        self.basket = Basket(post)
        self._happened = happened
        self._seq = 0
        self._time = ""

    def _read(self, client: StackClient) -> None:
        reply = client.request(Events(limit=_RECALLED))
        # By their times: the next stackd counts from the beginning.
        self._take([notice for notice in reply.notices if notice.time > self._time])
        self._seq = reply.seq
        while not self._is_over:
            with suppress(TimedOutError):
                for notice in client.subscribe(self._seq, _TURN):
                    self._seq = notice.seq
                    self._take([notice])
                    self._happened(notice.service)

    def _take(self, notices: Sequence[Notice]) -> None:
        for notice in notices[-1:]:
            self._time = notice.time
        self.basket.put(line for notice in notices for line in event_lines(notice))
