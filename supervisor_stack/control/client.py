"""The client's end of the control protocol: one question at a time, each with its own deadline.

Synchronous, and quick to import: stackctl is started for every question. It must never wait for
ever without being told to, since ZeroMQ by itself would.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, count, repeat
from time import monotonic
from types import TracebackType
from typing import Self, TypeVar, overload

import msgspec
import zmq

from supervisor_stack.control.codec import decode_notice, decode_reply, encode_request, error_of
from supervisor_stack.control.curve import GREETING, CurveKeys, greet, heard_at, require_keys, secure
from supervisor_stack.control.messages import (
    EVENT_TOPIC,
    Accepted,
    AnyReply,
    Apply,
    Done,
    Events,
    EventsReply,
    Failed,
    Finished,
    Graph,
    GraphReply,
    List,
    ListReply,
    Notice,
    PlanReply,
    Progress,
    Reload,
    Reply,
    Reset,
    Restart,
    Shutdown,
    Signal,
    Start,
    Status,
    StatusReply,
    Stop,
)
from supervisor_stack.control.purpose import purpose
from supervisor_stack.control.reach import knock
from supervisor_stack.errors import ProtocolVersionError, StackError, TimedOutError, UnreachableError

Question = Status | List | Events | Graph | Signal | Reset | Apply
Operation = Start | Stop | Restart | Reload | Apply | Shutdown
Expected = TypeVar("Expected", bound=Reply)

SILENCE = 1.0
"""Seconds without a notice after which a subscriber asks whether it missed one, and whether stackd lives."""

READING = 60.0
"""Seconds that stackd gets to read and judge its configuration: that looks at many files."""

# A PUB learns of a subscriber some time after the subscriber has connected, and tells nobody when.
# What it published until then is asked for once, after this many seconds.
_SETTLING = 0.1

_WITHOUT_LIMIT = 2**31 - 1


class StackClient:
    """A connection to stackd. Not for use by several threads.

    `timeout`: seconds for a quick request, and for the acceptance of a long one. `keys`: over the network.
    """

    def __init__(self, endpoint: str, timeout: float = 5.0, keys: CurveKeys | None = None) -> None:
        """Connect. Raises UnreachableError, NotPermittedError, TimedOutError and RequestError."""
        require_keys(endpoint, keys)
        knock(endpoint, timeout)
        self.endpoint = endpoint
        self._timeout = timeout
        self._ids = count(1)
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.linger = 0
        self._keys = keys
        secure(self._socket, keys)
        greeting = GREETING if keys else 0
        self._lost = self._socket.get_monitor_socket(zmq.EVENT_DISCONNECTED | greeting)
        self._poller = zmq.Poller()
        self._poller.register(self._socket, zmq.POLLIN)
        self._poller.register(self._lost, zmq.POLLIN)
        self._socket.connect(endpoint)
        try:
            greet(endpoint, keys, self._lost, timeout)
        except StackError:
            self.close()
            raise

    def close(self) -> None:
        """Disconnect at once; whatever stackd is doing, it goes on doing."""
        self._context.destroy(linger=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @overload
    def request(self, message: Status) -> StatusReply: ...
    @overload
    def request(self, message: List) -> ListReply: ...
    @overload
    def request(self, message: Events) -> EventsReply: ...
    @overload
    def request(self, message: Graph) -> GraphReply: ...
    @overload
    def request(self, message: Signal | Reset) -> Done: ...
    @overload
    def request(self, message: Apply) -> PlanReply: ...
    def request(
        self, message: Question
    ) -> StatusReply | ListReply | EventsReply | GraphReply | Done | PlanReply:
        """The answer to a quick request; Apply is one with `plan`.

        Raises the error that stackd answers, UnreachableError, TimedOutError, ProtocolVersionError.
        """
        ticket = self._send(message)
        reply = self._receive(ticket, monotonic() + self._patience(message))
        match message:
            case Status():
                return _expect(StatusReply, reply)
            case List():
                return _expect(ListReply, reply)
            case Events():
                return _expect(EventsReply, reply)
            case Graph():
                return _expect(GraphReply, reply)
            case Apply():
                return _expect(PlanReply, reply)
            case _:
                return _expect(Done, reply)

    def operate(
        self, message: Operation, timeout: float | None = None
    ) -> Iterator[Accepted | Progress | Finished]:
        """A long request as it goes: Accepted first, Finished last.

        `timeout`: seconds for the whole of it; None waits as long as stackd lives. Raises what
        `request` raises; after TimedOutError the operation goes on in stackd.
        """
        started = monotonic()
        ticket = self._send(message)
        yield _expect(Accepted, self._receive(ticket, started + self._patience(message)))
        deadline = None if timeout is None else started + timeout
        now: dict[str, str] = {}
        while True:
            try:
                reply = self._receive(ticket, deadline)
            except TimedOutError:
                truth = (f"{service} is {state}." for service, state in now.items())
                raise TimedOutError(
                    f"cannot {purpose(message)}: not done within {timeout:g} s",
                    (*truth, "stackd goes on with it."),
                ) from None
            if isinstance(reply, Finished):
                yield reply
                return
            progress = _expect(Progress, reply)
            now[progress.service] = progress.state
            yield progress

    def subscribe(self, since: int, timeout: float | None = None) -> Iterator[Notice]:
        """All notices after number `since`, as they come: in order, none twice, and none left out
        that stackd still remembers.

        `timeout`: seconds after which it raises TimedOutError. Raises what `request` raises.
        """
        deadline = None if timeout is None else monotonic() + timeout
        endpoint = self.request(Events(since=since, limit=0)).events
        with self._context.socket(zmq.SUB) as feed:
            feed.linger = 0
            feed.subscribe(EVENT_TOPIC)
            secure(feed, self._keys)
            try:
                feed.connect(heard_at(self.endpoint, endpoint))
            except zmq.ZMQError as error:
                raise ProtocolVersionError(f"cannot listen to events at {endpoint!r}: {error}") from None
            for silence in chain((_SETTLING,), repeat(SILENCE)):
                for notice in self.request(Events(since=since, limit=_WITHOUT_LIMIT)).notices:
                    yield notice
                    since = notice.seq
                while (notice_ := _hear(feed, silence, deadline)) and notice_.seq <= since + 1:
                    if notice_.seq > since:
                        yield notice_
                        since = notice_.seq

    def wait_gone(self, timeout: float) -> bool:
        """Whether stackd leaves within `timeout` seconds."""
        return bool(self._lost.poll(int(timeout * 1000)))

    def _patience(self, message: Question | Operation) -> float:
        """Seconds for the first answer."""
        return max(self._timeout, READING) if isinstance(message, Apply) else self._timeout

    def _send(self, message: Question | Operation) -> str:
        ticket = str(next(self._ids))
        self._socket.send_multipart(encode_request(msgspec.structs.replace(message, id=ticket)))
        return ticket

    def _receive(self, ticket: str, deadline: float | None) -> AnyReply:
        """The next reply to this request, until the deadline in monotonic seconds."""
        while ready := dict(self._poller.poll(_milliseconds(deadline))):
            # What arrived before the connection was lost counts, so this is looked at first.
            if self._socket not in ready:
                raise UnreachableError(
                    f"cannot get an answer from {self.endpoint}: stackd went away",
                    ("what was asked for may have been done, or begun.",),
                )
            reply = decode_reply(self._socket.recv_multipart())
            if isinstance(reply, Failed) and reply.id in (ticket, ""):
                # Without an id: stackd could not even find that in the request.
                raise error_of(reply)
            if reply.id == ticket:
                return reply
        knock(self.endpoint, self._timeout)  # there is nobody, or somebody who does not answer
        raise TimedOutError(
            f"cannot get an answer from {self.endpoint}: stackd did not answer within {self._timeout:g} s"
        )


def _expect(kind: type[Expected], reply: AnyReply) -> Expected:
    if not isinstance(reply, kind):
        theirs, mine = type(reply).__name__, kind.__name__
        raise ProtocolVersionError(f"cannot understand stackd: it answered {theirs} where {mine} was due")
    return reply


def _hear(feed: zmq.Socket[bytes], silence: float, deadline: float | None) -> Notice | None:
    """The next notice, or None after `silence` seconds. Raises TimedOutError at the deadline."""
    until = monotonic() + silence
    if feed.poll(_milliseconds(until if deadline is None else min(until, deadline))):
        return decode_notice(feed.recv_multipart())
    if deadline is not None and monotonic() >= deadline:
        raise TimedOutError("cannot wait longer for events: the time is over")
    return None


def _milliseconds(deadline: float | None) -> int | None:
    """What is left until then, as ZeroMQ's poll takes it: rounded up, so that it does not spin."""
    return None if deadline is None else max(0, int((deadline - monotonic()) * 1000) + 1)
