"""One attempt, against the real servers in their good and in their bad hours."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from supervisor_stack.core.events import BecameReady, Event, ProbeFailed
from supervisor_stack.daemon.probe import Prober, ask
from supervisor_stack.spec import Address, ProbeSpec
from tests.servers import (
    Server,
    free_port,
    install_mariadb,
    start_mariadb,
    start_nginx,
    start_redis,
    start_uwsgi,
    wait_until,
)

WORD = "12 '345\""


async def no_command(argv: tuple[str, ...], _seconds: float) -> tuple[int, str]:
    raise AssertionError(f"a probe of a numeric address runs {argv}")


def answer(spec: ProbeSpec, address: Address) -> str:
    return asyncio.run(ask(spec, address, run_command=no_command))


def follow(spec: ProbeSpec, address: Address) -> list[Event]:
    """What a Prober posts until the server is ready."""

    async def until_ready() -> list[Event]:
        events: list[Event] = []
        ready = asyncio.Event()

        def post(event: Event) -> None:
            events.append(event)
            if isinstance(event, BecameReady):
                ready.set()

        Prober(post).start("server", 1, spec, address, no_command)
        await asyncio.wait_for(ready.wait(), 20)
        return events

    return asyncio.run(until_ready())


def first_words_of_the_last(count: int, server: Server, clients: ExitStack, request: bytes = b"") -> bytes:
    """Connect so many clients, each when the one before it has heard something."""
    words = b""
    for _ in range(count):
        client = clients.enter_context(socket.create_connection((server.address.host, server.address.port)))
        client.sendall(request)
        words = client.recv(200)
    return words


# nginx.


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Server]:
    port = free_port()
    (tmp_path / "large").write_bytes(b"x" * 800_000)
    servers = f"""
        server {{ listen 127.0.0.1:{port} default_server; return 444; }}
        server {{ listen 127.0.0.1:{port}; server_name example.org; root {tmp_path};
                  location = /busy {{ return 503; }} }}
    """
    with start_nginx(tmp_path, port, servers) as server:
        yield server


def test_nginx_is_ready_when_it_answers_for_the_site(nginx: Server) -> None:
    assert answer(ProbeSpec(type="http", host="example.org", path="/large"), nginx.address) == ""


def test_nginx_is_ready_with_any_status(nginx: Server) -> None:
    assert answer(ProbeSpec(type="http", host="example.org", path="/missing"), nginx.address) == ""


def test_nginx_is_not_ready_with_a_status_that_is_not_expected(nginx: Server) -> None:
    spec = ProbeSpec(type="http", host="example.org", path="/busy", expect=(200,))
    assert answer(spec, nginx.address) == "answered 503"


def test_nginx_that_hangs_up_on_unknown_names_says_so(nginx: Server) -> None:
    words = f"{nginx.address}: it closed the connection without an answer"
    assert answer(ProbeSpec(type="http"), nginx.address) == words


def test_nginx_logs_a_probe_as_a_whole_request(nginx: Server, tmp_path: Path) -> None:
    answer(ProbeSpec(type="http", host="example.org", path="/large"), nginx.address)
    log = tmp_path / "access.log"
    wait_until(lambda: log.read_text().endswith("\n"), "the request is logged")
    assert log.read_text() == "/large 200 800000\n"


# Redis.


def test_redis_is_ready_when_it_says_pong(tmp_path: Path) -> None:
    with start_redis(tmp_path, free_port()) as redis:
        assert follow(ProbeSpec(type="redis"), redis.address)[-1] == BecameReady(service="server", run=1)


@pytest.mark.parametrize("password", ["", "wrong", WORD])
def test_redis_is_ready_whether_or_not_the_password_is_right(tmp_path: Path, password: str) -> None:
    with start_redis(tmp_path, free_port(), "--requirepass", WORD) as redis:
        follow(ProbeSpec(type="redis", password=password), redis.address)


def test_redis_is_ready_although_it_has_no_password(tmp_path: Path) -> None:
    with start_redis(tmp_path, free_port()) as redis:
        follow(ProbeSpec(type="redis", password=WORD), redis.address)


def test_redis_that_takes_no_more_clients_is_ready(tmp_path: Path) -> None:
    with start_redis(tmp_path, free_port(), "--maxclients", "3") as redis, ExitStack() as clients:
        words = first_words_of_the_last(20, redis, clients, b"PING\r\n")
        assert words == b"-ERR max number of clients reached\r\n"
        assert answer(ProbeSpec(type="redis", password=WORD), redis.address) == ""


@pytest.mark.parametrize("password", ["", WORD])
def test_redis_is_not_ready_while_it_loads_its_dataset(tmp_path: Path, password: str) -> None:
    login = f'AUTH "{password.replace(chr(34), chr(92) + chr(34))}"\r\n' if password else ""
    protection = ("--requirepass", password) if password else ()
    with start_redis(tmp_path, free_port(), *protection) as redis:
        follow(ProbeSpec(type="redis"), redis.address)
        with socket.create_connection((redis.address.host, redis.address.port)) as client:
            keys = "".join(f"SET key:{n} {'x' * 200}\r\n" for n in range(1000))
            client.sendall(f"{login}{keys}SAVE\r\nQUIT\r\n".encode())
            replies = b"".join(iter(lambda: client.recv(65536), b""))
    assert replies.count(b"+OK\r\n") == 1002 + bool(password)
    # Microseconds for each key, and how often it looks at its clients meanwhile.
    slowly = ("--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024")
    with start_redis(tmp_path, free_port(), *protection, *slowly, wait=False) as redis:
        events = follow(ProbeSpec(type="redis", password=password), redis.address)
    told = [event for event in events if isinstance(event, ProbeFailed)]
    assert any(re.fullmatch(r"redis is loading its dataset, \d+ s left", event.answer) for event in told)
    # A second of loading, of which more is told than that it has begun.
    assert sum(event.progress for event in told) > 1


# MariaDB.


@pytest.fixture(scope="module")
def datadir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install_mariadb(tmp_path_factory.mktemp("mariadb") / "data")


def test_mariadb_is_ready_when_it_greets(tmp_path: Path, datadir: Path) -> None:
    with start_mariadb(tmp_path, datadir, free_port(), wait=False) as mariadb:
        assert isinstance(follow(ProbeSpec(type="mysql"), mariadb.address)[-1], BecameReady)
        assert answer(ProbeSpec(type="mysql"), Address(path=str(tmp_path / "mysqld.sock"))) == ""


def test_mariadb_that_takes_no_more_clients_is_ready(tmp_path: Path, datadir: Path) -> None:
    options = ("--max-connections=10", "--thread-handling=one-thread-per-connection")
    with start_mariadb(tmp_path, datadir, free_port(), *options) as mariadb, ExitStack() as clients:
        packet = first_words_of_the_last(20, mariadb, clients)
        assert packet[4:] == b"\xff\x10\x04Too many connections"
        assert answer(ProbeSpec(type="mysql"), mariadb.address) == ""


# uWSGI.

GOOD = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
"""
BROKEN = "import a_module_that_is_not_installed\n"
RAISING = """
def application(environ, start_response):
    raise RuntimeError("not today")
"""
OWN_500 = """
def application(environ, start_response):
    start_response("500 Internal Server Error", [("Content-Type", "text/plain")])
    return [b"Internal Server Error"]
"""
SLOW = "import time\ntime.sleep(1)\n" + GOOD
CHECKING = """
def application(environ, start_response):
    names = ("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "HTTP_HOST", "SERVER_NAME", "SERVER_PORT")
    seen = [environ[name] for name in names]
    right = seen == ["GET", "/a b", "x=1", "example.org:8080", "example.org", "8080"]
    start_response("204 No Content" if right else "400 " + repr(seen), [])
    return []
"""


