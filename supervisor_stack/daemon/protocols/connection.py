"""The connection of one probe attempt.

Raw non-blocking sockets rather than asyncio streams: an attempt that is refused costs a handful of
system calls, no transport, no task, and close() closes at once.

It must never block, start a thread, or keep more than a few KiB of what the other side sends. The
limits also keep the loop alive: loop.sock_recv() returns without a turn of the loop while there is
something to read, so that a peer that floods would otherwise outrun every timeout.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from contextlib import suppress
from typing import Final, Self

from supervisor_stack.daemon.text import printable
from supervisor_stack.spec import Address

LINE_LIMIT: Final = 4096
CHUNK: Final = 4096

FAREWELL_TIME: Final = 0.2
FAREWELL_CHUNKS: Final = 256


class Connection:
    """A stream to one address. Reading and writing raise OSError, also for an early end."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._received = bytearray()

    @classmethod
    async def to(cls, address: Address) -> Self:
        """Connect to a unix socket or a numeric TCP address. Raises OSError."""
        sock = socket.socket(_family(address), socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            if address.path:
                _connect_unix(sock, address.path)
            else:
                await asyncio.get_running_loop().sock_connect(sock, (address.host, address.port))
                if is_own_reflection(sock):
                    raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        except BaseException:
            sock.close()
            raise
        return cls(sock)

    async def send(self, message: bytes) -> None:
        """Send all of `message`."""
        await self._loop.sock_sendall(self._sock, message)

    async def line(self) -> bytes:
        """The next line, without its end; a line longer than LINE_LIMIT comes back cut."""
        while (end := self._received.find(b"\n")) < 0 and len(self._received) < LINE_LIMIT:
            await self._receive()
        if end < 0:
            end = LINE_LIMIT
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        return line.rstrip(b"\r")

    async def exactly(self, size: int) -> bytes:
        """The next `size` bytes."""
        while len(self._received) < size:
            await self._receive()
        block = bytes(self._received[:size])
        del self._received[:size]
        return block

    async def rest(self, limit: int) -> bytes:
        """What comes until the other side closes, but no more than about `limit` bytes."""
        with suppress(ConnectionError):
            while len(self._received) < limit:
                await self._receive()
        return bytes(self._received)

    async def farewell(self) -> None:
        """Let the other side finish and close first, if it does so within a moment.

        A server whose client leaves in the middle of an answer logs that as an error: nginx as status
        499, uWSGI as "write error".
        """
        with suppress(OSError):
            async with asyncio.timeout(FAREWELL_TIME):
                for _ in range(FAREWELL_CHUNKS):
                    if not await self._loop.sock_recv(self._sock, CHUNK):
                        return

    def finish(self) -> None:
        """Close the sending side: the other side sees the end of the stream. Raises OSError."""
        self._sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close at once."""
        self._sock.close()

    async def _receive(self) -> None:
        chunk = await self._loop.sock_recv(self._sock, CHUNK)
        if not chunk:
            when = "in the middle of its answer" if self._received else "without an answer"
            raise ConnectionResetError(f"it closed the connection {when}")
        self._received += chunk


def is_own_reflection(sock: socket.socket) -> bool:
    """Whether a TCP socket is connected to itself.

    Whoever connects again and again to a free port of the ephemeral range succeeds some day: the kernel
    picks that very port for the near end, and a simultaneous open does the rest (RFC 9293, 3.5).
    """
    return bool(sock.getsockname() == sock.getpeername())


def reason(error: OSError) -> str:
    """The cause of a network error, in the words of the C library or of Connection, to follow a colon."""
    # Not error.strerror: asyncio puts "Connect call failed" and the address in its place.
    words = os.strerror(error.errno) if error.errno else str(error)
    return words[0].lower() + words[1:] if words[1:2].islower() else words


def quoted(answer: bytes) -> str:
    """The beginning of something that was received, safe to print."""
    text = answer[:60].decode("ascii", "backslashreplace")
    return f'"{printable(text)}{"…" if len(answer) > 60 else ""}"'


def _family(address: Address) -> socket.AddressFamily:
    if address.path:
        return socket.AF_UNIX
    return socket.AF_INET6 if ":" in address.host else socket.AF_INET


def _connect_unix(sock: socket.socket, path: str) -> None:
    # connect(2) of a unix socket is decided at once. Not loop.sock_connect(): it takes the EAGAIN of a
    # full queue for "in progress" and then, the socket being without error, for success (CPython 3.11).
    name = "\0" + path[1:] if path.startswith("@") else path
    try:
        sock.connect(name)
    except BlockingIOError as err:
        raise ConnectionRefusedError("its queue of waiting connections is full") from err
