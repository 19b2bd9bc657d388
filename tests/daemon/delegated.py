"""A cgroup that is delegated as systemd does it, made below our own."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from supervisor_stack.daemon import cgroup
from tests.servers import wait_until

_numbers = itertools.count(1)


@contextmanager
def delegated(attribute: str = "user.delegate") -> Iterator[Path]:
    """The folder of such a cgroup. It has to be empty again in the end, and to have none below."""
    _, own = cgroup.own()
    assert own, "cgroups of version 2 are not mounted"
    folder = Path(own, f"stackd-test-{os.getpid()}-{next(_numbers)}")
    try:
        folder.mkdir()
    except OSError as error:
        pytest.fail(f"cannot make cgroups: {error}; run this as root, where the hierarchy can be written to")
    try:
        os.setxattr(folder, attribute, b"1")
        yield folder
    except BaseException:
        (folder / "cgroup.kill").write_text("1")
        wait_until(lambda: "populated 0" in (folder / "cgroup.events").read_text(), "it is empty")
        for below in below_first(folder):
            below.rmdir()
        raise
    wait_until(lambda: "populated 0" in (folder / "cgroup.events").read_text(), "it is empty")
    folder.rmdir()


def below_first(folder: Path) -> Iterator[Path]:
    """A cgroup and all below it."""
    for each in sorted(folder.iterdir()):
        if each.is_dir():
            yield from below_first(each)
    yield folder


def names(folder: Path) -> set[str]:
    """The cgroups below, by their path from there."""
    return {str(each.relative_to(folder)) for each in below_first(folder)} - {"."}


def pids(folder: Path) -> set[int]:
    """The processes in a cgroup, without those below."""
    return set(map(int, (folder / "cgroup.procs").read_text().split()))


def entering(folder: Path) -> tuple[str, ...]:
    """Words before a command that is to run in a cgroup."""
    return ("sh", "-c", 'echo 0 >"$0" && exec "$@"', f"{folder}/cgroup.procs")
