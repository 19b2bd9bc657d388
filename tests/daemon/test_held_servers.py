"""The real servers on held sockets: what a client notices of their death is that it waits."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from supervisor_stack.daemon.held import HeldSockets
from supervisor_stack.daemon.lend import lend
from supervisor_stack.kinds import mysqld, nginx
from supervisor_stack.kinds.base import Facts, Kind
from supervisor_stack.spec import Address
from tests.daemon.waiting import can_wait, connect, loopback
from tests.kinds.nginx_site import report_of, write_site
from tests.kinds.real import given_on_disk
from tests.kinds.test_mysqld_server import write_cnf
from tests.servers import install_mariadb, program, wait_until


class Runs:
    """Runs of one server on the sockets that are held for it; whatever is left of them ends with the test."""

    def __init__(self, kind: Kind, facts: Facts, sockets: HeldSockets, folder: Path) -> None:
        self._kind, self._facts, self._sockets, self._folder = kind, facts, sockets, folder
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        """Another run, beside those that there are."""
        assert self._facts.hold is not None
        loan = lend(self._facts.hold, self._sockets.held("server"))
        with (self._folder / "output").open("ab") as output:
            process = subprocess.Popen(
                (*loan.argv, *self._facts.argv),
                env={**os.environ, **self._kind.env, **loan.env},
                pass_fds=loan.fds,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._started.append(process)
        return process

    def kill_all(self) -> None:
        """Nothing of it is left, as after a crash of all of it."""
        for process in self._started:
            for pid in psutil.pids():
                if _session(pid) == process.pid:
                    os.kill(pid, signal.SIGKILL)
            process.wait()
        self._started.clear()


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0


@contextmanager
def runs_of(kind: Kind, facts: Facts, sockets: HeldSockets, folder: Path) -> Iterator[Runs]:
    runs = Runs(kind, facts, sockets, folder)
    try:
        yield runs
    finally:
        runs.kill_all()


@contextmanager
def nginx_runs(config: Path, sockets: HeldSockets) -> Iterator[Runs]:
    """nginx on all sockets that its configuration names."""
    facts = nginx.learn(given_on_disk(config, program("nginx")))
    assert facts.hold is not None
    sockets.hold("server", facts.hold, report_of(config).hold)
    with runs_of(nginx.KIND, facts, sockets, config.parent) as runs:
        yield runs


def ask(address: Address) -> socket.socket:
    """A client with a request, which may have to wait."""
    client = connect(address)
    client.sendall(b"GET / HTTP/1.0\r\n\r\n")
    return client


def is_answered(client: socket.socket) -> bool:
    """Whether nginx answers with an empty page."""
    with client:
        return client.recv(100).startswith(b"HTTP/1.1 204 ")


def workers(master: subprocess.Popen[bytes]) -> list[int]:
    """The workers of an nginx; it has one."""
    wait_until(lambda: bool(psutil.Process(master.pid).children()), "nginx has a worker")
    return [child.pid for child in psutil.Process(master.pid).children()]


def test_clients_of_a_killed_nginx_are_served_by_the_next_run(sockets: HeldSockets, tmp_path: Path) -> None:
    ipv4, ipv6 = loopback(), Address(host="::", port=loopback().port, dual=True)
    unix = Address(path=f"{tmp_path}/site.sock")
    config = write_site(
        tmp_path,
        f"server {{ listen {ipv4}; listen {ipv6} ipv6only=off; listen {unix} backlog=7; return 204; }}",
    )

    with nginx_runs(config, sockets) as runs:
        assert set(sockets.addresses("server")) == {ipv4, ipv6, unix}
        runs.start()
        assert all(is_answered(ask(address)) for address in (ipv4, ipv6.dial, unix))
        runs.kill_all()
        clients = [
            ask(address) for address in (ipv4, ipv6.dial, unix, Address(host="127.0.0.1", port=ipv6.port))
        ]
        runs.start()

        assert all(map(is_answered, clients))


def test_an_nginx_without_its_master_serves_until_the_next_run_does(
    sockets: HeldSockets, tmp_path: Path
) -> None:
    tcp, unix = loopback(), Address(path=f"{tmp_path}/site.sock")
    config = write_site(tmp_path, f"server {{ listen {tcp}; listen {unix}; return 204; }}")

    with nginx_runs(config, sockets) as runs:
        old = runs.start()
        (orphan,) = workers(old)
        old.kill()
        old.wait()
        assert is_answered(ask(tcp))
        new = runs.start()
        workers(new)
        os.kill(orphan, signal.SIGQUIT)
        wait_until(lambda: not _is_alive(orphan), "the orphan leaves")

        assert is_answered(ask(tcp))
        assert is_answered(ask(unix))
        assert (tmp_path / "nginx.pid").read_text() == f"{new.pid}\n"


def _is_alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_the_held_set_follows_a_reload(sockets: HeldSockets, tmp_path: Path) -> None:
    kept, dropped, added = loopback(), loopback(), loopback()
    old = Address(path=f"{tmp_path}/old.sock")
    config = write_site(tmp_path, f"server {{ listen {kept}; listen {dropped}; listen {old}; return 204; }}")

    with nginx_runs(config, sockets) as runs:
        master = runs.start()
        before = workers(master)
        write_site(tmp_path, f"server {{ listen {kept}; listen {added}; return 204; }}")
        report = report_of(config)
        master.send_signal(signal.SIGHUP)
        wait_until(lambda: bool(set(workers(master)) - set(before)), "nginx has a new worker")

        assert sockets.adopt("server", report.hold, master.pid) == ()

        assert set(sockets.addresses("server")) == {kept, added}
        wait_until(lambda: not can_wait(dropped), "the old worker has let go of its socket")
        assert not can_wait(old)
        runs.kill_all()
        clients = [ask(address) for address in (kept, added)]
        runs.start()
        assert all(map(is_answered, clients))


def test_an_nginx_that_leaves_takes_the_file_of_a_socket_with_it_that_it_opened_itself(
    sockets: HeldSockets, tmp_path: Path
) -> None:
    inherited, opened = Address(path=f"{tmp_path}/one"), Address(path=f"{tmp_path}/two")
    config = write_site(tmp_path, f"server {{ listen {inherited}; return 204; }}")

    with nginx_runs(config, sockets) as runs:
        master = runs.start()
        workers(master)
        write_site(tmp_path, f"server {{ listen {inherited}; listen {opened}; return 204; }}")
        master.send_signal(signal.SIGHUP)
        wait_until(lambda: can_wait(opened), "nginx listens there too")
        assert sockets.adopt("server", (inherited, opened), master.pid) == (opened,)
        master.send_signal(signal.SIGQUIT)
        master.wait()

        assert can_wait(inherited)
        assert not can_wait(opened)


@pytest.fixture(scope="module")
def datadir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a MariaDB with its system tables."""
    folder = tmp_path_factory.mktemp("mariadb")
    install_mariadb(folder / "data")
    return folder


