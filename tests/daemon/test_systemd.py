"""What stackd tells systemd, over real sockets with this test in systemd's place."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from supervisor_stack.daemon.systemd import Systemd


@pytest.fixture
def notify(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.setblocking(False)
        yield sock


@pytest.fixture
def systemd(notify: socket.socket) -> Iterator[Systemd]:
    environ = {"NOTIFY_SOCKET": notify.getsockname()}
    systemd = Systemd.from_environ(environ)
    yield systemd
    systemd.close()


def received(notify: socket.socket) -> list[str]:
    messages = []
    while True:
        try:
            messages.append(notify.recv(4096).decode())
        except BlockingIOError:
            return messages


def interval(**environ: str) -> float | None:
    return Systemd.from_environ(environ).watchdog_interval


def test_the_variables_of_systemd_are_taken_out_of_the_environment() -> None:
    environ = {
        "NOTIFY_SOCKET": "/nowhere",
        "WATCHDOG_USEC": "1",
        "WATCHDOG_PID": "1",
        "LISTEN_FDS": "1",
        "LISTEN_PID": "1",
        "LISTEN_PIDFDID": "1",
        "LISTEN_FDNAMES": "x",
        "PATH": "/bin",
    }
    Systemd.from_environ(environ).close()
    assert environ == {"PATH": "/bin"}


def test_ready_comes_with_its_status(systemd: Systemd, notify: socket.socket) -> None:
    systemd.ready("4 services running")
    assert received(notify) == ["READY=1\nSTATUS=4 services running"]


def test_ready_without_a_status(systemd: Systemd, notify: socket.socket) -> None:
    systemd.ready("")
    assert received(notify) == ["READY=1"]


def test_the_same_status_is_sent_once(systemd: Systemd, notify: socket.socket) -> None:
    systemd.ready("running")
    systemd.status("running")
    systemd.status("degraded")
    systemd.status("degraded")
    systemd.status("running")
    assert received(notify) == ["READY=1\nSTATUS=running", "STATUS=degraded", "STATUS=running"]


def test_a_status_cannot_smuggle_an_assignment(systemd: Systemd, notify: socket.socket) -> None:
    systemd.status("a\nMAINPID=1\r\nb")
    assert received(notify) == ["STATUS=a MAINPID=1 b"]


def test_a_stop_is_announced(systemd: Systemd, notify: socket.socket) -> None:
    systemd.stopping()
    assert received(notify) == ["STOPPING=1"]


def test_a_reload_carries_the_monotonic_time(systemd: Systemd, notify: socket.socket) -> None:
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    systemd.reloading()
    after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    (message,) = received(notify)
    state, _, microseconds = message.partition("\nMONOTONIC_USEC=")
    assert state == "RELOADING=1"
    assert before <= int(microseconds) <= after


def test_more_time_is_asked_for_in_microseconds(systemd: Systemd, notify: socket.socket) -> None:
    systemd.extend_timeout(2.5)
    assert received(notify) == ["EXTEND_TIMEOUT_USEC=2500000"]


def test_the_watchdog_is_pinged(systemd: Systemd, notify: socket.socket) -> None:
    systemd.ping()
    systemd.ping()
    assert received(notify) == ["WATCHDOG=1", "WATCHDOG=1"]


def test_an_abstract_socket_is_reached() -> None:
    name = f"stackd-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind("\0" + name)
        notify.setblocking(False)
        systemd = Systemd.from_environ({"NOTIFY_SOCKET": "@" + name})
        systemd.ready("")
        assert received(notify) == ["READY=1"]
        systemd.close()


@pytest.mark.parametrize("address", ["", "vsock:2:1234", "relative"])
def test_without_a_notify_socket_nothing_happens(address: str) -> None:
    systemd = Systemd.from_environ({"NOTIFY_SOCKET": address})
    systemd.ready("up")
    systemd.reloading()
    systemd.status("up")
    systemd.ping()
    systemd.extend_timeout(1)
    systemd.stopping()
    systemd.close()


def test_a_status_that_was_lost_is_sent_again(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    systemd = Systemd.from_environ({"NOTIFY_SOCKET": str(path)})
    systemd.status("starting")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(path))
        notify.setblocking(False)
        systemd.status("starting")
        assert received(notify) == ["STATUS=starting"]
    systemd.close()


def test_a_full_queue_is_not_waited_for_and_the_state_is_said_later(
    systemd: Systemd, notify: socket.socket
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                other.sendto(b"noise", notify.getsockname())
    systemd.ready("up")
    received(notify)
    systemd.ping()
    systemd.ping()
    assert received(notify) == ["READY=1\nWATCHDOG=1", "WATCHDOG=1"]


def test_the_watchdog_is_pinged_twice_in_its_time() -> None:
    assert interval(WATCHDOG_USEC="30000000") == 15.0
    assert interval(WATCHDOG_USEC="30000000", WATCHDOG_PID=str(os.getpid())) == 15.0


def test_the_watchdog_of_another_process_is_none_of_ours() -> None:
    assert interval(WATCHDOG_USEC="30000000", WATCHDOG_PID="1") is None


@pytest.mark.parametrize("microseconds", ["", "0", "-5", "soon"])
def test_without_a_time_nobody_watches(microseconds: str) -> None:
    assert interval(WATCHDOG_USEC=microseconds) is None
    assert interval() is None
