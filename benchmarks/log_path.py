"""A service that prints a gigabyte: how quickly it may, what that costs its supervisor, and what arrives.

    python -m benchmarks.log_path [MEGABYTES] [ROUNDS]

Lines of 100 bytes; files of 50 MiB, all of them kept. `direct` has its stdout in a file. With PEERS (see
peers/) supervisord and circus do the same, in turn.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks import peers
from benchmarks.figures import machine, row
from tests.stack import RunningStack

LINE = 100
"""Bytes."""

CYCLE = 100_000
"""Lines, numbered, in the file that the writer prints again and again."""

PATIENCE = 10.0
"""Seconds without a new byte after which no more is waited for."""

WRITERS = {"line by line": LINE, "in blocks": 40 * LINE}
"""How programs write: without a buffer (Python's logging), and with one, as stdio has for a file or pipe."""

SCRIPT = """
read go < {folder}/gate
begun=$(date +%s%N)
for cycle in $(seq {cycles}); do dd if={folder}/lines bs={block} status=none; done
echo $(($(date +%s%N) - begun)) > {folder}/result.new
mv {folder}/result.new {folder}/result
exec sleep 100000
"""


@dataclass(frozen=True)
class Round:
    """Megabytes a second of the writer, processor seconds of the supervisor, lines that are not there, and
    lines that do not follow the one before."""

    speed: float
    processor: float
    lost: int
    disordered: int


@contextmanager
def supervised(name: str, folder: Path, command: list[str]) -> Iterator[psutil.Process | None]:
    """The command under a supervisor; yields the supervisor, None where there is none."""
    if name == "stackd":
        log = "log = {max_bytes = '50MiB', keep = 1000}\n"
        with RunningStack(folder, f"[services.app]\ncommand = {json.dumps(command)}\n{log}") as stack:
            stack.until_up()
            yield psutil.Process(stack.pid)
        return
    if name == "direct":
        with (folder / "log/app.log").open("wb") as file, subprocess.Popen(command, stdout=file) as process:
            try:
                yield None
            finally:
                process.kill()
        return
    argv = peers.command(name, [f"{name}-log.conf"], folder, command=" ".join(command))
    with (folder / f"{name}.out").open("wb") as output:
        process = subprocess.Popen(argv, stdout=output, stderr=output)
    try:
        yield psutil.Process(process.pid)
    finally:
        peers.end(process, 20)


def measure(name: str, block: int, megabytes: int, folder: Path) -> Round:
    """Let it write, and wait for what arrives."""
    (folder / "log").mkdir()
    gate, result, script = folder / "gate", folder / "result", folder / "writer"
    os.mkfifo(gate)
    cycles = max(1, megabytes * 10**6 // (CYCLE * LINE))
    (folder / "lines").write_text("".join(f"{number:0{LINE - 1}d}\n" for number in range(CYCLE)))
    script.write_text(SCRIPT.format(folder=folder, cycles=cycles, block=block))
    with supervised(name, folder, ["sh", str(script)]) as supervisor:
        opened = os.open(gate, os.O_WRONLY)  # waits for the writer
        before = _processor(supervisor)
        os.write(opened, b"go\n")
        os.close(opened)
        _wait(folder, result, cycles * CYCLE * LINE)
        processor = _processor(supervisor) - before
    assert result.exists(), f"{name}: the writer did not come to its end"
    lines, disordered = _read(folder)
    seconds = int(result.read_text()) / 1e9
    return Round(cycles * CYCLE * LINE / 1e6 / seconds, processor, cycles * CYCLE - lines, disordered)


def _processor(supervisor: psutil.Process | None) -> float:
    if supervisor is None:
        return 0.0
    times = supervisor.cpu_times()
    return times.user + times.system


def _files(folder: Path) -> list[Path]:
    """The oldest first."""

    def age(path: Path) -> int:
        return -int(path.suffix[1:]) if path.suffix[1:].isdigit() else 0

    return sorted((folder / "log").glob("app.log*"), key=age)


def _wait(folder: Path, result: Path, expected: int) -> None:
    """Until the writer is done and all is there, or nothing comes any more."""
    seen, since = -1, time.monotonic()
    while not (result.exists() and seen >= expected):
        try:
            size = sum(path.stat().st_size for path in _files(folder))
        except FileNotFoundError:
            continue  # it was just renamed
        if size != seen:
            seen, since = size, time.monotonic()
        elif time.monotonic() - since > PATIENCE:
            return
        time.sleep(0.01)


def _read(folder: Path) -> tuple[int, int]:
    """How many whole lines there are, and how many do not follow the one before."""
    lines, disordered, last = 0, 0, -1
    for path in _files(folder):
        with path.open("rb") as file:
            for line in file:
                if len(line) == LINE:
                    number = int(line)
                    disordered += number != (last + 1) % CYCLE
                    lines, last = lines + 1, number
    return lines, disordered


def main() -> None:
    """Measure all in turn, round by round, so that a busy moment hits each of them."""
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    machine()
    for writer, block in WRITERS.items():
        figures: dict[str, list[Round]] = {name: [] for name in ("direct", "stackd", *peers.installed())}
        for _ in range(rounds):
            for name, found in figures.items():
                with tempfile.TemporaryDirectory() as folder:
                    found.append(measure(name, block, megabytes, Path(folder)))
                os.sync()  # the next one does not pay for what this one has left to write
        for name, found in figures.items():
            row(f"{writer}, {name}: the writer", [each.speed for each in found], "MB/s")
            row(f"{writer}, {name}: the supervisor", [each.processor for each in found], "s")
            lost, disordered = sum(each.lost for each in found), sum(each.disordered for each in found)
            print(
                f"{writer}, {name}: of {rounds} x {megabytes} MB {lost} lines lost, {disordered} out of order"
            )


if __name__ == "__main__":
    main()
