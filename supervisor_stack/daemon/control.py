"""The two sockets of the control plane: one for requests, one for news."""

from __future__ import annotations

import asyncio
import grp
import os
from collections.abc import Callable

import zmq

from supervisor_stack.daemon.sockets import Router, bind
from supervisor_stack.errors import SpawnError
from supervisor_stack.spec import ControlSpec


class Control:
    """Listens as the specification says; `received` takes each request. Raises SpawnError."""

    def __init__(
        self,
        spec: ControlSpec,
        loop: asyncio.AbstractEventLoop,
        received: Callable[[bytes, list[bytes]], None],
    ) -> None:
        self._group = spec.group
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        try:
            self._events = self._bind(zmq.PUB, spec.events)
            self._router = Router(self._bind(zmq.ROUTER, spec.socket), loop, received)
        except SpawnError:
            self._context.destroy(linger=0)
            raise

    def _bind(self, kind: int, endpoint: str) -> zmq.Socket[bytes]:
        socket = bind(self._context, kind, endpoint, 0o660 if self._group else 0o600)
        if self._group:
            try:
                os.chown(endpoint.removeprefix("ipc://"), -1, grp.getgrnam(self._group).gr_gid)
            except (KeyError, OSError) as error:
                socket.close()
                raise SpawnError(f"cannot give {endpoint} to the group {self._group}: {error}") from error
        return socket

    def reply(self, identity: bytes, frames: list[bytes]) -> None:
        """To one client."""
        self._router.send(identity, frames)

    def send_notice(self, frames: list[bytes]) -> None:
        """To all subscribers; one that does not read loses it, and sees the gap in the numbers."""
        self._events.send_multipart(frames, zmq.NOBLOCK)

    def close(self) -> None:
        """Stop listening; what was sent goes out within the linger time."""
        self._router.close()
        self._events.close()
        self._context.term()
