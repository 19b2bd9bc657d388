"""What each protocol takes for an answer, against peers that speak by script."""

from __future__ import annotations

import asyncio

import pytest

from supervisor_stack.daemon.probe import ask
from supervisor_stack.spec import Address, ProbeSpec, ProbeType
from tests.servers import greets, peer, says

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"


async def no_command(argv: tuple[str, ...], _seconds: float) -> tuple[int, str]:
    raise AssertionError(f"a probe of a numeric address runs {argv}")


async def ask_once(spec: ProbeSpec, address: Address) -> str:
    return await ask(spec, address, run_command=no_command)


def answer_of(words: bytes, spec: ProbeSpec) -> str:
    """What a peer that says these words is taken for."""

    async def attempt() -> str:
        async with peer(says(words)) as address:
            return await ask_once(spec, address)

    return asyncio.run(attempt())


def greeting_of(words: bytes) -> str:
    async def attempt() -> str:
        async with peer(greets(words)) as address:
            return await ask_once(ProbeSpec(type="mysql"), address)

    return asyncio.run(attempt())


def packet(payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "little") + b"\0" + payload


# All.


@pytest.mark.parametrize("kind", ["http", "redis", "uwsgi"])
def test_half_a_line_is_no_answer(kind: ProbeType) -> None:
    answer = answer_of(b"HTTP/1.1 2", ProbeSpec(type=kind))
    assert ": it closed the connection in the middle of its answer" in answer


def test_what_a_peer_says_is_shown_without_control_characters() -> None:
    answer = answer_of(b"\x1b[31mred\x07\r\n", ProbeSpec(type="http"))
    assert answer == r'answered "\x1b[31mred\x07" instead of an HTTP status line'


# HTTP.


@pytest.mark.parametrize(
    "line", ["HTTP/1.1 200 OK", "HTTP/1.0 404 Not Found", "HTTP/1.1 503 ", "HTTP/1.1 301"]
)
def test_any_status_is_an_answer(line: str) -> None:
    assert answer_of(line.encode() + b"\r\n\r\n", ProbeSpec(type="http")) == ""


@pytest.mark.parametrize("line", ["HTTP/2 200", "HTTP/1.1 20", "HTTP/1.1 2000 OK", "ICY 200 OK", ""])
def test_what_is_no_status_line_is_no_answer(line: str) -> None:
    answer = answer_of(line.encode() + b"\r\n", ProbeSpec(type="http"))
    assert answer == f'answered "{line}" instead of an HTTP status line'


def test_an_unexpected_status_is_told() -> None:
    spec = ProbeSpec(type="http", expect=(200, 204))
    assert answer_of(b"HTTP/1.1 503 Service Unavailable\r\n\r\n", spec) == "answered 503"


def test_the_request_names_the_site_and_the_page() -> None:
    received = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(OK)

    async def attempt() -> None:
        async with peer(listen) as address:
            await ask_once(ProbeSpec(type="http", host="example.org", path="/health?x=1"), address)

    asyncio.run(attempt())
    lines = received[0].split(b"\r\n")
    assert lines[0] == b"GET /health?x=1 HTTP/1.1"
    assert {b"Host: example.org", b"User-Agent: stackd", b"Connection: close"} < set(lines)


def test_a_status_counts_at_once_although_the_page_never_ends() -> None:
    async def attempt() -> str:
        async with peer(greets(b"HTTP/1.1 200 OK\r\n")) as address:
            return await ask_once(ProbeSpec(type="http", timeout=0.1), address)

    assert asyncio.run(attempt()) == ""


# MySQL.


def test_a_greeting_is_ready() -> None:
    assert greeting_of(packet(b"\x0a8.0.36\0" + b"x" * 60)) == ""


@pytest.mark.parametrize("number", [1040, 1129, 1130])
def test_a_server_that_refuses_clients_is_up(number: int) -> None:
    assert greeting_of(packet(b"\xff" + number.to_bytes(2, "little") + b"#08004No")) == ""


def test_a_server_that_shuts_down_is_not_ready() -> None:
    words = b"\xff" + (1053).to_bytes(2, "little") + b"#08S01Server shutdown in progress"
    assert greeting_of(packet(words)) == '"Server shutdown in progress" (1053)'


def test_an_error_without_sql_state_is_understood() -> None:
    words = b"\xff" + (1135).to_bytes(2, "little") + b"Can't create a new thread"
    assert greeting_of(packet(words)) == '"Can\'t create a new thread" (1135)'


@pytest.mark.parametrize("words", [b"SSH-2.0-OpenSSH_9.2\r\n", b"\0\0\0\0", packet(b"\x09"), packet(b"\xff")])
def test_what_is_no_greeting_is_no_answer(words: bytes) -> None:
    assert greeting_of(words).endswith(" instead of a MySQL greeting")


# Redis.

WORD = "12 '345\""


@pytest.mark.parametrize(
    "reply",
    [
        "+PONG",
        "-NOAUTH Authentication required.",
        "-NOPERM this user has no permissions to run the 'ping' command",
        "-MISCONF Redis is configured to save RDB snapshots",
        "-ERR max number of clients reached",
    ],
)
def test_every_answer_of_a_loaded_redis_is_ready(reply: str) -> None:
    assert answer_of(reply.encode() + b"\r\n", ProbeSpec(type="redis")) == ""


def test_a_refusal_in_place_of_the_login_is_ready() -> None:
    words = b"-ERR max number of clients reached\r\n"
    assert answer_of(words, ProbeSpec(type="redis", password=WORD)) == ""


def test_loading_without_progress_is_not_ready() -> None:
    words = b"-LOADING Redis is loading the dataset in memory\r\n$9\r\nloading:1\r\n"
    assert answer_of(words, ProbeSpec(type="redis")) == "redis is loading its dataset"


def test_something_else_than_redis_is_shown() -> None:
    answer = answer_of(b"HTTP/1.1 400 Bad Request\r\n", ProbeSpec(type="redis"))
    assert answer == 'answered "HTTP/1.1 400 Bad Request" instead of PONG'
