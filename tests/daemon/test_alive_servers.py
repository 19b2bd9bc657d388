"""Asking on, with the real servers: what they show of it, and when they are busy and when they hang."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from supervisor_stack.core.events import AliveAnswered, AliveMissed, Event
from supervisor_stack.daemon.alive import STOPPED
from supervisor_stack.daemon.probe import Prober, ask
from supervisor_stack.daemon.proc import descendants
from supervisor_stack.spec import Address, ProbeSpec
from tests.servers import (
    Server,
    free_port,
    install_mariadb,
    program,
    start_mariadb,
    start_nginx,
    start_redis,
    start_uwsgi,
    wait_until,
)

HANGUP = ProbeSpec(type="hangup", interval=0.02, timeout=0.3, any_answer=True)
PING = ProbeSpec(type="redis", interval=0.02, timeout=0.3, any_answer=True)
PROCESS = ProbeSpec(type="process", interval=0.02)

Next = Callable[[], Awaitable[Event]]


async def no_command(argv: tuple[str, ...], _seconds: float) -> tuple[int, str]:
    raise AssertionError(f"a probe of a numeric address runs {argv}")


def watch(server: Server, spec: ProbeSpec, story: Callable[[Next], Awaitable[None]]) -> None:
    """Watch a server while a story is told; it may ask for the next event."""

    async def tell() -> None:
        events: asyncio.Queue[Event] = asyncio.Queue()
        prober = Prober(events.put_nowait)
        prober.watch("server", 1, spec, server.address, server.process.pid, no_command)
        try:
            await story(lambda: asyncio.wait_for(events.get(), 20))
        finally:
            prober.stop("server")

    asyncio.run(tell())


async def found_stopped(server: Server, next_event: Next) -> None:
    """Stop the main process, wait until that is told, let it go on and wait until that is told."""
    server.process.send_signal(signal.SIGSTOP)
    try:
        # A question that it was asked just before may be missed as well.
        while await next_event() != AliveMissed(service="server", run=1, answer=STOPPED):
            pass
    finally:
        server.process.send_signal(signal.SIGCONT)
    await answers_again(next_event)


async def answers_again(next_event: Next) -> None:
    while not isinstance(await next_event(), AliveAnswered):
        pass


def signal_all(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        os.kill(pid, number)


# nginx.


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Server]:
    port, tls = free_port(), free_port()
    subject = ("-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost")
    files = ("-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem"))
    subprocess.run([program("openssl"), "req", *subject, *files], check=True, capture_output=True)
    servers = f"""
        ssl_certificate {tmp_path}/cert.pem;
        ssl_certificate_key {tmp_path}/key.pem;
        server {{
            listen 127.0.0.1:{port};
            listen 127.0.0.1:{tls} ssl http2;
            listen unix:{tmp_path}/web.sock;
            return 200 {tls};
        }}
    """
    with start_nginx(tmp_path, port, servers) as server:
        yield server


def test_nginx_answers_a_hangup_at_every_socket_and_logs_nothing(nginx: Server, tmp_path: Path) -> None:
    with socket.create_connection((nginx.address.host, nginx.address.port)) as visitor:
        visitor.sendall(b"GET /visit HTTP/1.0\r\n\r\n")
        tls = int(visitor.makefile().read().split()[-1])
    sockets = (nginx.address, Address(host="127.0.0.1", port=tls), Address(path=f"{tmp_path}/web.sock"))
    for address in sockets:
        for _ in range(3):
            assert asyncio.run(ask(HANGUP, address, run_command=no_command)) == ""
    nginx.stop()
    assert (tmp_path / "access.log").read_text().splitlines() == ["/visit 200 5"]
    assert (tmp_path / "error.log").read_text() == ""


def test_nginx_whose_workers_are_stopped_gives_no_sign_of_life(nginx: Server) -> None:
    async def story(next_event: Next) -> None:
        workers = descendants(nginx.process.pid)
        signal_all(workers, signal.SIGSTOP)
        miss = await next_event()
        assert isinstance(miss, AliveMissed)
        assert miss.answer == f"{nginx.address}: no answer within 0.3 s"
        signal_all(workers, signal.SIGCONT)
        await answers_again(next_event)

    watch(nginx, HANGUP, story)


def test_nginx_whose_master_is_stopped_gives_no_sign_of_life(nginx: Server) -> None:
    async def story(next_event: Next) -> None:
        await found_stopped(nginx, next_event)

    watch(nginx, HANGUP, story)


# Redis.


def command(redis: Server, words: str) -> bytes:
    with socket.create_connection((redis.address.host, redis.address.port)) as client:
        client.sendall(f"{words}\r\nQUIT\r\n".encode())
        return b"".join(iter(lambda: client.recv(65536), b""))


async def is_quiet_while(redis: Server, words: str, next_event: Next) -> bool:
    """Whether nothing is posted while Redis carries out a command."""
    event = asyncio.ensure_future(next_event())
    await asyncio.to_thread(command, redis, words)
    quiet = not event.done()
    event.cancel()
    return quiet


def test_redis_that_saves_is_not_taken_for_one_that_hangs(tmp_path: Path) -> None:
    # Microseconds for each key: it writes now and then, and sleeps in between.
    with start_redis(tmp_path, free_port(), "--rdb-key-save-delay", "500") as redis:
        fill = "for i = 1, 2000 do redis.call('SET', 'key' .. i, string.rep('x', 200)) end"
        assert command(redis, f'EVAL "{fill}" 0').startswith(b"$-1")

        async def story(next_event: Next) -> None:
            assert await is_quiet_while(redis, "SAVE", next_event)

        watch(redis, PING, story)


def test_redis_that_computes_is_not_taken_for_one_that_hangs(tmp_path: Path) -> None:
    with start_redis(tmp_path, free_port()) as redis:

        async def story(next_event: Next) -> None:
            count = "local n = 0; while n < 80000000 do n = n + 1 end"
            assert await is_quiet_while(redis, f'EVAL "{count}" 0', next_event)

        watch(redis, PING, story)


def test_redis_that_does_nothing_and_does_not_answer_hangs(tmp_path: Path) -> None:
    with start_redis(tmp_path, free_port(), "--enable-debug-command", "yes") as redis:

        async def story(next_event: Next) -> None:
            sleeping = asyncio.create_task(asyncio.to_thread(command, redis, "DEBUG SLEEP 1"))
            miss = await next_event()
            assert isinstance(miss, AliveMissed)
            assert miss.answer == f"{redis.address}: no answer within 0.3 s"
            await sleeping
            await answers_again(next_event)

        watch(redis, PING, story)


def test_redis_that_is_stopped_in_the_middle_of_its_work_gives_no_sign_of_life(tmp_path: Path) -> None:
    with start_redis(tmp_path, free_port()) as redis:

        async def story(next_event: Next) -> None:
            count = "local n = 0; while n < 20000000 do n = n + 1 end"
            working = asyncio.create_task(asyncio.to_thread(command, redis, f'EVAL "{count}" 0'))
            await asyncio.sleep(PING.interval)
            await found_stopped(redis, next_event)
            await working

        watch(redis, PING, story)


# uWSGI and MariaDB.

SLEEPY = """
import time
def application(environ, start_response):
    time.sleep(1)
    start_response("200 OK", [])
    return [b"at last"]
