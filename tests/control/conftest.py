"""Both clients, for the tests of what they have in common."""

from __future__ import annotations

import pytest

from supervisor_stack.control.client import StackClient
from tests.control.driven import Connect, driven


@pytest.fixture(params=[StackClient, driven], ids=["waits", "is awaited"])
def connect(request: pytest.FixtureRequest) -> Connect:
    """What makes a client of either kind."""
    connect: Connect = request.param
    return connect
