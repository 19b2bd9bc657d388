"""Wall time of `stackctl status`, beside what Python and ZeroMQ cost by themselves.

python -m benchmarks.command_line [RUNS]
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

from benchmarks.figures import machine, row
from benchmarks.peers import installed, running
from tests.stack import RunningStack


def wall(argv: list[str], env: dict[str, str]) -> float:
    """Milliseconds of one run, its output thrown away."""
    begun = time.monotonic()
    subprocess.run(argv, env=env, check=True, stdout=subprocess.DEVNULL)
    return (time.monotonic() - begun) * 1000


def wall_on_a_terminal(argv: list[str], env: dict[str, str]) -> float:
    """The same with a person's terminal as its output: colours, and a table that fits."""
    terminal, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (40, 120))
    begun = time.monotonic()
    with subprocess.Popen(
        argv, env={**env, "TERM": "xterm-256color"}, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        with contextlib.suppress(OSError):  # EIO: nobody has the other end any more
            while os.read(terminal, 65536):
                pass
    os.close(terminal)
    assert process.returncode == 0, argv
    return (time.monotonic() - begun) * 1000


def main() -> None:
    """Measure the commands in turn, so that a busy moment hits all of them."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    machine()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its bytecode
    toml = "".join(f"[services.app{number}]\ncommand = ['sleep', '100000']\n" for number in range(4))
    with tempfile.TemporaryDirectory() as folder, RunningStack(Path(folder), toml) as stack:
        stack.until_up()
        stackctl = [sys.executable, "-m", "supervisor_stack.cli.stackctl", "-c", str(stack.config)]
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "python -c 'import zmq'": [sys.executable, "-c", "import zmq"],
            "stackctl status --json": [*stackctl, "status", "--json"],
            "stackctl status (pipe)": [*stackctl, "status"],
            "stackctl is-active app0": [*stackctl, "is-active", "app0"],
        }
        figures: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(runs):
            for name, argv in commands.items():
                figures[name].append(wall(argv, stack.env))
            shown = wall_on_a_terminal([*stackctl, "status"], stack.env)
            figures.setdefault("stackctl status (terminal)", []).append(shown)
    for name in installed():
        with tempfile.TemporaryDirectory() as folder, running(name, Path(folder), "sleep 100000") as status:
            time.sleep(2)  # they do not tell when they can be asked
            argv = [*status, "app"] if name == "supervisord" else status
            figures[f"status of {name} (terminal)"] = [
                wall_on_a_terminal(argv, dict(os.environ)) for _ in range(runs)
            ]
    for name, values in figures.items():
        row(name, values)


if __name__ == "__main__":
    main()
