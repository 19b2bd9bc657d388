"""Many trivial services under each supervisor: start, status, idle, memory, stop.

    PEERS=... python -m benchmarks.scale [--services N ...] [--rounds N] [--supervisor NAME ...]

Each service is `sleep 100000`. *Up* is when that many processes of that name are below the supervisor, by
/proc, for all in the same way. stackd keeps a log of each service; supervisord and circus are spared that
(/dev/null). The floor is a Python loop that starts the same processes by subprocess.Popen and nothing else.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.figures import machine, row
from benchmarks.peers import command, installed, program
from supervisor_stack.control.client import StackClient
from supervisor_stack.control.messages import Status
from supervisor_stack.errors import StackError
from tests.stack import HEAD

PATIENCE = 120.0
STATUS_RUNS = 5
IDLE = 5.0

FLOOR = """
import signal, subprocess, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
children = [subprocess.Popen(["sleep", "100000"], start_new_session=True) for _ in range(int(sys.argv[1]))]
signal.sigwait([signal.SIGTERM])
for child in children:
    child.kill()  # with the mask that they have inherited they hear nothing else
for child in children:
    child.wait()
"""

STACKD = "[services.app{number:04}]\ncommand = ['sleep', '100000']\n"
SUPERVISORD = """
[program:app{number:04}]
command=sleep 100000
startsecs=0
stdout_logfile=/dev/null
stderr_logfile=/dev/null
"""
CIRCUS = "\n[watcher:app{number:04}]\ncmd = sleep 100000\n"


class Round(NamedTuple):
    """One life of a supervisor, in ms, MB and percent of a core. `told`: when stackd itself said so."""

    up: float
    told: float | None
    status: list[float]
    rss: float
    idle: float
    down: float


class Candidate(NamedTuple):
    """A supervisor as it is run, and as it is asked for its status."""

    argv: list[str]
    status: list[str]
    endpoint: str = ""


def prepare(name: str, folder: Path, count: int) -> Candidate:
    """Write the configuration of one of them."""
    (folder / "run").mkdir()
    (folder / "log").mkdir()
    numbers = range(count)
    if name == "floor":
        return Candidate([sys.executable, "-c", FLOOR, str(count)], [])
    if name == "stackd":
        config = folder / "stackd.toml"
        config.write_text(
            HEAD.format(run=folder / "run", log=folder / "log")
            + "".join(STACKD.format(number=n) for n in numbers)
        )
        tool = [sys.executable, "-m", "supervisor_stack.cli"]
        return Candidate(
            [*tool[:2], f"{tool[2]}.stackd", "-c", str(config), "--log-level", "warning"],
            [*tool[:2], f"{tool[2]}.stackctl", "-c", str(config), "status"],
            f"ipc://{folder}/run/control.sock",
        )
    argv = command(name, [f"{name}-scale.conf"], folder)
    service = SUPERVISORD if name == "supervisord" else CIRCUS
    with Path(folder, f"{name}.conf").open("a") as config_file:
        config_file.writelines(service.format(number=n) for n in numbers)
    status = {
        "supervisord": [program("supervisorctl"), "-c", str(folder / "supervisord.conf"), "status"],
        "circusd": [program("circusctl"), "--endpoint", f"ipc://{folder}/endpoint", "status"],
    }
    return Candidate(argv, status[name])


def sleepers(pid: int, at_least: int) -> int:
    """How many children of a process are `sleep`; not looked at one by one while there are too few."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    if len(children) < at_least:
        return 0
    return sum(_name(child) == "sleep" for child in children)


def _name(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def measure(name: str, count: int) -> Round:
    """Start it, look at it, stop it."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as place:  # as /run: in memory
        folder = Path(place)
        candidate = prepare(name, folder, count)
        with (folder / "output").open("wb") as output:
            begun = time.monotonic()
            process = subprocess.Popen(candidate.argv, stdout=output, stderr=output)
        try:
            while sleepers(process.pid, count) < count:
                assert process.poll() is None, (folder / "output").read_text()
                assert time.monotonic() < begun + PATIENCE, f"{name}: {count} services are not up"
                time.sleep(0.005)
            up = (time.monotonic() - begun) * 1000
            told = _told(candidate.endpoint, begun) if candidate.endpoint else None
            time.sleep(2)
            status = [_ask(candidate.status) for _ in range(STATUS_RUNS)] if candidate.status else []
            used = _processor(process.pid)
            time.sleep(IDLE)
            idle = (_processor(process.pid) - used) / IDLE * 100
            rss = _memory(process.pid)
            begun = time.monotonic()
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)
            return Round(up, told, status, rss, idle, (time.monotonic() - begun) * 1000)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def _told(endpoint: str, begun: float) -> float:
    while True:
        try:
            with StackClient(endpoint) as client:
                while client.request(Status()).stack.state != "running":
                    assert time.monotonic() < begun + PATIENCE, "stackd does not say that all run"
            return (time.monotonic() - begun) * 1000
        except StackError:
            assert time.monotonic() < begun + PATIENCE, "stackd does not listen"


def _ask(argv: list[str]) -> float:
    begun = time.monotonic()
    subprocess.run(argv, check=True, stdout=subprocess.PIPE)
    return (time.monotonic() - begun) * 1000


def _processor(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20


def main() -> None:
    """All of them in turn, so that a busy moment hits all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--services", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--supervisor", nargs="+", default=["floor", "stackd", *installed()])
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its bytecode
    machine()
    for count in options.services:
        rounds: dict[str, list[Round]] = {name: [] for name in options.supervisor}
        for _ in range(options.rounds):
            for name, found in rounds.items():
                found.append(measure(name, count))
        for name, found in rounds.items():
            what = f"{count} services, {name}"
            row(f"{what}: up", [each.up for each in found])
            if any(each.told for each in found):
                row(f"{what}: says so", [each.told for each in found if each.told])
            row(f"{what}: down", [each.down for each in found])
            if found[0].status:
                row(f"{what}: status in a pipe", [ms for each in found for ms in each.status])
            row(f"{what}: memory", [each.rss for each in found], "MB")
            row(f"{what}: idle", [each.idle for each in found], "% of a core")


if __name__ == "__main__":
    main()
