"""A desk for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.output.desk import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Outputs, closed in the end."""
    desk = Desk(tmp_path)
    yield desk
    desk.outputs.close()
