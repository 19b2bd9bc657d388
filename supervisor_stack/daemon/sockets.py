"""ZeroMQ sockets on the event loop, without a thread, a future or a copy of the message.

libzmq tells through one file descriptor that *something* may have happened, and only at the edge:
after every send and every receive the socket's EVENTS have to be looked at again (zmq_getsockopt(3),
ZMQ_FD), or a request may lie there until the next one comes.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping, Sequence

import zmq

from supervisor_stack.control.messages import MAX_REQUEST
from supervisor_stack.errors import SpawnError

log = logging.getLogger(__name__)

TURN = 0.001
"""Seconds of answering requests before timers and processes get their turn. What follows a crash takes
several turns of the loop, and each may have to wait so long."""

MAX_SUBSCRIPTION = 1024
"""Bytes. The largest command of a CURVE handshake has some 300."""

QUEUED_REPLIES = 1000
"""Messages that wait for one client that does not read; what comes on top is dropped."""

Received = Callable[[zmq.Frame, list[bytes]], None]
"""Takes the identity of a client, which also tells who that is, and the frames that he sent."""


def serve(
    context: zmq.Context[zmq.Socket[bytes]],
    kind: int,
    endpoint: str,
    listening: socket.socket,
    options: Mapping[int, int | bytes],
) -> zmq.Socket[bytes]:
    """A ZeroMQ socket for those who come to a listening socket. Raises SpawnError."""
    try:
        lent = listening.dup()
        served = context.socket(kind)
    except (zmq.ZMQError, OSError) as error:  # no descriptors left
        raise SpawnError(f"cannot listen on {endpoint}: {error.strerror}") from error
    served.setsockopt(zmq.LINGER, 200)
    served.setsockopt(zmq.SNDHWM, QUEUED_REPLIES)
    # libzmq hangs up on a larger frame before it makes room for it. A PUB keeps much for a byte of a topic.
    served.setsockopt(zmq.MAXMSGSIZE, MAX_REQUEST if kind == zmq.ROUTER else MAX_SUBSCRIPTION)
    for option, value in options.items():
        served.setsockopt(option, value)
    served.setsockopt(zmq.USE_FD, lent.detach())  # it is closed with the listener
    try:
        served.bind(endpoint)
    except zmq.ZMQError as error:
        served.close()
        raise SpawnError(f"cannot listen on {endpoint}: {error.strerror}") from error
    return served


class Reader:
    """Calls `take` as long as there is something to read, until it raises zmq.Again."""

    def __init__(
        self, read: zmq.Socket[bytes], loop: asyncio.AbstractEventLoop, take: Callable[[], None]
    ) -> None:
        self._read = read
        self._loop = loop
        self._take = take
        self._looking = False
        self._fd = int(read.getsockopt(zmq.FD))
        loop.add_reader(self._fd, self._look)
        self.look_soon()

    def look_soon(self) -> None:
        """To be called after each send."""
        if not self._looking:
            self._looking = True
            self._loop.call_soon(self._look)

    def close(self) -> None:
        """Read no more; what was sent goes out within the linger time."""
        self._loop.remove_reader(self._fd)
        self._read.close()

    def _look(self) -> None:
        self._looking = False
        until = self._loop.time() + TURN
        while not self._read.closed and self._loop.time() < until:
            try:
                self._take()
            except zmq.Again:
                return
            except Exception:
                # A bug of ours: it costs this one message. The rest would lie there until the next one comes.
                log.exception("cannot take a message: internal error")
        if not self._read.closed:
            self.look_soon()


class Router:
    """A ROUTER socket: `received` is called for each message."""

    def __init__(
        self, socket: zmq.Socket[bytes], loop: asyncio.AbstractEventLoop, received: Received
    ) -> None:
        self._socket = socket
        self._received = received
        self._reader = Reader(socket, loop, self._take)

    def send(self, identity: bytes, frames: Sequence[bytes]) -> None:
        """Send to one client. A client that has gone or does not read loses it: nobody waits for it."""
        if self._socket.closed:
            return
        try:
            self._socket.send_multipart([identity, *frames], zmq.NOBLOCK)
        except zmq.Again:
            return
        finally:
            self._reader.look_soon()

    def close(self) -> None:
        """Stop listening; what was sent goes out within the linger time."""
        self._reader.close()

    def _take(self) -> None:
        identity = self._socket.recv(zmq.NOBLOCK, copy=False)
        self._received(identity, self._socket.recv_multipart(zmq.NOBLOCK))