"""


def test_uwsgi_whose_workers_are_all_busy_is_not_taken_for_one_that_hangs(tmp_path: Path) -> None:
    with start_uwsgi(tmp_path, free_port(), SLEEPY, "--master", "--processes=1") as uwsgi:

        async def story(next_event: Next) -> None:
            event = asyncio.ensure_future(next_event())
            request = ProbeSpec(type="uwsgi", expect=(200,), timeout=20)
            # Two, on one worker: the second waits for all of the first.
            asking = (ask(request, uwsgi.address, run_command=no_command) for _ in range(2))
            assert await asyncio.gather(*asking) == ["", ""]
            assert not event.done()
            event.cancel()
            await found_stopped(uwsgi, next_event)

        watch(uwsgi, PROCESS, story)


def test_mariadb_is_watched_without_a_trace(tmp_path: Path) -> None:
    datadir = install_mariadb(tmp_path / "installed")
    with start_mariadb(tmp_path / "run", datadir, free_port(), "--log-warnings=9") as mariadb:
        # The connection by which its start was noticed leaves one, some time later.
        wait_until(lambda: mariadb.log.read_text().count("Aborted") == 1, "the start has left its trace")

        async def story(next_event: Next) -> None:
            await found_stopped(mariadb, next_event)

        watch(mariadb, PROCESS, story)
        mariadb.stop()
        assert mariadb.log.read_text().count("Aborted") == 1
