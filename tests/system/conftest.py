"""The example site with its four real servers, installed once for all tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import free_port
from tests.system.site import Site

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "br_api"
FILES = ("stackd.toml", "br_api.conf", "uwsgi.ini", "redis.conf", "my.cnf")


def four_ports() -> list[str]:
    """Free ports that differ."""
    found: set[int] = set()
    while len(found) < 4:
        found.add(free_port())
    return sorted(map(str, found))


@pytest.fixture(scope="session")
def installed_site() -> Iterator[Path]:
    """The folder that `examples/br_api/install` makes. Not below tmp_path: other users must enter it."""
    folder = Path(tempfile.mkdtemp(prefix="site-", dir="/var/tmp"))
    folder.chmod(0o755)
    ports = dict(zip(("HTTP_PORT", "UWSGI_PORT", "MYSQL_PORT", "REDIS_PORT"), four_ports(), strict=True))
    env = os.environ | ports | {"VENV": sys.prefix, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
    done = subprocess.run(
        ["sh", EXAMPLE / "install", folder], check=False, env=env, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for name in FILES:
        shutil.copy(folder / name, folder / f"{name}.as-installed")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def fresh_site(installed_site: Path) -> Path:
    """The folder, its files as they were installed, and without logs; nothing runs."""
    for name in FILES:
        shutil.copy(installed_site / f"{name}.as-installed", installed_site / name)
    for left in (installed_site / "log").glob("*"):
        left.unlink()
    return installed_site


@pytest.fixture
def site(fresh_site: Path) -> Iterator[Site]:
    """The running site, all four servers ready; stopped after the test."""
    with Site(fresh_site) as running:
        running.until_up()
        yield running
