"""supervisord and circus, in the configurations beside this file.

`NAME.conf` has one trivial program, `NAME-site.conf` the example site, and `NAME-writer.conf` what is added
to it for a service that writes numbered lines. PEERS names the folder of a
virtualenv with `supervisor==4.3.0 circus==0.19.0`; without it only stackd is measured.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

CONFIGURATIONS = Path(__file__).parent
NAMES = ("supervisord", "circusd")


def installed() -> list[str]:
    """The peers that can be measured."""
    folder = os.environ.get("PEERS", "")
    return [name for name in NAMES if (Path(folder) / "bin" / name).exists()] if folder else []


def program(name: str) -> str:
    """The path of a program of the peers."""
    return str(Path(os.environ["PEERS"]) / "bin" / name)


def command(name: str, templates: Sequence[str], folder: Path, **values: object) -> list[str]:
    """Write a peer's configuration into the folder; returns the command that runs it in the foreground."""
    config = folder / f"{name}.conf"
    text = "\n".join((CONFIGURATIONS / template).read_text() for template in templates)
    config.write_text(text.format(folder=folder, **values))
    options = ["-c", str(config)] if name == "supervisord" else [str(config)]
    return [program(name), *options]


@contextmanager
def running(name: str, folder: Path, script: str) -> Iterator[list[str]]:
    """A peer that runs the script; yields the command that asks it for its status."""
    argv = command(name, [f"{name}.conf"], folder, script=script)
    status = {
        "supervisord": [program("supervisorctl"), "-c", str(folder / "supervisord.conf"), "status"],
        "circusd": [program("circusctl"), "--endpoint", f"ipc://{folder}/endpoint", "status"],
    }
    with (folder / f"{name}.out").open("wb") as output:
        process = subprocess.Popen(argv, stdout=output, stderr=output)
    try:
        yield status[name]
    finally:
        end(process, 10)


def end(process: subprocess.Popen[bytes], patience: float) -> bool:
    """Ask a supervisor to stop; returns whether it did, before it had to be killed."""
    process.terminate()
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        # circus 0.19 may refuse its own stop ("arbiter is already running arbiter_stop command").
        process.kill()
        process.wait()
        return False
    return True
