"""The sockets of a client: how they are set up, the same for one that waits and one that is awaited."""

from __future__ import annotations

from typing import Any, TypeVar

import zmq

from supervisor_stack.control.client.greeting import EVENTS
from supervisor_stack.control.curve import CurveKeys, secure
from supervisor_stack.control.messages import EVENT_TOPIC
from supervisor_stack.errors import ProtocolVersionError

AnySocket = TypeVar("AnySocket", bound=zmq.Socket[Any])

_NEVER = 24 * 60 * 60 * 1000
"""Milliseconds before ZeroMQ connects again by itself. By default it does at once, and what was asked of a
stackd that is gone, and was told to have failed, would still reach the next one. (-1, which means never,
throws away what has arrived and was not yet looked at.)"""


def connect_requests(socket: AnySocket, endpoint: str, keys: CurveKeys | None) -> AnySocket:
    """Make it talk to stackd; returns the socket that tells when that stands, and later when it is lost."""
    socket.linger = 0
    socket.setsockopt(zmq.RECONNECT_IVL, _NEVER)
    # Without a limit sending never waits; what is on its way is bounded by those who wait for answers.
    socket.setsockopt(zmq.SNDHWM, 0)
    secure(socket, keys)
    monitor: AnySocket = socket.get_monitor_socket(EVENTS)
    socket.connect(endpoint)
    return monitor


def connect_notices(socket: zmq.Socket[Any], endpoint: str, keys: CurveKeys | None) -> None:
    """Make it hear all that one stackd publishes; what the next one does is for a new socket.

    Raises ProtocolVersionError for an endpoint that is none.
    """
    socket.linger = 0
    socket.setsockopt(zmq.RECONNECT_IVL, _NEVER)
    socket.subscribe(EVENT_TOPIC)
    secure(socket, keys)
    try:
        socket.connect(endpoint)
    except zmq.ZMQError as error:
        raise ProtocolVersionError(f"cannot listen to events at {endpoint!r}: {error}") from None


def disconnect(socket: zmq.Socket[Any], lost: zmq.Socket[Any]) -> None:
    """Close both at once. In this order: libzmq says a last word to `lost`, and waits for a reader of it."""
    socket.disable_monitor()
    socket.close(linger=0)
    lost.close(linger=0)
