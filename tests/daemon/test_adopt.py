"""Sockets that a service has opened by itself, and that are held from then on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor_stack.daemon.held import HeldSockets
from supervisor_stack.spec import Address, Hold
from tests.daemon.waiting import can_wait, connect, greet, loopback
from tests.servers import free_port

NGINX = Hold(lend="nginx")

LISTENERS = """
import signal, socket, sys
socket.socket()
kept = [socket.create_server(("127.0.0.1", int(port))) for port in sys.argv[2:]]
unix = socket.socket(socket.AF_UNIX)
unix.bind(sys.argv[1])
unix.listen()
print(flush=True)
signal.pause()
"""


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[tuple[int, tuple[Address, ...]]]:
    """A process that listens by itself, and where."""
    ports = free_port(), free_port()
    argv = [sys.executable, "-c", LISTENERS, f"{tmp_path}/theirs", *map(str, ports)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline()
            tcp = (Address(host="127.0.0.1", port=port) for port in ports)
            yield process.pid, (*tcp, Address(path=f"{tmp_path}/theirs"))
        finally:
            process.kill()


def test_what_a_process_listens_on_by_itself_is_taken_over(
    sockets: HeldSockets, stranger: tuple[int, tuple[Address, ...]]
) -> None:
    pid, addresses = stranger
    addresses = addresses[:2]

    assert sockets.adopt("web", addresses, pid) == ()

    os.kill(pid, signal.SIGKILL)
    for address in addresses:
        with connect(address) as client:
            greet(sockets.held("web")[address])
            assert client.recv(5) == b"hello"


def test_after_a_reload_exactly_the_new_addresses_are_held(
    sockets: HeldSockets, stranger: tuple[int, tuple[Address, ...]]
) -> None:
    pid, (theirs, *_) = stranger
    dropped, kept = loopback(), loopback()
    sockets.hold("web", NGINX, (dropped, kept))
    fd = sockets.held("web")[kept]

    assert sockets.adopt("web", (theirs, kept), pid) == ()

    assert sockets.addresses("web") == (theirs, kept)
    assert sockets.held("web")[kept] == fd
    assert not can_wait(dropped)


def test_what_cannot_be_had_is_told_and_not_held(
    sockets: HeldSockets, stranger: tuple[int, tuple[Address, ...]]
) -> None:
    pid, (theirs, _, unix) = stranger
    nobodys = loopback()

    assert sockets.adopt("web", (nobodys, theirs, unix), pid) == (nobodys, unix)

    assert sockets.addresses("web") == (theirs,)


def test_from_a_process_that_is_gone_nothing_can_be_had(sockets: HeldSockets) -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    address = loopback()

    assert sockets.adopt("web", (address,), process.pid) == (address,)


def test_no_descriptor_is_left_open(sockets: HeldSockets, stranger: tuple[int, tuple[Address, ...]]) -> None:
    pid, theirs = stranger
    before = set(Path("/proc/self/fd").iterdir())

    sockets.adopt("web", (*theirs, loopback()), pid)
    sockets.release("web")

    assert set(Path("/proc/self/fd").iterdir()) == before
