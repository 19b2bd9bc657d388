"""Clients that wait at a held socket, and somebody who serves them in the end."""

from __future__ import annotations

import os
import socket

from supervisor_stack.spec import Address
from tests.servers import DEADLINE, free_port


def loopback() -> Address:
    """An address that nobody uses now."""
    return Address(host="127.0.0.1", port=free_port())


def connect(address: Address) -> socket.socket:
    """A connected client; raises OSError."""
    family = socket.AF_UNIX if address.path else socket.AF_INET6 if ":" in address.host else socket.AF_INET
    client = socket.socket(family)
    client.settimeout(DEADLINE)
    try:
        client.connect(address.path or (address.host, address.port))
    except OSError:
        client.close()
        raise
    return client


def can_wait(address: Address) -> bool:
    """Whether a client is not refused there."""
    try:
        connect(address).close()
    except (ConnectionRefusedError, FileNotFoundError):
        return False
    return True


def greet(fd: int) -> None:
    """Accept one client of a listening descriptor and say hello."""
    with socket.socket(fileno=os.dup(fd)) as listener:
        listener.settimeout(DEADLINE)
        client, _ = listener.accept()
        with client:
            client.sendall(b"hello")
