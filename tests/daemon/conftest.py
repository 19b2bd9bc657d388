"""Held sockets for the tests of the shell."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from supervisor_stack.daemon.held import HeldSockets


@pytest.fixture
def sockets() -> Iterator[HeldSockets]:
    """Held sockets, closed in the end."""
    held = HeldSockets()
    yield held
    held.close_all()
