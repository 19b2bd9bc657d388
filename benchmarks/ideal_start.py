"""The four servers, each started the moment that what it needs answers; nothing else.

    python ideal_start.py SERVICES.json

What a person would write by hand to be as fast as can be: no restarts, no logs, no status. It imports
only what that needs, asks every millisecond, and ends its servers when it gets SIGTERM.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

Service = dict[str, Any]


def answers(service: Service) -> bool:
    """Whether a server answers its own protocol: the bytes to send, and how the answer begins."""
    address = service["address"]
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(10)
        try:
            client.connect(address if isinstance(address, str) else tuple(address))
            client.sendall(bytes.fromhex(service["say"]))
            return bytes.fromhex(service["hear"]) in client.recv(4096)
        except OSError:
            return False


def start(service: Service) -> subprocess.Popen[bytes]:
    """Make the process."""
    return subprocess.Popen(
        service["argv"],
        env=os.environ | service["env"],
        cwd=service["cwd"],
        user=service["user"],
        group=service["group"],
        extra_groups=[],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def stop(service: Service, process: subprocess.Popen[bytes]) -> None:
    """Ask it to leave, in its own way, and wait until it has."""
    process.send_signal(signal.Signals[f"SIG{service['stop']}"])
    process.wait()


def main() -> None:
    """Start all, then wait for the signal."""
    services: list[Service] = json.loads(Path(sys.argv[1]).read_text())
    running: list[tuple[Service, subprocess.Popen[bytes]]] = []
    ready: set[str] = set()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        while len(ready) < len(services):
            names = {service["name"] for service, _ in running}
            startable = (each for each in services if ready.issuperset(each["needs"]))
            running += [(each, start(each)) for each in startable if each["name"] not in names]
            for service, _ in running:
                if service["name"] not in ready and answers(service):
                    ready.add(service["name"])
            time.sleep(0.001)
        signal.pause()
    finally:
        for service, process in reversed(running):
            stop(service, process)


if __name__ == "__main__":
    main()
