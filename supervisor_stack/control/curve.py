"""The client's end of a connection over the network: CURVE (rfc.zeromq.org/spec/26), and nothing else.

Both sides have keys: the client knows that of its stackd before, and stackd knows those of its clients.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from time import monotonic
from typing import NamedTuple

import zmq

from supervisor_stack.control.reach import TCP
from supervisor_stack.errors import (
    NotPermittedError,
    RequestError,
    StackError,
    TimedOutError,
    UnreachableError,
)

_HANDSHAKE_FAILED = (
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)
GREETING = zmq.EVENT_HANDSHAKE_SUCCEEDED | _HANDSHAKE_FAILED
"""Events of a socket monitor that `greet` has to be told of, besides EVENT_DISCONNECTED."""

_EVENT = struct.Struct("=HI")
"""zmq_socket_monitor(3): an event and its value. (pyzmq's own reading of it imports asyncio.)"""

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


def greet(endpoint: str, keys: CurveKeys | None, monitor: zmq.Socket[bytes], timeout: float) -> None:
    """Return when both sides have proved their keys. Over ipc there is nothing to wait for.

    Raises NotPermittedError when stackd hangs up, UnreachableError when it is gone, TimedOutError after
    `timeout` seconds.
    """
    if keys is None:
        return
    deadline = monotonic() + timeout
    while monitor.poll(max(0, int((deadline - monotonic()) * 1000))):
        if is_greeted(endpoint, monitor.recv_multipart()):
            return
    raise not_greeted(endpoint, timeout)


def is_greeted(endpoint: str, event: Sequence[bytes]) -> bool:
    """Whether both sides have proved their keys, by what the socket monitor tells.

    Raises NotPermittedError when stackd hangs up, UnreachableError when it is gone.
    """
    number, _ = _EVENT.unpack(event[0])
    subject = f"cannot reach stackd at {endpoint}"
    if number & (_HANDSHAKE_FAILED | zmq.EVENT_DISCONNECTED):
        raise _explained(NotPermittedError, f"{subject}: it hung up before the keys were agreed upon")
    if number == zmq.EVENT_CONNECT_RETRIED:
        raise UnreachableError(f"{subject}: it is not running any more")
    return bool(number == zmq.EVENT_HANDSHAKE_SUCCEEDED)


def not_greeted(endpoint: str, timeout: float) -> StackError:
    """What is wrong when that takes longer than `timeout` seconds."""
    subject = f"cannot reach stackd at {endpoint}"
    return _explained(TimedOutError, f"{subject}: no agreement on the keys within {timeout:g} s")


def heard_at(endpoint: str, events: str) -> str:
    """Where to hear of notices, of the stackd at `endpoint` that says that it is at `events`.

    Over the network it is the machine that was reached: a stackd may listen on all of its addresses, and
    does not know by which of them it is known elsewhere.
    """
    if not endpoint.startswith(TCP):
        return events
    return f"{endpoint.rpartition(':')[0]}:{events.rpartition(':')[2]}"


def _explained(kind: type[StackError], message: str) -> StackError:
    return kind(
        message,
        (
            "stackd tells strangers nothing, so it is one of these:",
            "the key of this machine is not in its folder of keys, or it has not read them since;",
            "server_key is not the key of that stackd; something else than stackd listens there.",
        ),
    )
