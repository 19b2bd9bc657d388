"""How a connection begins: until both sides have agreed, nothing that was asked is sent. No I/O.

What the socket monitor tells decides: a stackd that is being replaced may take a connection and close it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import zmq

from supervisor_stack.control.curve import CurveKeys
from supervisor_stack.errors import NotPermittedError, StackError, TimedOutError, UnreachableError

_FAILED = (
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)
_GONE = zmq.EVENT_DISCONNECTED | zmq.EVENT_CONNECT_RETRIED
EVENTS = zmq.EVENT_HANDSHAKE_SUCCEEDED | _FAILED | _GONE
"""What the monitor has to tell. After the first of them any other means that the connection is lost."""

ATTEMPTS = 20
PAUSE = 0.05
"""Seconds between two attempts to connect to a stackd that comes or goes."""

_EVENT = struct.Struct("=HI")
"""zmq_socket_monitor(3): an event and its value. (pyzmq's own reading of it imports asyncio.)"""


def is_agreed(endpoint: str, keys: CurveKeys | None, event: Sequence[bytes]) -> bool:
    """Whether the connection stands; if not, stackd left, and the next attempt tells more.

    Raises NotPermittedError when the one on the network hangs up.
    """
    number, _ = _EVENT.unpack(event[0])
    if keys and number & (_FAILED | zmq.EVENT_DISCONNECTED):
        message = f"cannot reach stackd at {endpoint}: it hung up before the keys were agreed upon"
        raise _explained(NotPermittedError, message)
    return bool(number == zmq.EVENT_HANDSHAKE_SUCCEEDED)


def not_agreed(endpoint: str, keys: CurveKeys | None, timeout: float) -> StackError:
    """What is wrong when there is no agreement within `timeout` seconds."""
    if keys:
        message = f"cannot reach stackd at {endpoint}: no agreement on the keys within {timeout:g} s"
        return _explained(TimedOutError, message, "it does not answer at all (stopped, overloaded);")
    return silent(endpoint, timeout)


def silent(endpoint: str, timeout: float) -> TimedOutError:
    """What is wrong when stackd says nothing for `timeout` seconds."""
    return TimedOutError(f"cannot get an answer from {endpoint}: stackd did not answer within {timeout:g} s")


def hangs_up(endpoint: str) -> UnreachableError:
    """What is wrong when each attempt ends so."""
    return UnreachableError(f"cannot reach stackd at {endpoint}: whoever listens there hangs up")


def _explained(kind: type[StackError], message: str, *causes: str) -> StackError:
    return kind(
        message,
        (
            "stackd tells strangers nothing, so it is one of these:",
            *causes,
            "the key of this machine is not in its folder of keys, or it has not read them since;",
            "server_key is not the key of that stackd; something else than stackd listens there.",
        ),
    )
