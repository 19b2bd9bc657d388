"""Who is at the other end of a unix socket, by the kernel's word: as it was at connect(2) (unix(7))."""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

SO_PEERGROUPS = 59
"""asm-generic/socket.h, Linux 4.13; the socket module does not have it."""

_CREDENTIALS = struct.Struct("3i")
_GROUPS = 1024
"""Bytes of 256 numbers: what getsockopt can be asked for here. Whoever is in more groups has to be named."""


class Peer(NamedTuple):
    """The process at the other end. Its pid may have been given to another since."""

    uid: int
    gid: int
    pid: int


def peer_of(connection: socket.socket) -> Peer:
    """The process that connected. Raises OSError."""
    pid, uid, gid = _CREDENTIALS.unpack(
        connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    )
    return Peer(uid, gid, pid)


def groups_of(connection: socket.socket) -> tuple[int, ...]:
    """The supplementary groups that the process had then; none when the kernel does not tell.

    The name service's answer for a user may be slow, and other than what his process has.
    """
    try:
        groups = connection.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, _GROUPS)
    except OSError:
        return ()
    return struct.unpack(f"{len(groups) // 4}I", groups)
