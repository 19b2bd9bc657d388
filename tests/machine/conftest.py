"""Machines to try the project on: a bare one with the example site, and one where stackd is installed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.machine.image import CACHE, ROOT, image, wheels
from tests.machine.machine import BootError, Machine
from tests.machine.site import CONFIG, PROJECT, SITE, Site

# The image may have to be made by the first test, of packages that are downloaded.
TIMEOUT = 600.0

NOT_PUSHED = (
    ".git",
    ".ci",
    "__pycache__",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".hypothesis",
    "dist",
)


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Give the tests of this folder more time."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(TIMEOUT))


@pytest.fixture(scope="session")
def bare() -> Path:
    """The image. Where no machine can be booted at all, that is tried here, and told."""
    if os.geteuid() != 0:
        pytest.skip("a machine needs root: systemd-nspawn(1)")
    made = image()
    try:
        Machine([made]).__enter__().down()
    except BootError as error:
        if not error.is_forbidden:
            raise
        pytest.skip(f"systemd-nspawn boots no machine here, not even an empty one: {error}")
    return made


@pytest.fixture(scope="session")
def layers() -> Iterator[Path]:
    """A folder for what is laid over the image."""
    with tempfile.TemporaryDirectory(prefix="layers-", dir=CACHE) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def with_site(bare: Path, layers: Path) -> Sequence[Path]:
    """The image, and over it the example site, this checkout, and the packages for pip."""
    changes = layers / "site"
    with Site([bare], changes) as machine:
        machine.push(wheels(), "/root/wheels")
        machine.write("/etc/pip.conf", "[global]\nno-index = true\nfind-links = /root/wheels\n")
        machine.push(ROOT, PROJECT, NOT_PUSHED)
        machine.sh(f"python3 -m venv {SITE}/venv && {SITE}/venv/bin/pip install django pymysql redis pyuwsgi")
        machine.sh(f"VENV={SITE}/venv sh {PROJECT}/examples/br_api/install {SITE}")
        machine.power_off()
    return changes / "upper", bare


@pytest.fixture(scope="session")
def with_stackd(with_site: Sequence[Path], layers: Path) -> Sequence[Path]:
    """And over that stackd, as script/install leaves it, with the site as its stack, started at boot."""
    changes = layers / "stackd"
    with Site(with_site, changes) as machine:
        machine.write(CONFIG, machine.as_service())
        machine.install()
        machine.systemctl("enable", "stackd")
        machine.power_off()
    return changes / "upper", *with_site


@pytest.fixture
def fresh(with_site: Sequence[Path]) -> Iterator[Site]:
    """A machine where stackd was never installed."""
    with Site(with_site) as machine:
        yield machine


@pytest.fixture
def machine(with_stackd: Sequence[Path]) -> Iterator[Site]:
    """A machine on which the example site is up under the stackd that systemd started at boot."""
    with Site(with_stackd) as machine:
        machine.until_up()
        yield machine
