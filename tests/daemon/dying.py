"""Killing stackd at a certain place of its code, and being the one to whom its orphans come."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers import wait_until
from tests.stack import RunningStack

ROOT = Path(__file__).parent.parent.parent
PR_SET_CHILD_SUBREAPER = 36

# Imported by Python before anything else: sitecustomize(3) of the module site.
DIE = """
import importlib, os, signal
module, place = os.environ["DIE_AT"].split(":")
if place:
    owner, _, name = place.rpartition(".")
    owner = getattr(importlib.import_module(module), owner)
    whole = getattr(owner, name)
    count = int(os.environ["DIE_COUNT"])

    def part(*args, **keys):
        global count
        count -= 1
        if count == 0 and os.environ["DIE_WHEN"] == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = whole(*args, **keys)
        if count == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, part)
"""


@contextmanager
def dying(stack: RunningStack, when: str, place: str, count: int = 1) -> Iterator[None]:
    """The stackd that is started in this block dies `before` or `after` the call of that number of
    `MODULE:CLASS.METHOD`; the block ends when it has."""
    folder = stack.folder / "dying"
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(DIE)
    env = stack.env
    stack.env = env | {
        "PYTHONPATH": f"{folder}:{ROOT}",
        "DIE_AT": f"supervisor_stack.daemon.{place}",
        "DIE_WHEN": when,
        "DIE_COUNT": str(count),
    }
    yield
    stack.env = env
    assert stack.process is not None
    assert stack.process.wait(30) == -signal.SIGKILL
    stack.process = None
    stack.disconnect()


@contextmanager
def orphans_come_to_us() -> Iterator[None]:
    """Else they may stay zombies for as long as process 1 of a container likes."""
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    yield
    libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def end(pid: int) -> None:
    """SIGKILL, and nothing is left of it, not even a zombie."""
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), f"pid {pid} is gone")
