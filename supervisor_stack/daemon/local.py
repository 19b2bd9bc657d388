"""The door to this machine: one socket for requests, one for news.

To a client they are a ROUTER and a PUB of ZeroMQ. libzmq itself does not listen here: see decision 020.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

from supervisor_stack.control.messages import MAX_REQUEST
from supervisor_stack.control.reach import socket_path
from supervisor_stack.control.zmtp import Limits, encode
from supervisor_stack.daemon import limits
from supervisor_stack.daemon.access import Access
from supervisor_stack.daemon.client import Client, Deliver
from supervisor_stack.daemon.connection import Connection, HungUpError
from supervisor_stack.daemon.control_sockets import ControlSockets
from supervisor_stack.daemon.endpoint import admit
from supervisor_stack.daemon.entrance import Entrance
from supervisor_stack.daemon.names import Names
from supervisor_stack.errors import SpawnError
from supervisor_stack.spec import ControlSpec

REQUESTS = (b"ROUTER", frozenset({b"DEALER", b"REQ", b"ROUTER"}))
NOTICES = (b"PUB", frozenset({b"SUB", b"XSUB"}))

REQUEST = Limits(size=MAX_REQUEST + 255, frames=8)
"""Of what is read as far as to tell a client what is wrong with it; what is larger is hung up on."""

SUBSCRIPTION = Limits(size=256, frames=1)

MOST_TOPICS = 64
"""That one client may subscribe to."""

OWED_REPLIES = 32 * 2**20
OWED_NOTICES = 128 * 2**20
"""Bytes that all clients together have not taken. A notice is there once, and counts for each subscriber."""

QUEUED_NOTICES = 1000
"""Notices that wait for one subscriber who does not read; what comes on top is lost to him."""


class LocalDoor:
    """For processes of this machine. Raises SpawnError."""

    def __init__(
        self,
        spec: ControlSpec,
        sockets: ControlSockets,
        access: Access,
        loop: asyncio.AbstractEventLoop,
        deliver: Deliver,
    ) -> None:
        self._sockets = sockets
        self._access = access
        self._deliver = deliver
        self._names = Names(loop)
        self._events = spec.events
        self._endpoints = (spec.socket, spec.events)
        listening = []
        with ExitStack() as undo:
            for endpoint in self._endpoints:
                listening.append(undo.enter_context(sockets.open(endpoint, spec)))
                undo.callback(sockets.remove, endpoint)
            undo.pop_all()
        sockets.close_rest()
        requests, notices = listening
        clients = limits.clients()
        self._requests = Entrance(requests, loop, REQUESTS, REQUEST, clients, OWED_REPLIES, self._received)
        self._notices = Entrance(notices, loop, NOTICES, SUBSCRIPTION, clients, OWED_NOTICES, self._subscribe)

    def become(self, spec: ControlSpec) -> None:
        """Let those in who have a role now, and nobody else. Raises SpawnError."""
        try:
            for path in map(socket_path, self._endpoints):
                admit(path, spec)
        except OSError as error:
            raise SpawnError(f"cannot change who may open {error.filename}: {error.strerror}") from error
        finally:
            # Those who still may come are back within a tenth of a second.
            self._notices.dismiss()

    def send_notice(self, frames: list[bytes]) -> None:
        """To all subscribers; one that does not read loses it, and sees the gap in the numbers."""
        message = encode(frames)
        for each in self._notices.roster.all():
            if (
                frames[0].startswith(each.topics)
                and each.waiting < QUEUED_NOTICES
                and not self._notices.is_full
            ):
                self._notices.owe(each, message)

    def leave(self) -> None:
        """Hang up on everybody; what was sent goes out within the linger time.

        Who comes waits for the next stackd.
        """
        self._requests.close()
        self._notices.close()

    def close(self) -> None:
        """As `leave`, and nobody may come any more."""
        for endpoint in self._endpoints:
            self._sockets.remove(endpoint)
        self.leave()

    def _received(self, connection: Connection, frames: list[bytes]) -> None:
        def reply(answer: list[bytes]) -> None:
            self._requests.owe(connection, encode(answer))
            go_on()

        def go_on() -> None:
            self._requests.answered(connection)

        def is_gone() -> bool:
            return not connection.is_open

        def pass_on(name: str) -> None:
            caller = self._access.local(connection.peer, name, connection.groups)
            self._deliver(Client(caller, self._events, reply, go_on, is_gone), frames)

        self._names.tell(connection.peer.uid, pass_on)

    def _subscribe(self, connection: Connection, frames: list[bytes]) -> None:
        """Take in a subscription, or its end. The topics of one client may be there twice, as in ZeroMQ."""
        verb, topic = frames[0][:1], frames[0][1:]
        if verb == b"\x01":
            if len(connection.topics) == MOST_TOPICS:
                raise HungUpError
            connection.topics += (topic,)
        elif verb == b"\x00" and topic in connection.topics:
            at = connection.topics.index(topic)
            connection.topics = connection.topics[:at] + connection.topics[at + 1 :]
        self._notices.answered(connection)
