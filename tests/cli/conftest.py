"""A peer that plays a stack."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.shop import Shop, service
from tests.peer import Peer


@pytest.fixture
def shop() -> Shop:
    """A database and a web server, both well; a test changes what it needs otherwise."""
    return Shop(service("db"), service("web"))


@pytest.fixture
def peer(tmp_path: Path, shop: Shop) -> Iterator[Peer]:
    """Whom stackctl talks to."""
    with Peer(tmp_path, shop) as peer:
        shop.events = peer.events
        yield peer
