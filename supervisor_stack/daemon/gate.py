"""Whom libzmq lets in from the network: it asks here at the end of each handshake (rfc.zeromq.org/spec/27).

By then a client has proved that it has the secret half of its key, with numbers that are new for each
connection: what somebody recorded proves nothing again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import zmq
from zmq.utils import z85

from supervisor_stack.daemon.sockets import Reader

log = logging.getLogger("stackd.audit")

DOMAIN = b"stackd"
_ENDPOINT = "inproc://zeromq.zap.01"
_VERSION = b"1.0"
_REQUEST = 7
"""Frames: version, request id, domain, address, identity, mechanism, public key."""

MANY = 20
"""Strangers that are told in the log within `INTERVAL`, each once; the rest is counted."""

INTERVAL = 600.0
"""Seconds."""


class Gate:
    """Answers for the sockets of a context, from before they are there until they are gone."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        loop: asyncio.AbstractEventLoop,
        is_known: Callable[[str], bool],
    ) -> None:
        self._is_known = is_known
        self._loop = loop
        self._told: set[tuple[str, str]] = set()
        self._refused = 0
        self._until = 0.0
        self._socket = context.socket(zmq.REP)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.bind(_ENDPOINT)
        self._reader = Reader(self._socket, loop, self._take)

    def close(self) -> None:
        """Let nobody in any more."""
        self._reader.close()

    def _take(self) -> None:
        frames = self._socket.recv_multipart(zmq.NOBLOCK)
        version, number, domain, address, _, mechanism, *credentials = (*frames, *[b""] * _REQUEST)
        public = z85.encode(credentials[0]).decode() if len(credentials[0]) == 32 else ""
        may = (version, domain, mechanism) == (_VERSION, DOMAIN, b"CURVE") and self._is_known(public)
        if not may:
            self.tell(public, address.decode(errors="replace"))
        # A status that is none makes libzmq hang up, at once and without a word. With 400 it would tell the
        # stranger that he is one, with 300 it would keep him until the time for the handshake is over.
        answer = (b"200", b"OK", public.encode()) if may else (b"", b"", b"")
        self._socket.send_multipart([_VERSION, number, *answer, b""])
        self._reader.look_soon()

    def tell(self, public: str, address: str) -> None:
        """Somebody with this key came, and gets nothing."""
        # libzmq on the other side tries again ten times a second, and a new key for each try costs nothing.
        now = self._loop.time()
        if now >= self._until:
            if self._refused > MANY:
                log.warning("audit: %d more tries with keys that are not known here", self._refused - MANY)
            self._until, self._refused = now + INTERVAL, 0
            self._told.clear()
        if (public, address) in self._told:
            return
        self._refused += 1
        if self._refused <= MANY:
            self._told.add((public, address))
            log.warning("audit: a key that is not known here was refused: %s, from %s", public, address)
