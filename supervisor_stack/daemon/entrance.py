"""A listening unix socket and all who are connected to it, on the event loop; nothing here ever waits.

Whatever they send or leave unread, what it costs has a bound: of memory, of descriptors, and of time in a
turn of the loop. Whoever wants more than his share waits, and when that does not help he is hung up on.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections import deque
from collections.abc import Callable, Container
from contextlib import suppress

from supervisor_stack.control.zmtp import GREETING, Limits, Reader
from supervisor_stack.daemon.connection import Connection, HungUpError
from supervisor_stack.daemon.roster import Roster

TURN = 0.001
"""Seconds of answering before timers and processes get their turn, and as many of sending the answers. What
follows a crash takes several turns of the loop, and each may have to wait so long."""

ACCEPTED_AT_ONCE = 64
"""Clients that are let in before timers and processes get their turn."""

AGAIN = 0.1
"""Seconds until it is tried again to let clients in, when there were no descriptors left."""

PATIENCE = 5.0
"""Seconds for a handshake, and for a message that was begun."""

FULL = 32 * 1024
"""Bytes that a client has not taken, from which on he is not listened to."""

MOST_OWED_ONE = 8 * 2**20
"""Bytes that one client has not taken, and he has more than one answer to take; then he is hung up on."""

STALLED = 0.5
"""Seconds without taking anything, after which a client is hung up on when all together are owed too much."""

MOST_UNANSWERED = 32
"""Requests that are being answered. The next ones wait: all answers together may be much."""

MOST_PENDING = 8 * 2**20
"""Bytes of messages that have not come to their end, of all clients together."""

LINGER = 0.2
"""Seconds for clients to take what they are owed, at the end."""

_SEND_BUFFER = 64 * 1024
"""Bytes for SO_SNDBUF. What the kernel keeps for a client who does not read is our memory too; it takes twice
this."""

_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Entrance:
    """Lets in who connects to a listening socket, which is its own from now on.

    `types`: what this is to a client, of the types of ZeroMQ's sockets, and those that may talk to it.
    `limits`: of a message of theirs. `clients`: how many may be connected. `most_owed`: bytes that all
    together have not taken; above it nobody is listened to.

    `heard(connection, frames)` is called for each message, in turn of the clients; the next one of the same
    client waits for `answered`. It may raise HungUpError to end the connection.
    """

    def __init__(
        self,
        listening: socket.socket,
        loop: asyncio.AbstractEventLoop,
        types: tuple[bytes, Container[bytes]],
        limits: Limits,
        clients: int,
        most_owed: int,
        heard: Callable[[Connection, list[bytes]], None],
    ) -> None:
        self._most_owed = most_owed
        self._loop = loop
        self._types = types
        self._limits = limits
        self._heard = heard
        self.roster = Roster(clients)
        self._unread: deque[Connection] = deque()
        self._unsent: dict[Connection, None] = {}
        self._slow: dict[Connection, float] = {}
        self._begun: dict[Connection, float] = {}
        self._unanswered = 0
        self._owed = 0
        self._pending = 0
        self._turning: asyncio.Handle | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._relief: asyncio.TimerHandle | None = None
        self._listening = listening
        self._listening.setblocking(False)
        self._listen()

    def close(self) -> None:
        """Stop listening; what is owed goes out within the linger time."""
        self._loop.remove_reader(self._listening)
        self._listening.close()
        for each in (self._turning, self._alarm, self._relief):
            if each:
                each.cancel()
        self._send(float("inf"))
        until = self._loop.time() + LINGER
        for connection in list(self._slow):
            with suppress(OSError):
                connection.flush_within(until - self._loop.time())
        self.dismiss()

    def dismiss(self) -> None:
        """Hang up on everybody. Those who still may come can do so at once."""
        for connection in self.roster.all():
            self._drop(connection)

    def owe(self, connection: Connection, message: bytes) -> None:
        """Send a message, as soon as its client takes it; to one who has gone it is lost."""
        if connection.is_open:
            connection.owe(message)
            self._owed += len(message)
            self._unsent[connection] = None
            self._turn_soon()

    def answered(self, connection: Connection) -> None:
        """The last message of a client is done with."""
        if connection.is_asking:
            connection.is_asking = False
            self._unanswered -= 1
            self._go_on(connection)

    @property
    def is_full(self) -> bool:
        """Whether all together are owed as much as they may be."""
        return self._owed >= self._most_owed

    # Coming and going.

    def _listen(self) -> None:
        self._loop.add_reader(self._listening, self._accept)

    def _accept(self) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                sock, _ = self._listening.accept()
            except OSError as error:
                if error.errno in _NO_ROOM:
                    self._loop.remove_reader(self._listening)
                    self._loop.call_later(AGAIN, self._listen_again)
                return
            self._let_in(sock)

    def _listen_again(self) -> None:
        if self._listening.fileno() >= 0:
            self._listen()

    def _let_in(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        connection = Connection(sock, Reader(*self._types, self._limits))
        if surplus := self.roster.add(connection):
            self._drop(surplus)
        if connection.is_open:
            self._await_end(connection)
            self._listen_to(connection, True)
            self.owe(connection, GREETING)

    def _drop(self, connection: Connection) -> None:
        """Hang up."""
        if connection.is_open:
            self._listen_to(connection, False)
            self._write_to(connection, False)
            self.roster.remove(connection)
            self._unanswered -= connection.is_asking
            connection.is_asking = False  # its answer may be on its way
            self._owed -= connection.owed
            self._forget_half(connection)
            for each in (self._unsent, self._slow):
                each.pop(connection, None)
            connection.close()
            if self._is_free():
                self._turn_soon()

    def _listen_to(self, connection: Connection, on: bool) -> None:
        if connection.is_listened_to is not on:
            connection.is_listened_to = on
            if on:
                self._loop.add_reader(connection, self._receive, connection)
            else:
                self._loop.remove_reader(connection)

    def _write_to(self, connection: Connection, on: bool) -> None:
        if connection.is_written_to is not on:
            connection.is_written_to = on
            if on:
                self._loop.add_writer(connection, self._flush, connection)
            else:
                self._loop.remove_writer(connection)

    # What they send.

    def _receive(self, connection: Connection) -> None:
        if connection.is_queued:
            self._listen_to(connection, False)  # until he has had his turns
            return
        try:
            connection.receive()
        except HungUpError:
            self._drop(connection)
        else:
            self._queue(connection)

    def _queue(self, connection: Connection) -> None:
        connection.is_queued = True
        self._unread.append(connection)
        self._turn_soon()

    def _go_on(self, connection: Connection) -> None:
        """With the messages of a client, if nothing speaks against it."""
        if connection.is_open and not connection.is_asking and connection.owed < FULL:
            if not connection.is_queued:
                self._queue(connection)
        else:
            self._listen_to(connection, False)

    def _turn_soon(self) -> None:
        if self._turning is None:
            self._turning = self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._turning = None
        until = self._loop.time() + TURN
        try:
            while self._is_free():
                self._serve(self._unread.popleft())
                if self._loop.time() >= until:
                    break
            self._send(self._loop.time() + TURN)
        finally:  # a bug of ours costs one message, and not all that come after it
            if self._unsent or self._is_free():
                self._turn_soon()

    def _is_free(self) -> bool:
        """Whether somebody may be served."""
        return bool(self._unread) and not self.is_full and self._unanswered < MOST_UNANSWERED

    def _serve(self, connection: Connection) -> None:
        """One message of one client; the next is another's turn."""
        if not connection.is_open:
            return
        connection.is_queued = False
        try:
            found = connection.next()
            if found is None:
                self._await_end(connection)
                if connection.is_open:  # its half message may have been the oldest of too many
                    self._listen_to(connection, True)
                return
            if isinstance(found, list):
                self._forget_half(connection)
                connection.is_asking = True
                self._unanswered += 1
                self._heard(connection, found)
            elif found:
                self.owe(connection, found)
        except HungUpError:
            self._drop(connection)
            return
        self._go_on(connection)

    def _await_end(self, connection: Connection) -> None:
        """Note what is kept of a message that has not come to its end, and until when that is waited for."""
        pending = connection.reader.pending
        self._pending += pending - connection.pending
        connection.pending = pending
        if not pending and connection.reader.is_ready:
            self._begun.pop(connection, None)
            return
        self._begun.setdefault(connection, self._loop.time() + PATIENCE)
        if self._alarm is None:
            self._alarm = self._loop.call_later(PATIENCE, self._lose_patience)
        while self._pending > MOST_PENDING:
            self._drop(next(iter(self._begun)))

    def _forget_half(self, connection: Connection) -> None:
        """Its message has come to its end, or never will. What came behind it is noted in its turn."""
        self._begun.pop(connection, None)
        self._pending -= connection.pending
        connection.pending = 0

    def _lose_patience(self) -> None:
        self._alarm = None
        now = self._loop.time()
        while self._begun:
            connection, deadline = next(iter(self._begun.items()))
            if deadline > now:
                self._alarm = self._loop.call_at(deadline, self._lose_patience)
                return
            if connection.is_listened_to and not connection.is_queued:
                self._drop(connection)
            else:  # what it waits for is its turn
                del self._begun[connection]
                self._begun[connection] = now + PATIENCE

    # What they are sent.

    def _send(self, until: float) -> None:
        while self._unsent:
            self._flush(next(iter(self._unsent)))
            if self._loop.time() >= until:
                break

    def _flush(self, connection: Connection) -> None:
        self._unsent.pop(connection, None)
        before = connection.owed
        try:
            is_all = connection.flush()
        except HungUpError:
            self._owed -= before - connection.owed  # a part may have gone out before
            self._drop(connection)
            return
        self._owed -= before - connection.owed
        if is_all or connection.owed < before:
            self._slow.pop(connection, None)
        self._write_to(connection, not is_all)
        if not is_all:
            self._slow.setdefault(connection, self._loop.time())
            if connection.owed > MOST_OWED_ONE and connection.waiting > 1:
                self._drop(connection)
            if self.is_full and self._relief is None:
                self._relief = self._loop.call_later(0, self._relieve)
        if before >= FULL > connection.owed:
            self._go_on(connection)
        if self._is_free():
            self._turn_soon()

    def _relieve(self) -> None:
        """Hang up on those who do not take what they asked for, until there is room for others."""
        self._relief = None
        while self.is_full and self._slow:
            connection, since = next(iter(self._slow.items()))
            due = since + STALLED
            if due > self._loop.time():
                self._relief = self._loop.call_at(due, self._relieve)
                return
            self._drop(connection)
        if self._is_free():
            self._turn_soon()
