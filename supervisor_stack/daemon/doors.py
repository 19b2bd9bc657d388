"""The door to the network: a ROUTER and a PUB of ZeroMQ."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import zmq

from supervisor_stack.config.keys import SECRET, SERVER, read_pair
from supervisor_stack.daemon.access import Access
from supervisor_stack.daemon.client import Client, Deliver
from supervisor_stack.daemon.endpoint import open_port
from supervisor_stack.daemon.gate import DOMAIN, Gate
from supervisor_stack.daemon.sockets import Received, Router, serve
from supervisor_stack.errors import SpawnError
from supervisor_stack.spec import NetworkSpec

log = logging.getLogger(__name__)

HANDSHAKE = 10_000
"""Milliseconds within which a client has to prove its key."""

HEARTBEAT = 5_000
"""Milliseconds between two signs of life (ZMTP's PING), which libzmq asks for and gives by itself."""

SILENCE = 10_000
"""Milliseconds without one after which a connection is closed: the machine is gone, or the way to it."""

_CONNECTION: Mapping[int, int | bytes] = {
    zmq.HANDSHAKE_IVL: HANDSHAKE,
    zmq.HEARTBEAT_IVL: HEARTBEAT,
    zmq.HEARTBEAT_TIMEOUT: SILENCE,
    zmq.HEARTBEAT_TTL: SILENCE,
}


class Door:
    """The ZeroMQ sockets of a pair of listening sockets, for requests and for notices."""

    def __init__(
        self,
        undo: ExitStack,
        endpoints: tuple[str, str],
        listen: Callable[[str], socket.socket],
        loop: asyncio.AbstractEventLoop,
        received: Received,
        options: Mapping[int, int | bytes],
        context: zmq.Context[zmq.Socket[bytes]],
    ) -> None:
        """What was opened when it raises SpawnError is closed by `undo`."""
        self.requests, self.events = endpoints
        self._context = context
        self._options = options
        requests, self._listening = (undo.enter_context(listen(endpoint)) for endpoint in endpoints)
        self._notices = self._publish()
        self._router = Router(serve(context, zmq.ROUTER, self.requests, requests, options), loop, received)
        self._requests = requests

    def _publish(self) -> zmq.Socket[bytes]:
        return serve(self._context, zmq.PUB, self.events, self._listening, self._options)

    def answer(self, identity: bytes) -> Callable[[list[bytes]], None]:
        """What sends to this client."""
        return partial(self._router.send, identity)

    def send_notice(self, frames: list[bytes]) -> None:
        """To all subscribers; one that does not read loses it, and sees the gap in the numbers."""
        self._notices.send_multipart(frames, zmq.NOBLOCK)

    def dismiss_subscribers(self) -> None:
        """Close the connections of all. Those who still may come are back within a tenth of a second.

        Raises SpawnError, and all stay.
        """
        before, self._notices = self._notices, self._publish()
        before.close(linger=0)

    def close(self) -> None:
        """Stop listening; what was sent goes out within the linger time."""
        self._router.close()
        self._notices.close()
        self._requests.close()
        self._listening.close()


class NetworkDoor:
    """For those who have a key that is known here; nobody else gets as much as a word. Raises SpawnError."""

    def __init__(
        self, spec: NetworkSpec, access: Access, loop: asyncio.AbstractEventLoop, deliver: Deliver
    ) -> None:
        self._access = access
        self._deliver = deliver
        try:
            pair = read_pair(Path(spec.keys) / f"{SERVER}{SECRET}")
        except ValueError as error:
            raise SpawnError(f"cannot listen on {spec.listen}: {error}") from error
        options: dict[int, int | bytes] = {
            **_CONNECTION,
            zmq.CURVE_SERVER: 1,
            zmq.CURVE_SECRETKEY: pair.secret,
            zmq.ZAP_DOMAIN: DOMAIN,
            # Without it libzmq lets everybody in when nobody answers for the domain.
            zmq.ZAP_ENFORCE_DOMAIN: 1,
        }
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        with ExitStack() as undo:
            undo.callback(self._context.destroy, 0)
            self._gate = Gate(self._context, loop, lambda public: access.key(public) is not None)
            endpoints = (spec.listen, spec.events)
            undo.callback(self._gate.close)
            self._door = Door(undo, endpoints, open_port, loop, self._received, options, self._context)
            undo.pop_all()
        self.send_notice = self._door.send_notice
        self.dismiss_subscribers = self._door.dismiss_subscribers

    def close(self) -> None:
        """Stop listening; what was sent goes out within the linger time."""
        self._door.close()
        self._gate.close()
        self._context.term()

    def _received(self, identity: zmq.Frame, frames: list[bytes]) -> None:
        public, address = _property(identity, "User-Id"), _property(identity, "Peer-Address")
        key = self._access.key(public)
        if key is None:  # it was known when he came, and is not any more
            self._gate.tell(public, address)
            return
        caller = self._access.remote(key, address)
        self._deliver(Client(caller, self._door.events, self._door.answer(identity.bytes)), frames)


def _property(frame: zmq.Frame, name: str) -> str:
    """What libzmq knows of where a frame came from; empty when it does not."""
    try:
        return str(frame.get(name))
    except zmq.ZMQError:
        return ""
