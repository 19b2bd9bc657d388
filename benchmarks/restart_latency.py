"""From SIGKILL of a trivial service to the start of its next run, beside a bare Python loop.

    python -m benchmarks.restart_latency [KILLS]

The service is a shell that writes one byte to a FIFO as its first act; the clock stops when the byte
is there. The bare loop does nothing but start again what died, on the same pidfd mechanism. With
PEERS (see peers.py) supervisord and circus do the same, with fewer kills since they take longer.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.figures import machine, row
from benchmarks.peers import installed, running
from tests.stack import RunningStack

SCRIPT = "echo $$ >{fifo}; exec sleep 100000"

LOOP = """
import asyncio, os, subprocess, sys
async def main():
    loop = asyncio.get_running_loop()
    while True:
        child = subprocess.Popen(sys.argv[1:], start_new_session=True)
        print(child.pid, flush=True)
        ended = loop.create_future()
        fd = os.pidfd_open(child.pid)
        loop.add_reader(fd, ended.set_result, None)
        await ended
        loop.remove_reader(fd)
        os.close(fd)
        child.wait()
asyncio.run(main())
"""


class Births:
    """The FIFO into which each run writes its first byte."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._fd = os.open(path, os.O_RDWR)
        self.pid = 0

    def wait(self) -> float:
        """Block until the next run has begun; returns when that was."""
        written = os.read(self._fd, 64)
        at = time.monotonic()
        self.pid = int(written.split()[-1])
        return at


def kill(pid: int, births: Births) -> float:
    """Milliseconds from SIGKILL to the next birth."""
    begun = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    return (births.wait() - begun) * 1000


def under_stackd(folder: Path, kills: int) -> list[float]:
    """With stackd."""
    fifo = folder / "births"
    births = Births(fifo)
    toml = (
        f"[services.app]\ncommand = ['sh', '-c', '{SCRIPT.format(fifo=fifo)}']\n"
        "backoff = {initial = 0}\nstart_limit = {burst = 1000000, interval = 60}"
    )
    with RunningStack(folder, toml) as stack:
        births.wait()
        figures = []
        for run in range(1, kills + 1):
            pid = stack.until_run("app", run).pid
            assert pid is not None
            figures.append(kill(pid, births))
    return figures


def under_a_bare_loop(folder: Path, kills: int) -> list[float]:
    """With the bare loop."""
    fifo = folder / "births"
    births = Births(fifo)
    argv = [sys.executable, "-c", LOOP, "sh", "-c", SCRIPT.format(fifo=fifo)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as loop:
        assert loop.stdout is not None
        births.wait()
        figures = []
        for _ in range(kills):
            pid = int(loop.stdout.readline())
            figures.append(kill(pid, births))
        loop.kill()
        os.kill(int(loop.stdout.readline()), signal.SIGKILL)
    return figures


def under_a_peer(name: str, folder: Path, kills: int) -> list[float]:
    """With supervisord or circus. A child that lived for less than their patience would wait longer."""
    fifo = folder / "births"
    births = Births(fifo)
    with running(name, folder, SCRIPT.format(fifo=fifo)):
        births.wait()
        figures = []
        for _ in range(kills):
            time.sleep(0.1)
            figures.append(kill(births.pid, births))
    with contextlib.suppress(ProcessLookupError):
        os.kill(births.pid, signal.SIGKILL)  # a peer that had to be killed leaves it behind
    return figures


def main() -> None:
    """Measure both, one after the other."""
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    machine()
    for name, measure in (("stackd", under_stackd), ("bare Python loop", under_a_bare_loop)):
        with tempfile.TemporaryDirectory() as folder:
            row(f"SIGKILL to next run, {name}", measure(Path(folder), kills))
    for name in installed():
        with tempfile.TemporaryDirectory() as folder:
            row(f"SIGKILL to next run, {name}", under_a_peer(name, Path(folder), max(kills // 10, 5)))


if __name__ == "__main__":
    main()