def test_clients_of_a_killed_mariadb_are_served_by_the_next_run(sockets: HeldSockets, datadir: Path) -> None:
    tcp, unix = loopback(), Address(path=f"{datadir}/data/mysqld.sock")
    facts = mysqld.learn(given_on_disk(write_cnf(datadir, tcp.port), program("mariadbd")))
    assert facts.hold is not None
    assert facts.hold.addresses == (tcp, unix)
    sockets.hold("server", facts.hold, facts.hold.addresses)
    assert stat.S_IMODE(os.lstat(unix.path).st_mode) == 0o777

    with runs_of(mysqld.KIND, facts, sockets, datadir) as runs, ExitStack() as stack:
        runs.start()
        assert is_greeted(connect(unix))
        runs.kill_all()
        clients = [stack.enter_context(connect(address)) for address in (tcp, unix)]
        runs.start()

        assert all(map(is_greeted, clients))


def test_a_stopped_mariadb_leaves_the_held_socket_where_it_is(sockets: HeldSockets, datadir: Path) -> None:
    tcp, unix = loopback(), Address(path=f"{datadir}/data/mysqld.sock")
    facts = mysqld.learn(given_on_disk(write_cnf(datadir, tcp.port), program("mariadbd")))
    assert facts.hold is not None
    sockets.hold("server", facts.hold, (tcp, unix))

    with runs_of(mysqld.KIND, facts, sockets, datadir) as runs:
        server = runs.start()
        assert is_greeted(connect(unix))
        server.terminate()
        assert server.wait() == 0

        assert can_wait(unix)
        assert can_wait(tcp)


def is_greeted(client: socket.socket) -> bool:
    """Whether MariaDB speaks, as it does first (protocol version 10)."""
    with client:
        return client.recv(5)[4:] == b"\n"
