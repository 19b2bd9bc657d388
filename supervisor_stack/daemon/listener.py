"""One listening socket, made as the server itself would have made it.

It is only made here: who keeps it, and for how long, is not decided here.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import grp
import os
import pwd
import socket
import stat
from typing import NamedTuple

from supervisor_stack.daemon import ports
from supervisor_stack.daemon.launch import Identity
from supervisor_stack.daemon.rights import rights_of
from supervisor_stack.errors import SpawnError
from supervisor_stack.kinds.listen import is_numeric
from supervisor_stack.spec import Address, Hold

BACKLOG = 4096
"""Clients that may wait for an answer while nobody serves; net.core.somaxconn is this on Linux since 5.4."""

FIRST_FD = 100
"""Numbers below are free for what a service expects at a fixed one: sd_listen_fds(3) begins at 3."""

US = Identity()
"""The rights of stackd itself."""

IP_FREEBIND = 15
"""ip(7); the socket module of Python 3.11 does not have it."""


class AddressInUse(SpawnError):  # noqa: N818 - a fact about an address, raised by whoever wants it
    """Somebody else listens on an address that is to be held."""

    def __init__(self, address: Address) -> None:
        super().__init__(f"cannot hold {address}: the address is in use")
        self.address = address


class FileId(NamedTuple):
    """Which file a path means; another one of the same name has another number."""

    device: int
    inode: int


class Listener(NamedTuple):
    """A listening socket. `file`: of a unix socket, the file by which clients find it."""

    fd: int
    file: FileId | None = None


def listen(address: Address, hold: Hold, who: Identity) -> Listener | None:
    """Bind and listen; None where the machine has no IPv6, and the server says itself what it makes of it.

    A unix socket is made with the rights of `who`, as the service itself would make it: its folder, and
    the configuration that names it, may belong to that user.
    The descriptor is closed on exec. Raises AddressInUse, and SpawnError for all else.
    """
    family = _family(address)
    try:
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            file = None
            if address.path:
                with rights_of(who):
                    file = _bind_unix(sock, address, hold)
                _give_away(address.path, hold)
            else:
                _bind_tcp(sock, address, hold)
            sock.listen(BACKLOG)
            # A worker of nginx that loses the race for a client would block in accept(2), deaf to its
            # master: it does not set O_NONBLOCK on an inherited socket. Who takes sockets from systemd
            # expects them to block, as systemd.socket(5) has it.
            sock.setblocking(hold.lend == "systemd")
            return Listener(fcntl.fcntl(sock, fcntl.F_DUPFD_CLOEXEC, FIRST_FD), file)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise AddressInUse(address) from error
        if error.errno == errno.EAFNOSUPPORT and family == socket.AF_INET6:
            return None
        raise SpawnError(f"cannot hold {address}: {_cause(error, address)}") from error


def file_id(path: str) -> FileId | None:
    """The file of this name, None when there is none."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return FileId(found.st_dev, found.st_ino)


def _family(address: Address) -> socket.AddressFamily:
    if address.path:
        return socket.AF_UNIX
    if not is_numeric(address.host):
        # bind() of Python would ask a name server, and everybody would wait.
        raise SpawnError(f"cannot hold {address}: {address.host} is not a numeric address")
    return socket.AF_INET6 if ":" in address.host else socket.AF_INET


def _bind_tcp(sock: socket.socket, address: Address, hold: Hold) -> None:
    # Connections of the last run in TIME_WAIT are no reason to refuse.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not address.dual)
    if hold.defer_accept:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, hold.defer_accept)
    if hold.free_bind:
        sock.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
    sock.bind((address.host, address.port))


def _bind_unix(sock: socket.socket, address: Address, hold: Hold) -> FileId | None:
    path = address.path
    if ports.is_taken(address):  # which removes what a dead one left behind
        raise AddressInUse(address)
    if file_id(path) and hold.lend == "nginx":
        raise SpawnError(f"cannot hold {address}: there is a file of that name, which is no socket")
    # As mysqld, uWSGI and systemd do: whatever has the name makes room. A folder does not.
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    # By umask(2) and not by chmod(2) after: the file is never there with another mode.
    before = os.umask(0o777 & ~hold.mode)
    try:
        sock.bind(path)
    finally:
        os.umask(before)
    return file_id(path)


def adjust(listener: Listener, address: Address, hold: Hold) -> None:
    """Give what is held already the mode, the owner and the options that it is to have now."""
    if address.path:
        _give_away(address.path, hold, hold.mode)
        return
    with socket.socket(fileno=os.dup(listener.fd)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, hold.defer_accept)


def _give_away(path: str, hold: Hold, mode: int | None = None) -> None:
    """To the user that would have made it.

    That user may own the folder, and have put something else there meanwhile, for root to give away
    as well: only a socket is, and none that has another name too.
    """
    user, group = _owner(hold)
    file = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.fstat(file)
        if not stat.S_ISSOCK(found.st_mode) or found.st_nlink != 1:
            return
        if user not in (-1, found.st_uid) or group not in (-1, found.st_gid):
            os.chown(f"/proc/self/fd/{file}", user, group)
        if mode is not None and stat.S_IMODE(found.st_mode) != mode:
            os.chmod(f"/proc/self/fd/{file}", mode)
    finally:
        os.close(file)


def _owner(hold: Hold) -> tuple[int, int]:
    """Numbers of user and group, as chown(2) takes them: -1 means as it is."""
    try:
        # mysqld and uWSGI take numbers as well.
        group = int(hold.group) if hold.group.isdecimal() else -1
        if hold.group and group < 0:
            group = grp.getgrnam(hold.group).gr_gid
        if not hold.user:
            return -1, group
        user = _by_number(int(hold.user)) if hold.user.isdecimal() else pwd.getpwnam(hold.user)
        if user is None:
            return int(hold.user), group
    except KeyError:
        raise SpawnError(
            f"cannot hold a socket for {hold.user or hold.group}: no such user or group"
        ) from None
    return user.pw_uid, user.pw_gid if group == -1 else group


def _by_number(number: int) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(number)
    except KeyError:
        return None  # in a container it mostly has no name


def _cause(error: OSError, address: Address) -> str:
    if error.errno == errno.ENOENT and address.path:
        return f"the folder {os.path.dirname(address.path)} does not exist"
    return (error.strerror or str(error)).lower()
