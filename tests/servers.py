"""The real servers, started for a test, and peers that behave badly.

Each `start_*` returns when the server accepts connections, and fails with the server's own words when
it does not. A Server is a context manager that ends it.
"""

from __future__ import annotations

import asyncio
import atexit
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cache
from itertools import cycle, islice
from pathlib import Path
from types import TracebackType
from typing import Self

from supervisor_stack.spec import Address

# Below the ephemeral range, so that no outgoing connection takes one between the choice and the bind.
PORTS = range(21100, 21200)
PORTS_OF_A_PROCESS = 10
DEADLINE = 20.0
LOOPBACK = Address(host="127.0.0.1")


def free_port() -> int:
    """A TCP port of loopback that nobody uses now, and that the next nine calls do not return."""
    for port in islice(_own_ports(), PORTS_OF_A_PROCESS):
        with socket.socket() as sock, suppress(OSError):
            # As the servers do: a port whose last connections are in TIME_WAIT is free.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("127.0.0.1", port))
            return port
    raise AssertionError(f"no free port in {PORTS}")


@cache
def _own_ports() -> Iterator[int]:
    """The ports of this process, in turn: no other process of the tests takes them until it ends."""
    for first in PORTS[::PORTS_OF_A_PROCESS]:
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0stackd-test-ports-{first}")
        except OSError:
            claim.close()
        else:
            atexit.register(claim.close)
            return cycle(range(first, first + PORTS_OF_A_PROCESS))
    raise AssertionError("too many processes run tests at the same time")


def wait_until(fact: Callable[[], bool], what: str, deadline: float = DEADLINE) -> None:
    """Wait for something that has to come true."""
    end = time.monotonic() + deadline
    while not fact():
        assert time.monotonic() < end, f"waited {deadline:g} s in vain: {what}"
        time.sleep(0.005)


@dataclass
class Server:
    """A running server; `address` is where to ask it, `log` what it prints."""

    process: subprocess.Popen[bytes]
    address: Address
    log: Path
    stop_signal: signal.Signals = signal.SIGTERM

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End it, by force if it has to be."""
        self.process.send_signal(self.stop_signal)
        try:
            self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start_server(
    folder: Path,
    address: Address,
    argv: Sequence[str],
    stop_signal: signal.Signals = signal.SIGTERM,
    *,
    wait: bool = True,
) -> Server:
    """Start any server; without `wait` it is not yet listening."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{Path(argv[0]).name}.out"
    with log.open("wb") as output:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder, start_new_session=True
        )
    server = Server(process, address, log, stop_signal)

    def is_up() -> bool:
        assert process.poll() is None, log.read_text(errors="replace")
        return accepts(address)

    if wait:
        try:
            wait_until(is_up, f"{argv[0]} listens on {address}")
        except BaseException:
            server.stop()
            raise
    return server


def accepts(address: Address) -> bool:
    """Whether somebody listens there."""
    family = socket.AF_UNIX if address.path else socket.AF_INET
    with socket.socket(family) as sock:
        sock.settimeout(DEADLINE)
        return sock.connect_ex(address.path or (address.host, address.port)) == 0


