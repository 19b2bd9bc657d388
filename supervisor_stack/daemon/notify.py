"""The sockets at which services tell about themselves: the receiving end of sd_notify(3).

Each service has a socket of its own, so that the datagram need not say whom it is about, and every
sender is identified by the kernel. It must never block the loop or believe a stranger: the socket is
open to all users, as a service may have given up its rights before it speaks.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from supervisor_stack.core.events import BecameReady, Event, StatusReceived
from supervisor_stack.daemon.fd_store import FdStore, name_of
from supervisor_stack.daemon.pidfd import datagram_socket_of
from supervisor_stack.daemon.text import printable
from supervisor_stack.errors import SpawnError

log = logging.getLogger(__name__)

LARGEST_DATAGRAM: Final = 4096
# Per turn of the loop: a service that never stops talking may not keep the others waiting.
DATAGRAMS_AT_ONCE: Final = 16

# struct ucred, unix(7): pid, uid, gid.
CREDENTIALS: Final = struct.Struct("3i")
# Room for the credentials and nothing else: the kernel closes descriptors that do not fit (unix(7),
# SCM_RIGHTS), so that nobody can fill our table. That also ends the wait of `systemd-notify`, whose
# BARRIER=1 is a pipe that it sends along and waits to see closed.
ANCILLARY_SIZE: Final = socket.CMSG_SPACE(CREDENTIALS.size)


@dataclass
class _Listener:
    socket: socket.socket
    path: Path
    run: int = 0
    pid: int = 0
    status: str = ""


class Notifications:
    """One socket in `directory` for each service that is open.

    `is_member(service, pid)` tells whether a process other than the main one belongs to the service.
    """

    def __init__(
        self,
        directory: Path,
        post: Callable[[Event], None],
        is_member: Callable[[str, int], bool],
        store: FdStore,
    ) -> None:
        self._directory = directory
        self._post = post
        self._is_member = is_member
        self._store = store
        self._listeners: dict[str, _Listener] = {}

    def open(self, service: str) -> str:
        """Make the socket anew, for a run that is about to start; returns NOTIFY_SOCKET for it.

        What an earlier run still had in the old socket is lost with it. Raises SpawnError.
        """
        self.close(service)
        path = self._directory / f"{service}.sock"
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            self._directory.mkdir(parents=True, exist_ok=True)
            self._directory.chmod(0o755)  # whatever the umask: services pass through it
            path.unlink(missing_ok=True)
            sock.bind(str(path))
            path.chmod(0o666)
        except OSError as err:
            sock.close()
            raise SpawnError(
                f"cannot start {service}: cannot open its notify socket {path}: {err.strerror or err}"
            ) from err
        self._listen(service, sock, path)
        return str(path)

    def adopt(self, service: str, run: int, pid: int) -> None:
        """Go on hearing a run that an earlier stackd has started.

        The socket of that one still has what was said meanwhile: it was handed over, or the run keeps it.
        """
        path = self._directory / f"{service}.sock"
        fd = self._store.take(name_of("notify", service))
        if fd is None:
            fd = datagram_socket_of(pid, str(path))
        if fd is not None:
            self._listen(service, socket.socket(fileno=fd), path)
        else:
            try:
                self.open(service)
            except SpawnError as error:
                log.warning("%s: %s; what it tells of itself is not heard", service, error.message)
        self.bind_run(service, run, pid)

    def _listen(self, service: str, sock: socket.socket, path: Path) -> None:
        self._listeners[service] = _Listener(sock, path)
        self._store.keep(name_of("notify", service), sock.fileno())
        asyncio.get_running_loop().add_reader(sock, partial(self._read, service))

    def sockets(self, service: str) -> tuple[int, ...]:
        """Its descriptor, if there is one."""
        listener = self._listeners.get(service)
        return (listener.socket.fileno(),) if listener else ()

    def bind_run(self, service: str, run: int, pid: int) -> None:
        """What comes from now on is about this run, whose main process is `pid`.

        For a service without a socket this means nothing.
        """
        if listener := self._listeners.get(service):
            listener.run, listener.pid = run, pid

    def close(self, service: str) -> None:
        """Listen no more, and remove the file."""
        if listener := self._listeners.pop(service, None):
            asyncio.get_running_loop().remove_reader(listener.socket)
            self._store.drop(name_of("notify", service))
            listener.socket.close()
            listener.path.unlink(missing_ok=True)

    def _read(self, service: str) -> None:
        listener = self._listeners[service]
        for _ in range(DATAGRAMS_AT_ONCE):
            try:
                message, ancillary, flags, _ = listener.socket.recvmsg(LARGEST_DATAGRAM, ANCILLARY_SIZE)
            except BlockingIOError:
                return
            pid = _sender(ancillary)
            if flags & socket.MSG_TRUNC or not listener.run:
                continue
            if pid == listener.pid or (pid and self._is_member(service, pid)):
                self._tell(service, listener, _assignments(message))

    def _tell(self, service: str, listener: _Listener, told: dict[str, str]) -> None:
        status = told.get("STATUS", "stopping" if told.get("STOPPING") == "1" else listener.status)
        extend = _seconds(told.get("EXTEND_TIMEOUT_USEC", ""))
        if status != listener.status or extend:
            listener.status = status
            self._post(StatusReceived(service=service, run=listener.run, status=status, extend=extend))
        if told.get("READY") == "1":
            self._post(BecameReady(service=service, run=listener.run))


def _sender(ancillary: list[tuple[int, int, bytes]]) -> int:
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
            pid: int = CREDENTIALS.unpack(content)[0]
            # 0: a process that our pid namespace does not show.
            return pid
    return 0


def _assignments(message: bytes) -> dict[str, str]:
    lines = message.decode(errors="replace").split("\n")
    pairs = (line.partition("=") for line in lines)
    return {name: printable(value) for name, equals, value in pairs if equals}


def _seconds(microseconds: str) -> float:
    # 15 digits are thirty years; what is longer, or no number, was not meant.
    if not (microseconds.isascii() and microseconds.isdigit() and len(microseconds) <= 15):
        return 0.0
    return int(microseconds) / 1_000_000
