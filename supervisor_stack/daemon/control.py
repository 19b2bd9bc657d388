"""The control plane: the door to this machine, and the one to the network where it is wanted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from supervisor_stack.config.words import count
from supervisor_stack.daemon.access import Access
from supervisor_stack.daemon.client import Deliver
from supervisor_stack.daemon.control_sockets import ControlSockets
from supervisor_stack.daemon.local import LocalDoor
from supervisor_stack.errors import SpawnError
from supervisor_stack.spec import ControlSpec

if TYPE_CHECKING:
    from supervisor_stack.daemon.doors import NetworkDoor

log = logging.getLogger(__name__)

AGAIN = 5.0
"""Seconds until it is tried again to listen to the network, which may come up after stackd."""


class Control:
    """Listens as the specification says; `deliver` takes each request. Raises SpawnError.

    That the network cannot be listened to is told and tried again: whoever is on this machine can do all.
    """

    def __init__(
        self,
        spec: ControlSpec,
        sockets: ControlSockets,
        access: Access,
        loop: asyncio.AbstractEventLoop,
        deliver: Deliver,
    ) -> None:
        self._spec = spec
        self._access = access
        self._loop = loop
        self._deliver = deliver
        self._local = LocalDoor(spec, sockets, access, loop, deliver)
        self._network: NetworkDoor | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._told = ""
        self._open_network()

    def _open_network(self) -> None:
        if self._spec.network is None:
            return
        from supervisor_stack.daemon.doors import NetworkDoor  # and with it ZeroMQ

        try:
            self._network = NetworkDoor(self._spec.network, self._access, self._loop, self._deliver)
        except SpawnError as error:
            if error.message != self._told:
                self._told = error.message
                log.error("%s; stackd goes on without, and tries again", error.message)
            self._alarm = self._loop.call_later(AGAIN, self._open_network)
        else:
            log.info(
                "listening on %s for %s",
                self._spec.network.listen,
                count(len(self._spec.network.clients), "key"),
            )

    def become(self, spec: ControlSpec) -> None:
        """Others may do other things from now on. Where it listens stays as it is."""
        self._spec = spec
        self._access.become(spec)
        changes: list[Callable[[], None]] = [partial(self._local.become, spec)]
        if self._network:
            changes.append(self._network.dismiss_subscribers)
        for change in changes:  # each for itself: what is withdrawn at one door does not depend on the other
            try:
                change()
            except SpawnError as error:
                log.error("%s", error.message)

    def send_notice(self, frames: list[bytes]) -> None:
        """To all subscribers."""
        self._local.send_notice(frames)
        if self._network:
            self._network.send_notice(frames)

    def leave(self) -> None:
        """Hang up on everybody; what was sent goes out within the linger time.

        Who comes on this machine waits for the next stackd.
        """
        self._local.leave()
        self._close_network()

    def close(self) -> None:
        """Stop listening; what was sent goes out within the linger time."""
        self._local.close()
        self._close_network()

    def _close_network(self) -> None:
        if self._alarm:
            self._alarm.cancel()
        if self._network:
            self._network.close()
