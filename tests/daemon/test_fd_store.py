"""Descriptors that outlive stackd: handed to systemd, handed to itself, and taken back."""

from __future__ import annotations

import array
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from supervisor_stack.daemon.fd_store import FdStore, handed_over, name_of
from supervisor_stack.daemon.systemd import Systemd


@pytest.fixture
def notify(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(5)
        yield sock


def received(notify: socket.socket) -> tuple[list[str], list[int]]:
    message, ancillary, _, _ = notify.recvmsg(4096, socket.CMSG_SPACE(16))
    fds = array.array("i")
    for _, _, content in ancillary:
        fds.frombytes(content)
    return message.decode().split("\n"), list(fds)


def test_what_is_kept_goes_to_systemd_and_what_is_dropped_is_closed_there(notify: socket.socket) -> None:
    systemd = Systemd.from_environ({"NOTIFY_SOCKET": notify.getsockname()})
    store = FdStore(systemd, {})
    with socket.create_server(("127.0.0.1", 0)) as listener:
        store.keep("socket/web", listener.fileno())
        words, (fd,) = received(notify)
        with socket.socket(fileno=fd) as copy:
            assert copy.getsockname() == listener.getsockname()
        assert words == ["FDSTORE=1", "FDNAME=socket/web", "FDPOLL=0"]

        store.drop("socket/web")
        assert received(notify) == (["FDSTOREREMOVE=1", "FDNAME=socket/web"], [])
    systemd.close()


def test_what_systemd_has_no_room_for_goes_later_and_in_order(notify: socket.socket) -> None:
    systemd = Systemd.from_environ({"NOTIFY_SOCKET": notify.getsockname()})
    store = FdStore(systemd, {})
    read, write = os.pipe()
    kept = [f"FDNAME=pipe/{number}" for number in range(600)]  # unix(7): max_dgram_qlen is 10 to 512
    for name in kept:
        store.keep(name.removeprefix("FDNAME="), read)
    names: list[str] = []
    while len(names) < len(kept):
        words, fds = received(notify)
        names += [word for word in words if word.startswith("FDNAME")]
        for fd in fds:
            os.close(fd)
        systemd.ping()

    assert names == kept
    os.close(read)
    os.close(write)
    systemd.close()


def test_names_have_nothing_that_systemd_refuses() -> None:
    name = name_of("socket", "web", "unix:/run/ä b:c.sock")

    assert name == "socket/web/unix%3a%2frun%2f%c3%a4%20b%3ac.sock"
    assert name_of("socket", "web", "[::]:80") != name_of("socket", "web", "[::1]:80")


TAKE = """
import os, sys
from supervisor_stack.daemon.fd_store import FdStore, handed_over
from supervisor_stack.daemon.systemd import Systemd
environ = dict(os.environ)
if "LISTEN_FDS" in environ:
    environ["LISTEN_PID"] = str(os.getpid() if environ["LISTEN_PID"] == "own" else 1)
systemd = Systemd.from_environ(environ)
store = FdStore(systemd, handed_over(environ, systemd))
assert not [name for name in environ if name.startswith(("LISTEN", "STACKD"))]
for name in sys.argv[1:]:
    fd = store.take(name)
    print(name, fd is not None and not os.get_inheritable(fd) and fd >= 100 and os.read(fd, 100))
store.close_rest()
"""


def take(environ: dict[str, str], fds: list[int], *names: str) -> list[str]:
    """What a new program finds of these descriptors."""
    argv = [sys.executable, "-c", TAKE, *names]
    done = subprocess.run(
        argv, env=os.environ | environ, pass_fds=fds, capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def pipe_with(text: bytes) -> int:
    read, write = os.pipe()
    os.write(write, text)
    os.close(write)
    return read


def test_what_this_program_hands_to_the_next_is_taken_there_by_name() -> None:
    one, two = pipe_with(b"one"), pipe_with(b"two")
    store = FdStore(Systemd(), {})
    store.keep("pipe/one", one)
    store.keep("pipe/two", two)
    environ: dict[str, str] = {}
    store.hand_over(environ)
    os.close(one)  # its owner may be gone before the program is executed
    os.close(two)
    table = int(environ["STACKD_FDS"])
    words = os.pread(table, 1000, 0).decode().split()
    copies = [table, *(int(word.rpartition("=")[2]) for word in words)]

    found = take(environ, copies, "pipe/two", "pipe/three", "pipe/one")

    assert found[:3] == ["pipe/two b'two'", "pipe/three False", "pipe/one b'one'"]
    for fd in copies:
        os.close(fd)


def in_systemds_place(environ: dict[str, str], *names: str) -> list[str]:
    """The same with descriptors from 3 on, as systemd passes them."""
    fd = pipe_with(b"kept")
    script = f'exec 3<&{fd} 4<&{fd}; exec "$@"'
    argv = ["bash", "-c", script, "bash", sys.executable, "-c", TAKE, *names]
    done = subprocess.run(
        argv, env=os.environ | environ, pass_fds=[fd], capture_output=True, text=True, check=False, timeout=30
    )
    os.close(fd)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_what_systemd_kept_is_taken_by_name() -> None:
    given = {"LISTEN_FDS": "2", "LISTEN_FDNAMES": "socket/a:socket/b", "LISTEN_PID": "own"}

    assert in_systemds_place(given, "socket/b")[0] == "socket/b b'kept'"


def test_descriptors_for_another_process_are_not_taken() -> None:
    given = {"LISTEN_FDS": "2", "LISTEN_FDNAMES": "socket/a:socket/b", "LISTEN_PID": "1"}

    assert in_systemds_place(given, "socket/b")[0] == "socket/b False"


def test_what_nobody_takes_is_closed_and_told(caplog: pytest.LogCaptureFixture) -> None:
    fd = pipe_with(b"x")
    store = FdStore(Systemd(), {"socket/gone": fd})

    store.close_rest()

    assert "socket/gone was handed over, and nothing here needs it" in caplog.text
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_a_variable_that_is_not_true_hands_over_nothing() -> None:
    for words in ("987", "nonsense", "-1"):
        assert handed_over({"STACKD_FDS": words}, Systemd()) == {}


def test_thousands_of_descriptors_are_no_variable_that_is_too_long() -> None:
    fd = pipe_with(b"x")
    store = FdStore(Systemd(), {})
    for number in range(3000):
        store.keep(name_of("socket", f"service-{number}", f"127.0.0.1:{number}"), fd)
    environ: dict[str, str] = {}

    with room_for_descriptors(8000):
        store.hand_over(environ)
        table = int(environ["STACKD_FDS"])
        words = os.pread(table, 2**20, 0).decode().split()
        for word in words:
            os.close(int(word.rpartition("=")[2]))
        os.close(table)

    assert len(words) == 3000
    assert len(environ["STACKD_FDS"]) < 10
    os.close(fd)


@contextmanager
def room_for_descriptors(soft: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, before[0]), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_nothing_stays_open_where_systemd_is_gone(tmp_path: Path) -> None:
    systemd = Systemd.from_environ({"NOTIFY_SOCKET": f"{tmp_path}/nobody"})
    store = FdStore(systemd, {})
    fd = pipe_with(b"x")
    before = len(list(Path("/proc/self/fd").iterdir()))

    for number in range(10):
        store.keep(f"pipe/{number}", fd)

    assert len(list(Path("/proc/self/fd").iterdir())) == before
    os.close(fd)
    systemd.close()
