"""Stackds that others may talk to: other users of this machine, and other machines by a key."""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from supervisor_stack.config.keys import read_pair, read_public
from supervisor_stack.control.client import StackClient
from supervisor_stack.control.curve import CurveKeys
from tests.cli.shop import DEADLINE, STACKCTL, Ran, environment, stackctl
from tests.stack import RunningStack

SERVICES = """
[services.db]
command = ["sleep", "1000"]

[services.web]
command = ["sleep", "1000"]
requires = ["db"]
"""

# He gets to the checkout, wherever it is. To open a socket takes the right to write, which this is not.
_CAPABILITIES = "-all,+dac_read_search"


def somebody(user: str, groups: tuple[int, ...], *words: str | Path) -> list[str]:
    """The command line of stackctl as a user runs it, with these supplementary groups and no others."""
    assert os.geteuid() == 0, "only root can act for another user"
    entry = pwd.getpwnam(user)
    return [
        "setpriv",
        f"--reuid={entry.pw_uid}",
        f"--regid={entry.pw_gid}",
        f"--groups={','.join(map(str, groups))}" if groups else "--clear-groups",
        *(f"--{which}={_CAPABILITIES}" for which in ("inh-caps", "ambient-caps", "bounding-set")),
        *STACKCTL,
        *map(str, words),
    ]


def as_user(user: str, *words: str | Path, groups: tuple[int, ...] = ()) -> Ran:
    """Run it so, to its end."""
    ran = subprocess.run(
        somebody(user, groups, *words),
        capture_output=True,
        encoding="utf-8",
        env=environment(),
        timeout=DEADLINE,
        check=False,
    )
    return Ran(ran.returncode, ran.stdout, ran.stderr)


def free_ports(count: int = 2) -> list[int]:
    """Ports that nobody uses now."""
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in taken]
    for each in taken:
        each.close()
    return ports


class NetworkStack(RunningStack):
    """A stackd that listens to the network, with a key of its own; `admit` comes before it is started."""

    def __init__(self, folder: Path, toml: str = SERVICES) -> None:
        folder.mkdir(exist_ok=True)
        self.port, self.events_port = free_ports()
        self.keys = folder / "keys"
        network = (
            f'[control.network]\nlisten = "tcp://127.0.0.1:{self.port}"\n'
            f'events = "tcp://127.0.0.1:{self.events_port}"\n'
        )
        super().__init__(folder, network + toml)
        assert stackctl("-c", self.config, "keygen", "--server").code == 0

    def admit(self, name: str, role: str) -> Path:
        """Make a key that has a role; returns the file of its secret half."""
        assert stackctl("-c", self.config, "keygen", name, "--role", role).code == 0
        return self.keys / f"{name}.key_secret"

    def __enter__(self) -> Self:
        before = self._openings()
        super().__enter__()
        end = time.monotonic() + DEADLINE
        while self._openings() == before:  # by the one that was started now
            assert time.monotonic() < end, f"stackd does not listen:\n{self.output.read_text()}"
            time.sleep(0.005)
        return self

    def _openings(self) -> int:
        return self.output.read_text().count("listening on tcp://") if self.output.exists() else 0

    @property
    def endpoint(self) -> str:
        """Where it is reached."""
        return f"tcp://127.0.0.1:{self.port}"

    def keys_of(self, secret: Path) -> CurveKeys:
        """What a client of its has."""
        return CurveKeys(read_public(self.keys / "server.key"), *read_pair(secret))

    def connect(self, secret: Path, timeout: float = 5.0) -> StackClient:
        """A client that has this key."""
        return StackClient(self.endpoint, timeout, self.keys_of(secret))


class Connection:
    """What was said on a connection."""

    def __init__(self) -> None:
        self.asked = bytearray()
        self.answered = bytearray()
        self.hung_up = threading.Event()
        """By stackd."""


class Proxy:
    """Stands between a client and a stackd, and records what each says.

    `StackClient` opens a plain connection before its own, to see whether anybody is there.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.connections: list[Connection] = []
        self.is_cut = False
        """Nothing gets through any more, and nobody is told: a cable was pulled."""
        self._sockets: list[socket.socket] = []
        self._came = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in (self._server, *self._sockets):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it is closed already
        for thread in self._threads:
            thread.join()
        for each in (self._server, *self._sockets):
            each.close()

    def first(self) -> Connection:
        """The first connection, when there is one."""
        assert self._came.wait(DEADLINE), "nobody came"
        return self.connections[0]

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            stackd = socket.create_connection(("127.0.0.1", self._target))
            self._sockets += [client, stackd]
            connection = Connection()
            self.connections.append(connection)
            self._came.set()
            for source, sink, record, ended in (
                (client, stackd, connection.asked, threading.Event()),
                (stackd, client, connection.answered, connection.hung_up),
            ):
                thread = threading.Thread(target=self._copy, args=(source, sink, record, ended))
                self._threads.append(thread)
                thread.start()

    def _copy(
        self, source: socket.socket, sink: socket.socket, record: bytearray, ended: threading.Event
    ) -> None:
        try:
            while data := source.recv(65536):
                record += data
                if not self.is_cut:
                    sink.sendall(data)
        except OSError:
            pass  # closed by the other side, or by the end of the test
        ended.set()
        if not self.is_cut:
            try:
                sink.shutdown(socket.SHUT_WR)
            except OSError:
                return
