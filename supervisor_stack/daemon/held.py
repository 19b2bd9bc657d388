"""The listening sockets that stackd keeps open for its services, whether they run or not.

While a service is down, its clients wait in the queue of its socket instead of being refused. So
nothing may stay held that nobody is going to serve: what a service no longer listens on is closed,
and all of it when the service is stopped.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Collection, Iterable, Mapping

from supervisor_stack.daemon import ports
from supervisor_stack.daemon.fd_store import FdStore, name_of
from supervisor_stack.daemon.launch import Identity
from supervisor_stack.daemon.listener import US, AddressInUse, FileId, Listener, adjust, file_id, listen
from supervisor_stack.daemon.pidfd import address_of, listeners_of
from supervisor_stack.errors import SpawnError
from supervisor_stack.spec import Address, Hold

log = logging.getLogger(__name__)


class HeldForAnotherError(SpawnError):
    """stackd holds the address for another service, which may be on its way out."""


class HeldSockets:
    """The held sockets of all services of a stack; `store` lets them outlive this process."""

    def __init__(self, store: FdStore) -> None:
        self._store = store
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
            self._close(service, address, held.pop(address))
        for address in addresses:
            if address in held:
                adjust(held[address], address, hold)
                continue
            try:
                listener = listen(address, hold, who)
            except AddressInUse:
                if other := self._in_the_way(address):
                    raise HeldForAnotherError(f"cannot hold {address}: {other}") from None
                raise
            if listener:
                held[address] = listener
                self._store.keep(_name(service, address), listener.fd)
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
            self._close(service, address, held.pop(address))
        missing = [address for address in addresses if address not in held and not address.path]
        if missing:
            try:
                found = listeners_of(pid, missing)
                for address, listener in found.items():
                    self._store.keep(_name(service, address), listener.fd)
                held |= found
            except OSError as error:
                log.warning("%s: cannot take sockets over from pid %d: %s", service, pid, error.strerror)
        self._held[service] = {address: held[address] for address in addresses if address in held}
        return tuple(address for address in addresses if address not in held)

    def restore(self, service: str, files: Mapping[Address, FileId | None], pids: Iterable[int]) -> None:
        """Hold again what an earlier stackd held, which was handed over, or is had out of these processes.

        `files`: what was written down. What was handed over besides was bound right before that one died.
        """
        held: dict[Address, Listener] = {}
        for address, file in files.items():
            fd = self._store.take(_name(service, address))
            if fd is not None:
                held[address] = Listener(fd, file)
        for fd in self._store.take_all("socket", service).values():
            with socket.socket(fileno=fd) as sock:
                found_at = address_of(sock)
                if found_at and found_at not in held:
                    file = file_id(found_at.path) if found_at.path else None
                    held[found_at] = Listener(sock.detach(), file)
        for pid in pids:
            missing = [address for address in files if address not in held]
            if not missing:
                break
            try:
                found = listeners_of(pid, missing)
            except OSError as error:
                log.warning("%s: cannot take sockets over from pid %d: %s", service, pid, error.strerror)
                continue
            held |= {address: Listener(each.fd, files[address]) for address, each in found.items()}
        for address, listener in held.items():
            self._store.keep(_name(service, address), listener.fd)
        self._held[service] = held

    def release(self, service: str) -> None:
        """Close all that is held for a service, and remove the files of its unix sockets."""
        for address, listener in self._held.pop(service, {}).items():
            self._close(service, address, listener)

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

    def files(self, service: str) -> dict[Address, FileId | None]:
        """What is held for a service, and of unix sockets the file by which clients find it."""
        return {address: listener.file for address, listener in self._held.get(service, {}).items()}

    def _close(self, service: str, address: Address, listener: Listener) -> None:
        self._store.drop(_name(service, address))
        if address.path and not _is_lost(address, listener):
            # close(2) leaves the file there, which would refuse whoever knocks, and nginx could not bind.
            try:
                os.unlink(address.path)
            except OSError as error:
                log.warning("cannot remove %s: %s", address.path, error.strerror)
        os.close(listener.fd)

    def _in_the_way(self, address: Address) -> str:
        """What is held already where this address is: `0.0.0.0:80 is held for nginx`, or nothing."""
        for service, held in self._held.items():
            for other in held:
                if ports.meet(address, other):
                    return f"{other} is held for {service}"
        return ""


def _is_lost(address: Address, listener: Listener) -> bool:
    return bool(address.path) and (listener.file is None or file_id(address.path) != listener.file)


def _name(service: str, address: Address) -> str:
    return name_of("socket", service, str(address))