def test_uwsgi_is_ready_when_the_application_answers(tmp_path: Path) -> None:
    with start_uwsgi(tmp_path, free_port(), GOOD) as uwsgi:
        assert answer(ProbeSpec(type="uwsgi", expect=(200,)), uwsgi.address) == ""


def test_uwsgi_without_a_working_application_is_not_ready(tmp_path: Path) -> None:
    with start_uwsgi(tmp_path, free_port(), BROKEN) as uwsgi:
        words = "the application does not answer: uWSGI has no working application (500)"
        assert answer(ProbeSpec(type="uwsgi"), uwsgi.address) == words


def test_uwsgi_with_an_application_that_raises_is_not_ready(tmp_path: Path) -> None:
    with start_uwsgi(tmp_path, free_port(), RAISING) as uwsgi:
        closed = "it closed the connection without an answer"
        why = "uWSGI does so when the application raises an exception"
        assert answer(ProbeSpec(type="uwsgi"), uwsgi.address) == f"{uwsgi.address}: {closed} ({why})"


def test_uwsgi_with_an_application_that_answers_500_itself_is_ready(tmp_path: Path) -> None:
    with start_uwsgi(tmp_path, free_port(), OWN_500) as uwsgi:
        assert answer(ProbeSpec(type="uwsgi"), uwsgi.address) == ""
        assert answer(ProbeSpec(type="uwsgi", expect=(200,)), uwsgi.address) == "answered 500"


def test_uwsgi_is_not_ready_before_a_lazy_application_is_loaded(tmp_path: Path) -> None:
    with start_uwsgi(tmp_path, free_port(), SLOW, "--lazy-apps", "--master") as uwsgi:
        words = f"{uwsgi.address}: no answer within 0.1 s"
        assert answer(ProbeSpec(type="uwsgi", timeout=0.1), uwsgi.address) == words
        follow(ProbeSpec(type="uwsgi", expect=(200,)), uwsgi.address)


def test_uwsgi_gives_the_application_the_request_that_was_meant(tmp_path: Path) -> None:
    spec = ProbeSpec(type="uwsgi", host="example.org:8080", path="/a%20b?x=1", expect=(204,))
    with start_uwsgi(tmp_path, free_port(), CHECKING) as uwsgi:
        assert answer(spec, uwsgi.address) == ""
