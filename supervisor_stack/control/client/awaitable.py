"""The client that is awaited: any number of requests, operations and subscriptions at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from itertools import chain, repeat
from os import PathLike
from types import TracebackType
from typing import Self, overload

import zmq
import zmq.asyncio

from supervisor_stack.control.client.awaitable_link import Link, connect, knock_softly
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
from supervisor_stack.control.client.outcomes import LEAVE_TIMEOUT, Operation, raise_if_failed, still_there
from supervisor_stack.control.client.waiting import Waiting
from supervisor_stack.control.client.wire import connect_notices
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
from supervisor_stack.control.reach import configured
from supervisor_stack.control.states import Awaited
from supervisor_stack.errors import TimedOutError


class AsyncStackClient:
    """A connection to stackd, for one event loop. A context; it connects when that is entered.

    What may be asked, and what is raised, is as with StackClient. Any number of tasks may use it at once. An
    await may be cancelled at any time: what stackd still answers is passed over, and what it was told to
    do, it does.
    """

    def __init__(self, endpoint: str, timeout: float = 5.0, keys: CurveKeys | None = None) -> None:
        """Raises RequestError, for the network without keys."""
        require_keys(endpoint, keys)
        self.endpoint = endpoint
        self._keys = keys
        self._timeout = timeout
        self._conversation = Conversation(endpoint)
        self._context = zmq.asyncio.Context()
        self._connecting = asyncio.Lock()
        self._link: Link | None = None

    @classmethod
    def from_config(cls, path: str | PathLike[str] = "", timeout: float = 5.0) -> Self:
        """A client of the stackd of a configuration file; by default $STACKD_CONFIG or
        /etc/stackd/stackd.toml. Raises ConfigError when the file does not tell where."""
        return cls(configured(path), timeout)

    async def close(self) -> None:
        """Disconnect at once; whatever stackd is doing, it goes on doing."""
        self._conversation.lose(for_good=True)
        if self._link:
            await self._link.close()
            self._link = None
        self._context.destroy(linger=0)

    async def __aenter__(self) -> Self:
        """Connect. Raises UnreachableError, NotPermittedError, TimedOutError and RequestError."""
        try:
            await self._connected()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # Questions.

    async def status(self, *services: str, detail: bool = False) -> StatusReply:
        """How the stack and its services are; of all services where none is named."""
        return await self.request(Status(services=services, detail=detail))

    async def names(self) -> tuple[str, ...]:
        """The names of all services: quicker than `status`."""
        return (await self.request(List())).services

    async def events(self, since: int = 0, limit: int = 100) -> EventsReply:
        """The last `limit` notices that stackd remembers, of those after number `since`."""
        return await self.request(Events(since=since, limit=limit))

    async def graph(self) -> GraphReply:
        """Who needs whom, why each service is as it is, and how far its last start came."""
        return await self.request(Graph())

    async def signal(self, service: str, signal: str) -> None:
        """Send a signal, such as "HUP", to the main process of a service."""
        await self.request(Signal(service=service, signal=signal.upper().removeprefix("SIG")))

    async def reset(self, *services: str) -> None:
        """Forget failures and counters; of all services where none is named."""
        await self.request(Reset(services=services))

    # Operations. Of all services where none is named.

    async def start(self, *services: str, timeout: float | None = None) -> Finished:
        """Start services and what they need, and wait until they are ready.

        Raises OperationError with the cause when one does not become so. `timeout`: seconds; None waits as
        long as stackd lives. After TimedOutError stackd goes on with it.
        """
        return await self._carry_out(Start(services=services), timeout)

    async def stop(self, *services: str, cascade: bool = False, timeout: float | None = None) -> Finished:
        """Stop services, and with `cascade` those who need them first; as `start` otherwise."""
        return await self._carry_out(Stop(services=services, cascade=cascade), timeout)

    async def restart(
        self, *services: str, cascade: bool = False, hard: bool = False, timeout: float | None = None
    ) -> Finished:
        """A new run of services, beside the present one where that is possible and not `hard`; with
        `cascade` also of those who need them. As `start` otherwise."""
        return await self._carry_out(Restart(services=services, cascade=cascade, hard=hard), timeout)

    async def reload(self, *services: str, timeout: float | None = None) -> Finished:
        """Have services take up their changed configuration, tested before and verified after; as `start`
        otherwise."""
        return await self._carry_out(Reload(services=services), timeout)

    async def plan(self) -> Plan:
        """What `apply` would do. Raises ConfigError when the file has mistakes."""
        return (await self.request(Apply(plan=True))).plan

    async def apply(self, timeout: float | None = None) -> Finished:
        """Have stackd read its configuration again and change only what differs; as `start` otherwise.

        Raises ConfigError when the file has mistakes; nothing was changed then.
        """
        return await self._carry_out(Apply(), timeout)

    async def shutdown(self, *, keep_services: bool = False, timeout: float | None = None) -> Finished:
        """Stop all services in order, or keep them running, and wait until stackd has left."""
        message = Shutdown(keep_services=keep_services)
        finished = await self._carry_out(message, timeout)
        if not await self.wait_gone(LEAVE_TIMEOUT):
            raise still_there(message)
        return finished

    async def wait(
        self, *services: str, state: Awaited = "ready", timeout: float | None = None
    ) -> StatusReply:
        """Wait until services are in a state, all of them where none is named; a task that is done is ready.

        Raises OperationError when one failed for good or came to its end instead. `timeout`: seconds.
        """
        waiting = Waiting(state, timeout)
        look = Status(services=services)
        try:
            reply = await self.request(look)
            if not waiting.is_over(reply):
                async with aclosing(self.subscribe(reply.seq, timeout)) as notices:
                    async for notice in notices:
                        if waiting.is_news(notice) and waiting.is_over(reply := await self.request(look)):
                            break
        except TimedOutError as error:
            raise waiting.late(error) from None
        return reply

    # What these are made of.

    @overload
    async def request(self, message: Status) -> StatusReply: ...
    @overload
    async def request(self, message: List) -> ListReply: ...
    @overload
    async def request(self, message: Events) -> EventsReply: ...
    @overload
    async def request(self, message: Graph) -> GraphReply: ...
    @overload
    async def request(self, message: Signal | Reset) -> Done: ...
    @overload
    async def request(self, message: Apply) -> PlanReply: ...
    async def request(self, message: Question) -> Reply:
        """The answer to a question; Apply is one with `plan`.

        What changes nothing is asked again of the next stackd, when one is replaced before it answers.
        """
        try:
            return await self._ask(message)
        except WentAwayError:
            if not isinstance(message, REPEATABLE):
                raise
            return await self._ask(message)

    async def _ask(self, message: Question) -> Reply:
        link, wake = await self._connected(), asyncio.Event()
        now = asyncio.get_running_loop().time()
        with Answer(self._conversation, message, now, self._timeout, wake.set) as answer:
            await link.socket.send_multipart(answer.frames)
            return await self._next(answer, wake)

    async def operate(self, message: Operation, timeout: float | None = None) -> AsyncGenerator[Step, None]:
        """An operation as it goes: Accepted first, Finished last, which tells whether it went well.

        `timeout`: seconds for the whole of it; None waits as long as stackd lives. After TimedOutError,
        and when the iterator is given up, the operation goes on in stackd.
        """
        link, wake = await self._connected(), asyncio.Event()
        now = asyncio.get_running_loop().time()
        with Course(self._conversation, message, now, self._timeout, timeout, wake.set) as course:
            await link.socket.send_multipart(course.frames)
            while True:
                step = await self._next(course, wake)
                yield step
                if isinstance(step, Finished):
                    return

    async def subscribe(
        self, since: int | None = None, timeout: float | None = None
    ) -> AsyncGenerator[Notice, None]:
        """All notices after number `since`, by default those from now on, as they come: in order, none twice,
        and none left out that stackd still remembers.

        Numbers grow by one. When one is lower than that before it, another stackd has taken over, and tells
        all that happened under it. `timeout`: seconds after which it raises TimedOutError.
        """
        loop = asyncio.get_running_loop()
        deadline = None if timeout is None else loop.time() + timeout
        following = Following(since, self._conversation.stackd)
        while True:
            reply = await self.request(following.greeting())
            following.greeted(reply)
            with self._context.socket(zmq.SUB) as feed:
                connect_notices(feed, heard_at(self.endpoint, reply.events), self._keys)
                for silence in chain((SETTLING,), repeat(SILENCE)):
                    reply = await self.request(following.question())
                    if not following.is_same(reply):
                        break
                    for notice in filter(following.is_new, reply.notices):
                        yield notice
                    while heard := await self._hear(feed, silence, deadline):
                        if following.leaves_gap(heard):
                            break
                        if following.is_new(heard):
                            yield heard

    async def wait_gone(self, timeout: float) -> bool:
        """Whether stackd leaves within `timeout` seconds."""
        if self._link:
            await asyncio.wait((self._link.reader,), timeout=timeout)
        return self._link is None or self._link.reader.done()

    async def _carry_out(self, message: Operation, timeout: float | None) -> Finished:
        async with aclosing(self.operate(message, timeout)) as steps:
            plan = None
            async for step in steps:
                if isinstance(step, Accepted):
                    plan = step.plan
                if isinstance(step, Finished):
                    raise_if_failed(message, plan, step)
                    return step
        raise TypeError("an operation ends with Finished")

    async def _next(self, exchange: Exchange[Taken], wake: asyncio.Event) -> Taken:
        """The next reply to this request."""
        while (reply := exchange.take()) is None:
            wake.clear()
            try:
                async with asyncio.timeout_at(exchange.deadline):
                    await wake.wait()
            except TimeoutError:
                if not exchange.is_accepted:
                    await knock_softly(self.endpoint, self._timeout)  # there may be nobody
                raise exchange.late() from None
        return reply

    async def _hear(self, feed: zmq.asyncio.Socket, silence: float, deadline: float | None) -> Notice | None:
        """The next notice; None after `silence` seconds, or when stackd has gone. Raises TimedOutError."""
        loop, reader = asyncio.get_running_loop(), (await self._connected()).reader
        until = loop.time() + silence
        patience = (until if deadline is None else min(until, deadline)) - loop.time()
        arrived = asyncio.ensure_future(feed.poll())
        try:
            await asyncio.wait((arrived, reader), timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            if deadline is not None and loop.time() >= deadline:
                raise no_more_time()
            if reader.done() or not arrived.done():
                return None
            return decode_notice(await feed.recv_multipart())
        finally:
            arrived.cancel()

    async def _connected(self) -> Link:
        """The connection, or the next one if stackd has gone since."""
        async with self._connecting:
            if self._link is None or await self._link.is_gone():
                self._link = await connect(self._context, self._conversation, self._keys, self._timeout)
            return self._link
