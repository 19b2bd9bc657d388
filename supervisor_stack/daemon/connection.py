"""One client of a local socket: what it has sent and is not read yet, what it is owed and has not taken."""

from __future__ import annotations

import socket
from collections import deque
from itertools import islice

from supervisor_stack.control.zmtp import Reader, ZmtpError
from supervisor_stack.daemon.peer import groups_of, peer_of

CHUNK = 16 * 1024
"""Bytes that are read at a time: as much as stackd holds of what a client sends ahead."""

_PARTS = 256
"""Of what is owed, handed to the kernel in one call; IOV_MAX is 1024."""


class HungUpError(Exception):
    """There is nobody at the other end any more, or nobody who may stay."""


class Connection:
    """Owns its socket, which never blocks.

    `peer`: who connected. `owed`: bytes that wait for the client to take them. The rest belongs to the
    entrance: `topics` that it wants to hear of; `pending` bytes of what it has not finished; whether its
    socket is watched for reading and for writing; whether what it sent waits for its turn (`is_queued`), and
    whether it waits for an answer (`is_asking`).
    """

    def __init__(self, sock: socket.socket, reader: Reader) -> None:
        self.peer = peer_of(sock)
        self.reader = reader
        self.topics: tuple[bytes, ...] = ()
        self.owed = 0
        self.pending = 0
        self.is_open = True
        self.is_listened_to = False
        self.is_written_to = False
        self.is_queued = False
        self.is_asking = False
        self._socket = sock
        self._out: deque[bytes | memoryview] = deque()

    def groups(self) -> tuple[int, ...]:
        """The supplementary groups of its peer."""
        return groups_of(self._socket) if self.is_open else ()

    def fileno(self) -> int:
        """The number of its descriptor."""
        return self._socket.fileno()

    @property
    def waiting(self) -> int:
        """How many messages wait for the client to take them."""
        return len(self._out)

    def owe(self, message: bytes) -> None:
        """To be sent with the next `flush`."""
        self._out.append(message)
        self.owed += len(message)

    def flush(self) -> bool:
        """Send what the kernel takes; returns whether that was all. Raises HungUpError."""
        while self._out:
            try:
                sent = self._socket.sendmsg(list(islice(self._out, _PARTS)))
            except (BlockingIOError, InterruptedError):
                return False
            except OSError as error:
                raise HungUpError from error
            self.owed -= sent
            while sent:
                part = self._out[0]
                if sent < len(part):
                    self._out[0] = memoryview(part)[sent:]
                    break
                sent -= len(part)
                self._out.popleft()
        return True

    def flush_within(self, seconds: float) -> None:
        """Send what is owed, and wait for it. For the end, when nobody else waits. Raises OSError."""
        self._socket.settimeout(max(seconds, 0.0))
        self._socket.sendall(b"".join(self._out))

    def receive(self) -> None:
        """Read what has come, for `next` to return. Raises HungUpError."""
        try:
            received = self._socket.recv(CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            raise HungUpError from error
        if not received:
            raise HungUpError
        self.reader.feed(received)

    def next(self) -> list[bytes] | bytes | None:
        """As Reader.next. Raises HungUpError for a client that does not keep to the protocol."""
        try:
            return self.reader.next()
        except ZmtpError as error:
            raise HungUpError from error

    def close(self) -> None:
        """Hang up."""
        self.is_open = False
        self._out.clear()
        self.owed = 0
        self._socket.close()