def start_nginx(folder: Path, port: int, servers: str) -> Server:
    """nginx in the foreground; `servers` is what stands in its http block, beside the logs."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = "".join(
        f"  {name}_temp_path {folder}/temp;\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        # The workers read files in a directory of pytest, which is for its own user only.
        f"user {getpass.getuser()};\n"
        f"daemon off;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\n"
        "events { worker_connections 64; }\n"
        f"http {{\n{temporary}"
        f"  log_format short '$request_uri $status $body_bytes_sent';\n"
        f"  access_log {folder}/access.log short;\n{servers}\n}}\n"
    )
    argv = (program("nginx"), "-p", str(folder), "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf")
    return start_server(folder, Address(host="127.0.0.1", port=port), argv, signal.SIGQUIT)


def start_redis(folder: Path, port: int, *options: str, wait: bool = True) -> Server:
    """Redis with its dataset in the folder; saves only when told."""
    argv = (program("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder))
    server = Address(host="127.0.0.1", port=port)
    return start_server(folder, server, (*argv, "--save", "", *options), wait=wait)


def install_mariadb(folder: Path) -> Path:
    """A data directory, of which tests take copies: making one takes most of a second."""
    install = (
        program("mariadb-install-db"),
        "--no-defaults",
        f"--user={getpass.getuser()}",
        f"--datadir={folder}",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
        "--innodb-log-file-size=4M",
    )
    subprocess.run(install, check=True, capture_output=True, cwd=folder.parent)
    return folder


def start_mariadb(folder: Path, datadir: Path, port: int, *options: str, wait: bool = True) -> Server:
    """MariaDB on a copy of the data directory; its unix socket is `mysqld.sock` in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(datadir, folder / "data")
    argv = (
        program("mariadbd"),
        "--no-defaults",
        f"--user={getpass.getuser()}",
        f"--datadir={folder}/data",
        f"--socket={folder}/mysqld.sock",
        f"--pid-file={folder}/mysqld.pid",
        f"--port={port}",
        "--bind-address=127.0.0.1",
        "--innodb-log-file-size=4M",
        "--innodb-buffer-pool-size=8M",
    )
    server = start_server(folder, Address(host="127.0.0.1", port=port), (*argv, *options), wait=wait)
    if wait:
        # It listens before, and SIGTERM may leave it waiting for itself until it has said so (10.11).
        wait_until(
            lambda: "ready for connections" in server.log.read_text(errors="replace"), "mariadbd is ready"
        )
    return server


def start_uwsgi(folder: Path, port: int, application: str, *options: str) -> Server:
    """uWSGI speaking its own protocol; `application` is the source of a module.

    Without `--master` one process serves, which leaves at once; a master takes a second for that.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "site_under_test.py").write_text(application)
    argv = (
        str(Path(sys.executable).with_name("uwsgi")),
        f"--socket=127.0.0.1:{port}",
        f"--pythonpath={folder}",
        "--module=site_under_test:application",
    )
    address = Address(host="127.0.0.1", port=port)
    return start_server(folder, address, (*argv, *options), signal.SIGINT)


def program(name: str) -> str:
    """The path of a program, also of one in a directory for administrators."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    assert path, f"{name} is not installed"
    return path


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def peer(talk: Talk, address: Address = LOOPBACK) -> AsyncIterator[Address]:
    """A server that treats each connection as `talk` does, then closes it."""
    loop = asyncio.get_running_loop()
    accepted: list[socket.socket] = []
    tasks: list[asyncio.Task[None]] = []

    async def serve(connection: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=connection)
        try:
            await talk(reader, writer)
            writer.close()
            await writer.wait_closed()
        except (ConnectionError, asyncio.CancelledError):
            writer.transport.abort()

    def accept(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        accepted.append(connection)
        tasks.append(loop.create_task(serve(connection)))

    with listening(address) as listener:
        loop.add_reader(listener, accept, listener)
        host, port = ("", 0) if address.path else listener.getsockname()[:2]
        try:
            yield Address(host=host, port=port, path=address.path)
        finally:
            loop.remove_reader(listener)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            # A transport that was aborted closes in the next turn of the loop.
            await asyncio.sleep(0)
            for connection in accepted:
                connection.close()


def listening(address: Address = LOOPBACK) -> socket.socket:
    """A listening socket from which nobody accepts."""
    if address.path:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(address.path)
    else:
        listener = socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address.host, address.port))
    listener.setblocking(False)
    listener.listen()
    return listener


def says(words: bytes) -> Talk:
    """Reads what comes first, answers with these words and leaves."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(words)
        await writer.drain()

    return talk


async def hangs_up(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Closes at once."""


def greets(words: bytes) -> Talk:
    """Speaks first, then waits for the other side to leave."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(words)
        await reader.read()

    return talk
