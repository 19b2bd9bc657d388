"""The client's end of a connection over the network: CURVE (rfc.zeromq.org/spec/26), and nothing else.

Both sides have keys: the client knows that of its stackd before, and stackd knows those of its clients.
"""

from __future__ import annotations

from typing import NamedTuple

import zmq

from supervisor_stack.control.reach import TCP
from supervisor_stack.errors import (
    RequestError,
)

# Milliseconds. Whether the other machine is still there, nobody tells who does not ask.
_HEARTBEAT = 5_000
_SILENCE = 10_000


class CurveKeys(NamedTuple):
    """`server`: the public key of that stackd; `public`, `secret`: the pair of this client. In Z85."""

    server: bytes
    public: bytes
    secret: bytes

    def __repr__(self) -> str:
        return f"CurveKeys(server={self.server!r}, public={self.public!r}, secret=...)"


def require_keys(endpoint: str, keys: CurveKeys | None) -> None:
    """Return when a connection to this endpoint can be a safe one. Raises RequestError."""
    if endpoint.startswith(TCP) and keys is None:
        raise RequestError(
            f"cannot reach stackd at {endpoint}: the network takes keys",
            ("name the host and its keys in ~/.config/stackctl.toml, and use --host NAME",),
        )


def secure(socket: zmq.Socket[bytes], keys: CurveKeys | None) -> None:
    """Before it connects: with these keys and with nobody else. Without keys: nothing, for ipc."""
    if keys is None:
        return
    socket.setsockopt(zmq.CURVE_SERVERKEY, keys.server)
    socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.public)
    socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
    socket.setsockopt(zmq.HEARTBEAT_IVL, _HEARTBEAT)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, _SILENCE)


def heard_at(endpoint: str, events: str) -> str:
    """Where to hear of notices, of the stackd at `endpoint` that says that it is at `events`.

    Over the network it is the machine that was reached: a stackd may listen on all of its addresses, and
    does not know by which of them it is known elsewhere.
    """
    if not endpoint.startswith(TCP):
        return events
    return f"{endpoint.rpartition(':')[0]}:{events.rpartition(':')[2]}"
