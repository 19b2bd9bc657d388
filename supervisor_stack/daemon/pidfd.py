"""Listening sockets of another process, duplicated out of it by pidfd_getfd(2) (Linux 5.6).

Nothing changes for that process: both have the socket from then on.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import socket
from collections.abc import Collection, Iterator

from supervisor_stack.daemon.listener import FIRST_FD, Listener
from supervisor_stack.kinds.listen import tcp
from supervisor_stack.spec import Address

# One number on all architectures, as of every system call since 5.1; Python has no function for it.
SYS_PIDFD_GETFD = 438


def listeners_of(pid: int, wanted: Collection[Address]) -> dict[Address, Listener]:
    """The sockets with which a process listens at the wanted addresses, as far as it does.

    Raises OSError when the process is gone, or may not be looked into: that takes the right to trace it
    (ptrace(2)), which root has, and the same user, where no security module says otherwise.
    """
    found: dict[Address, Listener] = {}
    for sock in _sockets(pid):
        with sock:
            address = address_of(sock)
            match = next((each for each in wanted if address and _is_same(each, address)), None)
            if match and match not in found:
                found[match] = Listener(fcntl.fcntl(sock, fcntl.F_DUPFD_CLOEXEC, FIRST_FD))
    return found


def datagram_socket_of(pid: int, path: str) -> int | None:
    """The unix socket for datagrams that is bound to this path, when the process has it; the caller's."""
    try:
        for sock in _sockets(pid):
            with sock:
                if (sock.family, sock.type) != (socket.AF_UNIX, socket.SOCK_DGRAM):
                    continue
                if sock.getsockname() == path:
                    return fcntl.fcntl(sock, fcntl.F_DUPFD_CLOEXEC, FIRST_FD)
    except OSError:
        return None  # it is gone, or may not be looked into
    return None


def _sockets(pid: int) -> Iterator[socket.socket]:
    """Copies of all sockets of a process, for the caller to close."""
    pidfd = os.pidfd_open(pid)
    try:
        for number in _socket_numbers(pid):
            fd = _duplicate(pidfd, number)
            if fd is not None:
                yield socket.socket(fileno=fd)
    finally:
        os.close(pidfd)


def _socket_numbers(pid: int) -> Iterator[int]:
    folder = f"/proc/{pid}/fd"
    for number in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):  # it was closed meanwhile
            if os.readlink(f"{folder}/{number}").startswith("socket:"):
                yield int(number)


def _duplicate(pidfd: int, number: int) -> int | None:
    """None for what was closed meanwhile."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd: int = libc.syscall(SYS_PIDFD_GETFD, pidfd, number, 0)  # closed on exec
    if fd >= 0:
        return fd
    error = ctypes.get_errno()
    if error in (errno.EBADF, errno.ESRCH):
        return None
    raise OSError(error, os.strerror(error))


def address_of(sock: socket.socket) -> Address | None:
    """Where a socket listens; None for one that does not."""
    if sock.type != socket.SOCK_STREAM or not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return None
    if sock.family == socket.AF_UNIX:
        path = sock.getsockname()
        return Address(path=path) if isinstance(path, str) and path else None
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    host, port, *_ = sock.getsockname()
    return tcp(host, port)


def _is_same(one: Address, other: Address) -> bool:
    return (one.host, one.port, one.path) == (other.host, other.port, other.path)
