"""One attempt, against peers that behave in every way a peer may; see test_probe_servers.py."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import sys
import tracemalloc
from pathlib import Path

import pytest

from supervisor_stack.daemon.probe import ask
from supervisor_stack.daemon.protocols.connection import LINE_LIMIT, is_own_reflection
from supervisor_stack.errors import SpawnError
from supervisor_stack.spec import Address, ProbeSpec, ProbeType
from tests.servers import greets, hangs_up, listening, peer, says

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"


async def run_command(argv: tuple[str, ...], seconds: float) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), seconds)
    except BaseException:
        process.kill()
        await process.communicate()
        raise
    return process.returncode or 0, output.decode()


async def ask_once(spec: ProbeSpec, address: Address | None = None) -> str:
    return await ask(spec, address, run_command=run_command)


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


# Reaching it at all.


def test_a_port_without_a_listener_is_refused() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        answer = asyncio.run(ask_once(ProbeSpec(type="tcp"), Address(host="127.0.0.1", port=port)))
    assert answer == f"127.0.0.1:{port}: connection refused"


def test_a_listener_is_enough_for_tcp() -> None:
    assert answer_of(b"", ProbeSpec(type="tcp")) == ""


def test_a_wildcard_address_is_asked_on_loopback() -> None:
    async def attempt() -> str:
        async with peer(says(OK)) as address:
            return await ask_once(ProbeSpec(type="http"), Address(host="*", port=address.port))

    assert asyncio.run(attempt()) == ""


def test_the_address_of_the_probe_goes_before_that_of_the_service() -> None:
    async def attempt() -> str:
        async with peer(says(OK)) as address:
            return await ask_once(ProbeSpec(type="http", address=address), Address(path="/nowhere"))

    assert asyncio.run(attempt()) == ""


def test_without_any_address_it_says_so() -> None:
    assert asyncio.run(ask_once(ProbeSpec(type="http"))) == "its configuration names no address to ask"


def test_a_missing_unix_socket_is_named(tmp_path: Path) -> None:
    answer = asyncio.run(ask_once(ProbeSpec(type="unix"), Address(path=str(tmp_path / "s"))))
    assert answer == f"unix:{tmp_path}/s: no such file or directory"


def test_a_unix_socket_that_nobody_listens_on_is_refused(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / "s"))
    answer = asyncio.run(ask_once(ProbeSpec(type="unix"), Address(path=str(tmp_path / "s"))))
    assert answer == f"unix:{tmp_path}/s: connection refused"


def test_a_unix_socket_path_that_is_too_long_is_an_answer_and_no_crash() -> None:
    answer = asyncio.run(ask_once(ProbeSpec(type="unix"), Address(path="/" + "x" * 200)))
    assert answer.endswith(": AF_UNIX path too long")


def test_a_unix_socket_is_asked_in_its_own_protocol(tmp_path: Path) -> None:
    async def attempt() -> str:
        async with peer(says(b"+PONG\r\n"), Address(path=str(tmp_path / "s"))) as address:
            return await ask_once(ProbeSpec(type="redis"), address)

    assert asyncio.run(attempt()) == ""


def test_an_abstract_unix_socket_is_reached() -> None:
    name = f"stackd-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("\0" + name)
        listener.listen()
        assert asyncio.run(ask_once(ProbeSpec(type="unix"), Address(path="@" + name))) == ""


def test_a_full_queue_of_a_unix_socket_is_not_taken_for_a_connection(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    waiting = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(0)
        try:
            while True:
                waiting.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK))
                waiting[-1].connect(path)
        except BlockingIOError:
            answer = asyncio.run(ask_once(ProbeSpec(type="unix"), Address(path=path)))
        finally:
            for sock in waiting:
                sock.close()
    assert answer == f"unix:{path}: its queue of waiting connections is full"


def test_a_connection_of_a_port_to_itself_is_recognised() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.connect(sock.getsockname())
        assert is_own_reflection(sock)


def test_localhost_is_tried_on_both_addresses() -> None:
    async def attempt() -> str:
        async with peer(says(OK), Address(host="::1")) as address:
            return await ask_once(ProbeSpec(type="http"), Address(host="localhost", port=address.port))

    assert asyncio.run(attempt()) == ""


def test_a_name_is_looked_up() -> None:
    async def attempt() -> str:
        async with peer(says(OK)) as address:
            # For getaddrinfo(3) a name for 127.0.0.1 that needs no name server.
            return await ask_once(ProbeSpec(type="http"), Address(host="127.1", port=address.port))

    assert asyncio.run(attempt()) == ""


def test_an_unknown_name_is_an_answer() -> None:
    async def getent(_argv: tuple[str, ...], _timeout: float) -> tuple[int, str]:
        return 2, ""

    address = Address(host="db.invalid", port=1)
    answer = asyncio.run(ask(ProbeSpec(type="tcp"), address, run_command=getent))
    assert answer == "db.invalid:1: cannot look up db.invalid: no such host"


# Odd peers.

ASKING: tuple[ProbeType, ...] = ("http", "mysql", "redis", "uwsgi")


@pytest.mark.parametrize("kind", ASKING)
def test_a_silent_peer_costs_no_more_than_the_timeout(kind: ProbeType) -> None:
    async def attempt() -> tuple[str, str]:
        async with peer(greets(b"")) as address:
            return await ask_once(ProbeSpec(type=kind, timeout=0.1), address), str(address)

    answer, address = asyncio.run(attempt())
    assert answer == f"{address}: no answer within 0.1 s"


def test_a_listener_that_never_accepts_costs_no_more_than_the_timeout() -> None:
    with listening() as held:
        address = Address(host="127.0.0.1", port=held.getsockname()[1])
        answer = asyncio.run(ask_once(ProbeSpec(type="http", timeout=0.1), address))
    assert answer == f"{address}: no answer within 0.1 s"


@pytest.mark.parametrize("kind", ASKING)
def test_a_peer_that_hangs_up_is_not_ready(kind: ProbeType) -> None:
    async def attempt() -> str:
        async with peer(hangs_up) as address:
            return await ask_once(ProbeSpec(type=kind), address)

    answer = asyncio.run(attempt())
    assert re.search(": (it closed the connection without an answer|connection reset by peer)", answer)


@pytest.mark.parametrize("kind", ["http", "redis", "uwsgi"])
def test_half_a_line_is_no_answer(kind: ProbeType) -> None:
    answer = answer_of(b"HTTP/1.1 2", ProbeSpec(type=kind))
    assert ": it closed the connection in the middle of its answer" in answer


@pytest.mark.parametrize("kind", ASKING)
def test_a_flood_is_left_behind_with_little_memory(kind: ProbeType) -> None:
    async def flood(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"\xffx" * 8192)
            await writer.drain()

    async def attempt() -> tuple[str, int]:
        async with peer(flood) as address:
            tracemalloc.start()
            answer = await ask_once(ProbeSpec(type=kind, timeout=30), address)
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            return answer, peak

    answer, peak = asyncio.run(attempt())
    assert answer.startswith('answered "\\xff')
    # The peer's own buffers, in the same process, are the larger part.
    assert peak < 256 * LINE_LIMIT


def test_what_a_peer_says_is_shown_without_control_characters() -> None:
    answer = answer_of(b"\x1b[31mred\x07\r\n", ProbeSpec(type="http"))
    assert answer == r'answered "\x1b[31mred\x07" instead of an HTTP status line'


def test_an_attempt_leaves_no_descriptor_open() -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    async def attempts() -> tuple[int, int]:
        async with peer(says(OK)) as good, peer(greets(b"")) as silent:
            await ask_once(ProbeSpec(type="http"), good)
            before = descriptors()
            for _ in range(5):
                await ask_once(ProbeSpec(type="http"), good)
                await ask_once(ProbeSpec(type="redis", timeout=0.02), silent)
                await ask_once(ProbeSpec(type="unix"), Address(path="/nowhere"))
            # The far ends are this process's too; they go when the loop has told them.
            for _ in range(100):
                if descriptors() <= before:
                    break
                await asyncio.sleep(0.01)
            return before, descriptors()

    before, after = asyncio.run(attempts())
    assert after <= before


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


# Commands and notices.


def command(source: str, timeout: float = 5.0) -> str:
    return asyncio.run(
        ask_once(ProbeSpec(type="exec", command=(sys.executable, "-c", source), timeout=timeout))
    )


def test_a_command_that_succeeds_is_ready() -> None:
    assert command("pass") == ""


def test_a_command_that_fails_says_why_in_its_last_line() -> None:
    answer = command("print('first'); print('no \\033[1mtable'); print(); raise SystemExit(3)")
    assert answer == f"{sys.executable}: exit status 3: no \\x1b[1mtable"


def test_a_command_that_dies_names_the_signal() -> None:
    assert command("import os; os.kill(os.getpid(), 9)") == f"{sys.executable}: killed by SIGKILL"


def test_a_command_that_hangs_costs_no_more_than_the_timeout() -> None:
    answer = command("import time; time.sleep(60)", timeout=0.3)
    assert answer == f"{sys.executable}: no answer within 0.3 s"


def test_a_command_that_cannot_be_started_is_an_answer() -> None:
    async def refuse(argv: tuple[str, ...], _timeout: float) -> tuple[int, str]:
        raise SpawnError(f"cannot execute {argv[0]}: no such file")

    answer = asyncio.run(ask(ProbeSpec(type="exec", command=("/no",)), None, run_command=refuse))
    assert answer == "cannot execute /no: no such file"


def test_a_service_that_tells_by_itself_is_not_asked() -> None:
    assert asyncio.run(ask_once(ProbeSpec(type="notify"))) == "waits for READY=1"
