"""Held sockets for the tests of the shell."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from supervisor_stack.daemon.fd_store import FdStore
from supervisor_stack.daemon.held import HeldSockets
from supervisor_stack.daemon.systemd import Systemd


def nothing_kept() -> FdStore:
    """A store of a stackd that systemd knows nothing of."""
    return FdStore(Systemd(), {})


@pytest.fixture
def sockets() -> Iterator[HeldSockets]:
    """Held sockets, closed in the end."""
    held = HeldSockets(nothing_kept())
    yield held
    held.close_all()
