"""A site for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.sites import Site, make_site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A fresh copy of the site."""
    return make_site(tmp_path)
