"""The connection of the client that is awaited."""

from __future__ import annotations

import asyncio

import zmq
import zmq.asyncio

from supervisor_stack.control.client.conversation import Conversation
from supervisor_stack.control.client.greeting import ATTEMPTS, PAUSE, hangs_up, is_agreed, not_agreed
from supervisor_stack.control.client.wire import connect_requests, disconnect
from supervisor_stack.control.curve import CurveKeys
from supervisor_stack.control.reach import TCP, address_of, knock, not_at_port
from supervisor_stack.errors import TimedOutError

_KNOCK_AGAIN = 0.02
"""Seconds between two looks whether stackd takes a connection, while its queue of them is full."""


async def knock_softly(endpoint: str, timeout: float) -> None:
    """As reach.knock, without holding up the loop."""
    if endpoint.startswith(TCP):
        address = address_of(endpoint)
        try:
            async with asyncio.timeout(timeout):
                _, writer = await asyncio.open_connection(*address)
        except OSError as error:
            raise not_at_port(endpoint, error, timeout) from None
        writer.close()
        return
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while True:
        try:
            knock(endpoint, 0)
        except TimedOutError:
            if loop.time() >= deadline:
                raise
            await asyncio.sleep(_KNOCK_AGAIN)
        else:
            return


async def connect(
    context: zmq.asyncio.Context, conversation: Conversation, keys: CurveKeys | None, timeout: float
) -> Link:
    """A connection that stands. Raises UnreachableError, NotPermittedError, TimedOutError."""
    endpoint = conversation.endpoint
    for _ in range(ATTEMPTS):
        await knock_softly(endpoint, timeout)
        socket = context.socket(zmq.DEALER)
        lost = connect_requests(socket, endpoint, keys)
        try:
            async with asyncio.timeout(timeout):
                event = await lost.recv_multipart()
            if is_agreed(endpoint, keys, event):
                return Link(socket, lost, conversation)
        except TimeoutError:
            disconnect(socket, lost)
            raise not_agreed(endpoint, keys, timeout) from None
        except BaseException:
            disconnect(socket, lost)
            raise
        disconnect(socket, lost)
        await asyncio.sleep(PAUSE)
    raise hangs_up(endpoint)


class Link:
    """A connection to one stackd. `reader` is done when it is lost."""

    def __init__(
        self, socket: zmq.asyncio.Socket, lost: zmq.asyncio.Socket, conversation: Conversation
    ) -> None:
        self.socket = socket
        self._lost = lost
        self._conversation = conversation
        self.reader = asyncio.create_task(self._read(), name=f"replies from {conversation.endpoint}")

    async def is_gone(self) -> bool:
        """Whether the connection is lost, also if the reader has not had its turn since."""
        if not self.reader.done() and int(self._lost.get(zmq.EVENTS)) & zmq.POLLIN:
            await asyncio.wait((self.reader,))
        return self.reader.done()

    async def close(self) -> None:
        """Disconnect at once."""
        self.reader.cancel()
        await asyncio.wait((self.reader,))

    async def _read(self) -> None:
        poller = zmq.asyncio.Poller()
        poller.register(self.socket, zmq.POLLIN)
        poller.register(self._lost, zmq.POLLIN)
        try:
            # What arrived before the connection was lost counts, so this is looked at first.
            while self.socket in dict(await poller.poll()):
                self._conversation.hear(await self.socket.recv_multipart())
        finally:
            disconnect(self.socket, self._lost)
            self._conversation.lose()
