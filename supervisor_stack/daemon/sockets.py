"""ZeroMQ sockets on the event loop, without a thread, a future or a copy of the message.

libzmq tells through one file descriptor that *something* may have happened, and only at the edge:
after every send and every receive the socket's EVENTS have to be looked at again (zmq_getsockopt(3),
ZMQ_FD), or a request may lie there until the next one comes.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence

import zmq

from supervisor_stack.control.messages import MAX_REQUEST
from supervisor_stack.errors import SpawnError

BACKLOG = 1024
"""Clients that connect at the same instant; the kernel caps it at net.core.somaxconn."""

TURN = 0.001
"""Seconds of answering requests before timers and processes get their turn. What follows a crash takes
several turns of the loop, and each may have to wait so long."""

QUEUED_REPLIES = 1000
"""Messages that wait for one client that does not read; what comes on top is dropped."""


def bind(context: zmq.Context[zmq.Socket[bytes]], kind: int, endpoint: str, mode: int) -> zmq.Socket[bytes]:
    """A socket bound to an ipc endpoint with this file mode. Raises SpawnError.

    libzmq removes and takes over a path that somebody else listens on: hold the lock file first.
    """
    try:
        socket = context.socket(kind)
    except zmq.ZMQError as error:  # no descriptors left
        raise SpawnError(f"cannot listen on {endpoint}: {error.strerror}") from error
    socket.setsockopt(zmq.LINGER, 200)
    socket.setsockopt(zmq.BACKLOG, BACKLOG)
    socket.setsockopt(zmq.SNDHWM, QUEUED_REPLIES)
    # libzmq hangs up on a larger frame before it makes room for it.
    socket.setsockopt(zmq.MAXMSGSIZE, MAX_REQUEST)
    # bind(2) makes the file with the mode that the umask leaves; a chmod after it would be a race.
    umask = os.umask(0o777 & ~mode)
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        socket.close()
        raise SpawnError(f"cannot listen on {endpoint}: {error.strerror}") from error
    finally:
        os.umask(umask)
    return socket


class Router:
    """A ROUTER socket: `received(identity, frames)` is called for each message."""

    def __init__(
        self,
        socket: zmq.Socket[bytes],
        loop: asyncio.AbstractEventLoop,
        received: Callable[[bytes, list[bytes]], None],
    ) -> None:
        self._socket = socket
        self._loop = loop
        self._received = received
        self._looking = False
        self._fd = int(socket.getsockopt(zmq.FD))
        loop.add_reader(self._fd, self._look)
        self._look_soon()

    def send(self, identity: bytes, frames: Sequence[bytes]) -> None:
        """Send to one client. A client that has gone or does not read loses it: nobody waits for it."""
        try:
            self._socket.send_multipart([identity, *frames], zmq.NOBLOCK)
        except zmq.Again:
            return
        finally:
            self._look_soon()

    def close(self) -> None:
        """Stop listening; what was sent goes out within the linger time."""
        self._loop.remove_reader(self._fd)
        self._socket.close()

    def _look_soon(self) -> None:
        if not self._looking:
            self._looking = True
            self._loop.call_soon(self._look)

    def _look(self) -> None:
        self._looking = False
        if self._socket.closed:
            return
        until = self._loop.time() + TURN
        while self._loop.time() < until:
            try:
                identity, *frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._received(identity, frames)
        self._look_soon()
