"""One attempt, against peers that behave in every way a peer may."""

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


# Reaching it at all.


def test_a_port_without_a_listener_is_refused() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        answer = asyncio.run(ask_once(ProbeSpec(type="tcp"), Address(host="127.0.0.1", port=port)))
    assert answer == f"127.0.0.1:{port}: connection refused"


def test_a_listener_is_enough_for_tcp() -> None:
    async def attempt() -> str:
        async with peer(greets(b"")) as address:
            return await ask_once(ProbeSpec(type="tcp"), address)

    assert asyncio.run(attempt()) == ""


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
