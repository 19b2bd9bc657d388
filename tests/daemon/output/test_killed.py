"""Whoever moves the output may be killed at any instant: no line is lost, doubled or torn."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
from pathlib import Path

from supervisor_stack.daemon.output.outputs import Outputs
from tests.daemon.output.desk import ROOT, Desk, spec
from tests.servers import wait_until

KILLS = 20

# Blocks of 4 KiB without regard for the ends of lines, until SIGTERM; then the rest, and how many there were.
WRITER = """
import os, signal
going = True
def stop(*_):
    global going
    going = False
signal.signal(signal.SIGTERM, stop)
count, rest = 0, b""
while going:
    rest += b"".join(b"%09d %s\\n" % (n, b"x" * (n % 97)) for n in range(count, count + 100))
    count += 100
    while len(rest) >= 4096:
        os.write(1, rest[:4096])
        rest = rest[4096:]
os.write(1, rest)
open(os.environ["COUNT"], "w").write(str(count))
"""


def mover(folder: Path, pid: int) -> subprocess.Popen[bytes]:
    """A process that moves the output; returned when it does."""
    argv = [sys.executable, "-m", "tests.daemon.output.desk", str(folder), str(pid), str(256 * 1024), "1000"]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    return process


def test_no_line_is_lost_doubled_or_torn_when_the_mover_is_killed_while_it_rotates(desk: Desk) -> None:
    instants = random.Random()  # noqa: S311 - any instant will do
    service = spec(max_bytes=256 * 1024, keep=1000)
    count = desk.folder / "count"
    os.environ["COUNT"] = str(count)
    writer = desk.start(sys.executable, "-c", WRITER, service=service)
    desk.outputs.leave()
    try:
        for _ in range(KILLS):
            with mover(desk.folder, writer.pid) as process:
                files = len(desk.files())
                wait_until(lambda files=files: len(desk.files()) > files, "it rotates")  # type: ignore[misc]
                select.select([], [], [], instants.uniform(0, 0.02))
                process.kill()
        os.kill(writer.pid, signal.SIGTERM)
        last = Outputs(str(desk.folder / "run"), str(desk.log_dir))
        assert last.adopt(service, writer.pid)
        assert writer.wait(30) == 0
        last.close()
    finally:
        writer.kill()
        writer.wait()

    lines = desk.text().splitlines()
    assert len(lines) == int(count.read_text())
    assert lines == [f"{n:09d} {'x' * (n % 97)}" for n in range(len(lines))]
    assert all(path.read_bytes().endswith(b"\n") for path in desk.files())
    sizes = [path.stat().st_size for path in desk.files()[:-1]]
    assert len(sizes) > KILLS
    assert all(size < 257 * 1024 for size in sizes)
