"""The listening sockets that stackd keeps open for its services, whether they run or not.

While a service is down, its clients wait in the queue of its socket instead of being refused. So
nothing may stay held that nobody is going to serve: what a service no longer listens on is closed,
and all of it when the service is stopped.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection

from supervisor_stack.daemon import ports
from supervisor_stack.daemon.launch import Identity
from supervisor_stack.daemon.listener import US, AddressInUse, Listener, adjust, file_id, listen
from supervisor_stack.daemon.pidfd import listeners_of
from supervisor_stack.errors import SpawnError
from supervisor_stack.spec import Address, Hold

log = logging.getLogger(__name__)


class HeldSockets:
    """The held sockets of all services of a stack."""

    def __init__(self) -> None:
        self._held: dict[str, dict[Address, Listener]] = {}

    def hold(self, service: str, hold: Hold, addresses: Collection[Address], who: Identity = US) -> None:
        """Hold exactly these: what is missing is bound, what is held beside is closed.

        `who`: as whom the service will run; the files of its unix sockets are made with its rights.
        A unix socket whose file has been removed or replaced is bound anew, as no client finds it.
        Raises AddressInUse, and SpawnError for all else; what could be bound before stays held.
        """
        held = self._held.setdefault(service, {})
        for address in [each for each in held if each not in addresses or _is_lost(each, held[each])]:
            # First of all: the address that is new may be the wildcard of one that is not wanted any more.
            _close(address, held.pop(address))
        for address in addresses:
            if address in held:
                adjust(held[address], address, hold)
                continue
            try:
                listener = listen(address, hold, who)
            except AddressInUse:
                if other := self._in_the_way(address):
                    raise SpawnError(f"cannot hold {address}: {other}") from None
                raise
            if listener:
                held[address] = listener
            else:
                log.warning("%s: cannot hold %s: this machine has no IPv6", service, address)
        self._held[service] = {address: held[address] for address in addresses if address in held}

    def adopt(self, service: str, addresses: Collection[Address], pid: int) -> tuple[Address, ...]:
        """Hold exactly these, where process `pid` listens now of its own accord.

        What is missing is duplicated out of it. Returns what cannot be had, and is not held: unix
        sockets among it. Their files are the server's own, and it removes them when it leaves, also when
        another run uses them by then (nginx does so to all that it has not inherited:
        ngx_close_listening_sockets(), tried with 1.22).
        """
        held = self._held.setdefault(service, {})
        for address in [each for each in held if each not in addresses]:
            _close(address, held.pop(address))
        missing = [address for address in addresses if address not in held and not address.path]
        if missing:
            try:
                held |= listeners_of(pid, missing)
            except OSError as error:
                log.warning("%s: cannot take sockets over from pid %d: %s", service, pid, error.strerror)
        self._held[service] = {address: held[address] for address in addresses if address in held}
        return tuple(address for address in addresses if address not in held)

    def release(self, service: str) -> None:
        """Close all that is held for a service, and remove the files of its unix sockets."""
        for address, listener in self._held.pop(service, {}).items():
            _close(address, listener)

    def close_all(self) -> None:
        """Close all that is held for anybody."""
        for service in list(self._held):
            self.release(service)

    def held(self, service: str) -> dict[Address, int]:
        """The descriptors that are held for a service, in the order in which they were asked for."""
        return {address: listener.fd for address, listener in self._held.get(service, {}).items()}

    def addresses(self, service: str) -> tuple[Address, ...]:
        """Where clients of a service can wait."""
        return tuple(self._held.get(service, ()))

    def _in_the_way(self, address: Address) -> str:
        """What is held already where this address is: `0.0.0.0:80 is held for nginx`, or nothing."""
        for service, held in self._held.items():
            for other in held:
                if ports.meet(address, other):
                    return f"{other} is held for {service}"
        return ""


def _is_lost(address: Address, listener: Listener) -> bool:
    return bool(address.path) and (listener.file is None or file_id(address.path) != listener.file)


def _close(address: Address, listener: Listener) -> None:
    if address.path and not _is_lost(address, listener):
        # close(2) leaves the file there, which would refuse whoever knocks, and nginx could not bind.
        try:
            os.unlink(address.path)
        except OSError as error:
            log.warning("cannot remove %s: %s", address.path, error.strerror)
    os.close(listener.fd)
