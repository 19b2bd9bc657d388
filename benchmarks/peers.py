"""supervisord and circus with one trivial program, in their best honest configuration.

PEERS names the folder of a virtualenv with `supervisor==4.3.0 circus==0.19.0`; without it only stackd
is measured.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# startsecs=0: no waiting until a program counts as started; autorestart without limit.
SUPERVISORD = """
[supervisord]
nodaemon=true
logfile=/dev/null
logfile_maxbytes=0
pidfile={folder}/supervisord.pid
[unix_http_server]
file={folder}/supervisor.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://{folder}/supervisor.sock
[program:app]
command=sh -c "{script}"
startsecs=0
autorestart=true
stdout_logfile=/dev/null
stderr_logfile=/dev/null
"""

# check_delay: circus looks for dead children that often; 0.1 is its documentation's smallest example.
CIRCUS = """
[circus]
check_delay = 0.1
endpoint = ipc://{folder}/endpoint
pubsub_endpoint = ipc://{folder}/pubsub
[watcher:app]
cmd = sh -c "{script}"
respawn = true
max_retry = -1
"""

CONFIGURATIONS = {"supervisord": SUPERVISORD, "circusd": CIRCUS}


def installed() -> list[str]:
    """The peers that can be measured."""
    folder = os.environ.get("PEERS", "")
    return [name for name in CONFIGURATIONS if (Path(folder) / "bin" / name).exists()] if folder else []


@contextmanager
def running(name: str, folder: Path, script: str) -> Iterator[list[str]]:
    """A peer that runs the script; yields the command that asks it for its status."""
    programs = Path(os.environ["PEERS"]) / "bin"
    config = folder / f"{name}.conf"
    config.write_text(CONFIGURATIONS[name].format(folder=folder, script=script))
    options = ["-c", str(config)] if name == "supervisord" else [str(config)]
    status = {
        "supervisord": [str(programs / "supervisorctl"), "-c", str(config), "status"],
        "circusd": [str(programs / "circusctl"), "--endpoint", f"ipc://{folder}/endpoint", "status"],
    }
    with (folder / f"{name}.out").open("wb") as output:
        process = subprocess.Popen([str(programs / name), *options], stdout=output, stderr=output)
    try:
        yield status[name]
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            # circus 0.19 may refuse its own stop ("arbiter is already running arbiter_stop command").
            process.kill()
            process.wait()
