"""The real servers, run as stackd runs them: argv and environment of the kind, foreground, own session."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from supervisor_stack.config.machine import DiskFiles
from supervisor_stack.kinds.base import Facts, Given, Kind
from supervisor_stack.spec import Address, Check
from tests.servers import DEADLINE, free_port, wait_until


def given_on_disk(config: Path, binary: str, *args: str) -> Given:
    """The input of a kind's learn(), for files that exist."""
    return Given(
        name="server",
        binary=binary,
        config=str(config),
        args=args,
        user="",
        env={},
        files=DiskFiles(),
        cwd=str(config.parent),
        as_root=os.geteuid() == 0,
    )


@contextmanager
def running(kind: Kind, facts: Facts, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The server, and its end by the signal of its kind. What it prints is in `output` in the folder."""
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            facts.argv,
            env={**os.environ, **kind.env},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.send_signal(signal.Signals[f"SIG{kind.stop_signal}"])
        try:
            process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


def wait_for_addresses(
    process: subprocess.Popen[bytes], addresses: tuple[Address, ...], folder: Path
) -> None:
    """Wait until the process and its children, not something that it left behind, listen on just these."""

    def listens() -> bool:
        assert process.poll() is None, (folder / "output").read_text(errors="replace")
        return _listening(process.pid) == set(addresses)

    wait_until(listens, f"pid {process.pid} listens on {[str(address) for address in addresses]}")


def _listening(pid: int) -> set[Address]:
    # psutil names one holder of each TCP socket, which may be a worker that inherited it.
    holders = {pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))}
    found = set()
    for connection in psutil.net_connections("inet"):
        if connection.pid in holders and connection.status == psutil.CONN_LISTEN and connection.laddr:
            host, port = connection.laddr
            found.add(Address(host=host, port=port))
    for connection in psutil.net_connections("unix"):
        if connection.pid in holders and connection.laddr:
            found.add(Address(path=str(connection.laddr)))
    return found


def run_check(check: Check, folder: Path) -> subprocess.CompletedProcess[str]:
    """The configuration test of a kind."""
    environ = {name: value for name, value in os.environ.items() if name not in check.without_env}
    return subprocess.run(
        check.argv, env=environ, cwd=folder, capture_output=True, text=True, timeout=DEADLINE, check=False
    )


def free_ports(count: int) -> list[int]:
    """Different ports that nobody uses now."""
    ports: set[int] = set()
    while len(ports) < count:
        ports.add(free_port())
    return sorted(ports)
