"""The client that waits, for scripts and for stackctl.

Quick to import: stackctl is started for every question. It must never wait for ever without being told to,
since ZeroMQ by itself would.
"""

from __future__ import annotations

from collections.abc import Generator
from itertools import chain, repeat
from os import PathLike
from time import monotonic, sleep
from types import TracebackType
from typing import Self, overload

import zmq

from supervisor_stack.control.client.conversation import (
    REPEATABLE,
    Answer,
    Conversation,
    Course,
    Exchange,
    Question,
    Step,
    Taken,
    WentAwayError,
)
from supervisor_stack.control.client.following import SETTLING, SILENCE, Following, no_more_time
from supervisor_stack.control.client.greeting import ATTEMPTS, PAUSE, hangs_up, is_agreed, not_agreed
from supervisor_stack.control.client.outcomes import LEAVE_TIMEOUT, Operation, raise_if_failed, still_there
from supervisor_stack.control.client.wire import connect_notices, connect_requests, disconnect
from supervisor_stack.control.codec import decode_notice
from supervisor_stack.control.curve import CurveKeys, heard_at, require_keys
from supervisor_stack.control.messages import (
    Accepted,
    Apply,
    Done,
    Events,
    EventsReply,
    Finished,
    Graph,
    GraphReply,
    List,
    ListReply,
    Notice,
    PlanReply,
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
from supervisor_stack.control.plans import Plan
from supervisor_stack.control.reach import configured, knock
from supervisor_stack.control.states import Awaited
from supervisor_stack.errors import TimedOutError


class StackClient:
    """A connection to stackd. Not for use by several threads.

    `timeout`: seconds for the answer to a question, and for the acceptance of an operation. `keys`: over
    the network, where nobody is talked to without them.

    Every method raises the error that stackd answers (UnknownServiceError, RefusedError,
    NotPermittedError, RequestError), UnreachableError when there is no stackd or it goes away,
    TimedOutError, and ProtocolVersionError. After UnreachableError the client can be used as before: it
    connects to the stackd that is there then.
    """

    def __init__(self, endpoint: str, timeout: float = 5.0, keys: CurveKeys | None = None) -> None:
        """Connect. Raises UnreachableError, NotPermittedError, TimedOutError and RequestError."""
        require_keys(endpoint, keys)
        self.endpoint = endpoint
        self._keys = keys
        self._timeout = timeout
        self._conversation = Conversation(endpoint)
        self._context = zmq.Context()
        self._link: Link | None = None
        try:
            self._connected()
        except BaseException:
            self._context.destroy(linger=0)
            raise

    @classmethod
    def from_config(cls, path: str | PathLike[str] = "", timeout: float = 5.0) -> Self:
        """Connect to the stackd of a configuration file; by default $STACKD_CONFIG or
        /etc/stackd/stackd.toml. Raises ConfigError when the file does not tell where."""
        return cls(configured(path), timeout)

    def close(self) -> None:
        """Disconnect at once; whatever stackd is doing, it goes on doing."""
        self._drop()
        self._context.destroy(linger=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Questions.

    def status(self, *services: str, detail: bool = False) -> StatusReply:
        """How the stack and its services are; of all services where none is named."""
        return self.request(Status(services=services, detail=detail))

    def names(self) -> tuple[str, ...]:
        """The names of all services: quicker than `status`."""
        return self.request(List()).services

    def events(self, since: int = 0, limit: int = 100) -> EventsReply:
        """The last `limit` notices that stackd remembers, of those after number `since`."""
        return self.request(Events(since=since, limit=limit))

    def graph(self) -> GraphReply:
        """Who needs whom, why each service is as it is, and how far its last start came."""
        return self.request(Graph())

    def signal(self, service: str, signal: str) -> None:
        """Send a signal, such as "HUP", to the main process of a service."""
        self.request(Signal(service=service, signal=signal.upper().removeprefix("SIG")))

    def reset(self, *services: str) -> None:
        """Forget failures and counters; of all services where none is named."""
        self.request(Reset(services=services))

    # Operations. Of all services where none is named.

    def start(self, *services: str, timeout: float | None = None) -> Finished:
        """Start services and what they need, and wait until they are ready.

        Raises OperationError with the cause when one does not become so. `timeout`: seconds; None waits as
        long as stackd lives. After TimedOutError stackd goes on with it.
        """
        return self._carry_out(Start(services=services), timeout)

    def stop(self, *services: str, cascade: bool = False, timeout: float | None = None) -> Finished:
        """Stop services, and with `cascade` those who need them first; as `start` otherwise."""
        return self._carry_out(Stop(services=services, cascade=cascade), timeout)

    def restart(
        self, *services: str, cascade: bool = False, hard: bool = False, timeout: float | None = None
    ) -> Finished:
        """A new run of services, beside the present one where that is possible and not `hard`; with
        `cascade` also of those who need them. As `start` otherwise."""
        return self._carry_out(Restart(services=services, cascade=cascade, hard=hard), timeout)

    def reload(self, *services: str, timeout: float | None = None) -> Finished:
        """Have services take up their changed configuration, tested before and verified after; as `start`
        otherwise."""
        return self._carry_out(Reload(services=services), timeout)

    def plan(self) -> Plan:
        """What `apply` would do. Raises ConfigError when the file has mistakes."""
        return self.request(Apply(plan=True)).plan

    def apply(self, timeout: float | None = None) -> Finished:
        """Have stackd read its configuration again and change only what differs; as `start` otherwise.

        Raises ConfigError when the file has mistakes; nothing was changed then.
        """
        return self._carry_out(Apply(), timeout)

    def shutdown(self, *, keep_services: bool = False, timeout: float | None = None) -> Finished:
        """Stop all services in order, or keep them running, and wait until stackd has left."""
        message = Shutdown(keep_services=keep_services)
        finished = self._carry_out(message, timeout)
        self.see_off(message)
        return finished

    def wait(self, *services: str, state: Awaited = "ready", timeout: float | None = None) -> StatusReply:
        """Wait until services are in a state, all of them where none is named; a task that is done is ready.

        Raises OperationError when one failed for good or came to its end instead. `timeout`: seconds.
        """
        from supervisor_stack.control.client.waiting import Waiting

        waiting = Waiting(state, timeout)
        look = Status(services=services)
        try:
            reply = self.request(look)
            if not waiting.is_over(reply):
                for notice in self.subscribe(reply.seq, timeout):
                    if waiting.is_news(notice) and waiting.is_over(reply := self.request(look)):
                        break
        except TimedOutError as error:
            raise waiting.late(error) from None
        return reply

    # What these are made of.

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
    def request(self, message: Question) -> Reply:
        """The answer to a question; Apply is one with `plan`.

        What changes nothing is asked again of the next stackd, when one is replaced before it answers.
        """
        try:
            return self._ask(message)
        except WentAwayError:
            if not isinstance(message, REPEATABLE):
                raise
            return self._ask(message)

    def _ask(self, message: Question) -> Reply:
        link = self._connected()
        with Answer(self._conversation, message, monotonic(), self._timeout) as answer:
            link.socket.send_multipart(answer.frames)
            return self._next(answer, link)

    def operate(self, message: Operation, timeout: float | None = None) -> Generator[Step, None, None]:
        """An operation as it goes: Accepted first, Finished last, which tells whether it went well.

        `timeout`: seconds for the whole of it; None waits as long as stackd lives. After TimedOutError,
        and when the iterator is given up, the operation goes on in stackd.
        """
        link = self._connected()
        with Course(self._conversation, message, monotonic(), self._timeout, timeout) as course:
            link.socket.send_multipart(course.frames)
            while True:
                step = self._next(course, link)
                yield step
                if isinstance(step, Finished):
                    return

    def subscribe(
        self, since: int | None = None, timeout: float | None = None
    ) -> Generator[Notice, None, None]:
        """All notices after number `since`, by default those from now on, as they come: in order, none twice,
        and none left out that stackd still remembers.

        Numbers grow by one. When one is lower than that before it, another stackd has taken over, and tells
        all that happened under it. `timeout`: seconds after which it raises TimedOutError.
        """
        deadline = None if timeout is None else monotonic() + timeout
        following = Following(since, self._conversation.stackd)
        while True:
            reply = self.request(following.greeting())
            following.greeted(reply)
            with self._context.socket(zmq.SUB) as feed:
                connect_notices(feed, heard_at(self.endpoint, reply.events), self._keys)
                for silence in chain((SETTLING,), repeat(SILENCE)):
                    reply = self.request(following.question())
                    if not following.is_same(reply):
                        break
                    yield from filter(following.is_new, reply.notices)
                    while notice := self._hear(feed, silence, deadline):
                        if following.leaves_gap(notice):
                            break
                        if following.is_new(notice):
                            yield notice

    def see_off(self, message: Shutdown) -> None:
        """Wait until stackd has left after a shutdown. Raises TimedOutError."""
        if not self.wait_gone(LEAVE_TIMEOUT):
            raise still_there(message)

    def wait_gone(self, timeout: float) -> bool:
        """Whether stackd leaves within `timeout` seconds."""
        return self._link is None or bool(self._link.lost.poll(int(timeout * 1000)))

    def _carry_out(self, message: Operation, timeout: float | None) -> Finished:
        plan = None
        for step in self.operate(message, timeout):
            if isinstance(step, Accepted):
                plan = step.plan
            if isinstance(step, Finished):
                raise_if_failed(message, plan, step)
                return step
        raise TypeError("an operation ends with Finished")

    def _next(self, exchange: Exchange[Taken], link: Link) -> Taken:
        """The next reply to this request."""
        while (reply := exchange.take()) is None:
            ready = dict(link.poller.poll(_milliseconds(exchange.deadline)))
            if link.socket in ready:
                self._conversation.hear(link.socket.recv_multipart())
            elif ready:
                self._lose(link)
            else:
                if not exchange.is_accepted:
                    knock(self.endpoint, self._timeout)  # there may be nobody
                raise exchange.late()
        return reply

    def _hear(self, feed: zmq.Socket[bytes], silence: float, deadline: float | None) -> Notice | None:
        """The next notice; None after `silence` seconds, or when stackd has gone. Raises TimedOutError."""
        lost = self._connected().lost
        poller = zmq.Poller()
        poller.register(feed, zmq.POLLIN)
        poller.register(lost, zmq.POLLIN)
        until = monotonic() + silence
        ready = dict(poller.poll(_milliseconds(until if deadline is None else min(until, deadline))))
        if deadline is not None and monotonic() >= deadline:
            raise no_more_time()
        return decode_notice(feed.recv_multipart()) if feed in ready and lost not in ready else None

    def _connected(self) -> Link:
        """The connection, or the next one if stackd has gone since."""
        if self._link and self._link.lost.poll(0):
            self._lose(self._link)
        return self._link or self._connect()

    def _connect(self) -> Link:
        for _ in range(ATTEMPTS):
            knock(self.endpoint, self._timeout)
            self._link = link = Link(self._context, self.endpoint, self._keys)
            try:
                if not link.lost.poll(int(self._timeout * 1000)):
                    raise not_agreed(self.endpoint, self._keys, self._timeout)
                if is_agreed(self.endpoint, self._keys, link.lost.recv_multipart()):
                    return link
            except BaseException:
                self._drop()
                raise
            self._drop()
            sleep(PAUSE)
        raise hangs_up(self.endpoint)

    def _lose(self, link: Link) -> None:
        """The connection is gone. What arrived before counts."""
        while link.socket.poll(0):
            self._conversation.hear(link.socket.recv_multipart())
        self._drop()

    def _drop(self) -> None:
        if self._link:
            self._link.close()
            self._link = None
        self._conversation.lose()


class Link:
    """A connection to one stackd. `lost` can be read when it is gone."""

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, keys: CurveKeys | None
    ) -> None:
        self.socket = context.socket(zmq.DEALER)
        self.lost = connect_requests(self.socket, endpoint, keys)
        self.poller = zmq.Poller()
        self.poller.register(self.socket, zmq.POLLIN)
        self.poller.register(self.lost, zmq.POLLIN)

    def close(self) -> None:
        """Disconnect at once."""
        disconnect(self.socket, self.lost)


def _milliseconds(deadline: float | None) -> int | None:
    """What is left until then, as ZeroMQ's poll takes it: rounded up, so that it does not spin."""
    return None if deadline is None else max(0, int((deadline - monotonic()) * 1000) + 1)
