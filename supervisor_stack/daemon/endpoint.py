"""Listening at a path or a port, and who may come.

libzmq is lent the port: so a ZeroMQ socket may come and go on the same one.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
import struct
from pathlib import Path

from supervisor_stack.config.values import parse_address
from supervisor_stack.control.reach import TCP
from supervisor_stack.errors import SpawnError
from supervisor_stack.spec import ControlSpec

log = logging.getLogger(__name__)

BACKLOG = 1024
"""Clients that connect at the same instant; the kernel caps it at net.core.somaxconn."""

_ACL = "system.posix_acl_access"
# linux/posix_acl_xattr.h: a version, and entries of tag, permissions and user or group.
_ACL_VERSION = struct.pack("<I", 2)
_ACL_ENTRY = struct.Struct("<HHI")
_OWNER, _USER, _GROUP_OF_FILE, _GROUP, _MASK, _OTHERS = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
_NOBODY = 0xFFFFFFFF
_READ_WRITE = 0o6


def listen_at(path: str, spec: ControlSpec) -> socket.socket:
    """A unix socket at a path, for those who have a role; whatever was there goes. Raises OSError."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        Path(path).unlink(missing_ok=True)
        listening.bind(path)
        # Until listen(2) nobody gets in, whatever the mode is.
        admit(path, spec)
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def open_port(endpoint: str) -> socket.socket:
    """Listen on a tcp endpoint. Raises SpawnError."""
    address = parse_address(endpoint.removeprefix(TCP), "/")
    host = "0.0.0.0" if address.host in ("", "*") else address.host  # noqa: S104 - as it was configured
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, address.port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise SpawnError(f"cannot listen on {endpoint}: {error.strerror or error}") from error
    return listening


def admit(path: str, spec: ControlSpec) -> None:
    """Let those open a socket who have a role, and nobody else. Raises OSError.

    Owner and group have the mode bits, everybody else an entry of an access control list (acl(5)): so
    `connect(2)` refuses strangers, who could fill stackd's descriptors otherwise.
    """
    group = next((each.number for each in spec.grants if each.name == f"@{spec.group}"), os.getegid())
    Path(path).chmod(0o600)
    with contextlib.suppress(OSError):
        os.removexattr(path, _ACL)
    os.chown(path, -1, group)
    if spec.group:
        Path(path).chmod(0o660)
    others = [grant for grant in spec.grants if grant.name != f"@{spec.group}"]
    if not others:
        return
    entries = [
        (_OWNER, _READ_WRITE, _NOBODY),
        *(
            (_USER, _READ_WRITE, number)
            for number in sorted({each.number for each in others if not each.is_group})
        ),
        (_GROUP_OF_FILE, _READ_WRITE if spec.group else 0, _NOBODY),
        *(
            (_GROUP, _READ_WRITE, number)
            for number in sorted({each.number for each in others if each.is_group})
        ),
        (_MASK, _READ_WRITE, _NOBODY),
        (_OTHERS, 0, _NOBODY),
    ]
    try:
        os.setxattr(path, _ACL, _ACL_VERSION + b"".join(_ACL_ENTRY.pack(*entry) for entry in entries))
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        log.error(
            "cannot let %s open %s: its file system has no access control lists; "
            "put them into one group and write it as control.group",
            ", ".join(each.name for each in others),
            path,
        )
