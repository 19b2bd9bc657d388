"""What the package puts into share/, once for all, and the shells that read it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from shlex import join

import pytest

from share.__main__ import write
from tests.cli.shop import STACKCTL
from tests.share.shells import Bash, Fish, Shell, Zsh
from tests.stack import RunningStack

SERVICES = """
[services.web]
command = ["sleep", "1000"]
[services."celery.beat-2"]
command = ["sleep", "1000"]
[services.0_a--b]
command = ["sleep", "1000"]
"""


@pytest.fixture(scope="session")
def share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder, as it is made when the package is built."""
    folder = tmp_path_factory.mktemp("share")
    write(folder)
    return folder


@pytest.fixture(scope="session")
def bin_(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PATH, with a stackctl that is the one of this checkout, and notes that it was asked."""
    folder = tmp_path_factory.mktemp("bin")
    command = folder / "stackctl"
    command.write_text(f'#!/bin/sh\necho "$*" >>{folder}/asked\nexec {join(STACKCTL)} "$@"\n')
    command.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A real stackd, for the names of its services."""
    with RunningStack(tmp_path_factory.mktemp("stack"), SERVICES) as stack:
        yield stack


@pytest.fixture(scope="module", params=[Bash, Zsh, Fish], ids=lambda kind: kind.__name__.lower())
def shell(
    request: pytest.FixtureRequest, share: Path, bin_: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shell]:
    """Each of them, one for a whole module: they take their time to start."""
    with request.param(share, tmp_path_factory.mktemp("home"), bin_) as shell:
        yield shell
