"""Which answers are signs of life, from peers that speak by script."""

from __future__ import annotations

import asyncio

import pytest

from supervisor_stack.core.events import AliveMissed, Event
from supervisor_stack.daemon.probe import Prober
from supervisor_stack.spec import Address, ProbeSpec, ProbeType
from tests.servers import Talk, greets, hangs_up, listening, peer, says

REFUSAL = b"\xff\x1d\x04#08S01Server shutdown in progress"
SHUTDOWN = greets(len(REFUSAL).to_bytes(3, "little") + b"\0" + REFUSAL)
ERROR = says(b"HTTP/1.1 500 Internal Server Error\r\n\r\n")


async def loading(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Redis that loads: it says so to whatever it is asked."""
    while await reader.read(4096):
        writer.write(b"-LOADING Redis is loading the dataset in memory\r\n")


def asking(kind: ProbeType, timeout: float) -> ProbeSpec:
    """Any answer counts."""
    return ProbeSpec(type=kind, interval=0.02, timeout=timeout, any_answer=True)


async def no_command(argv: tuple[str, ...], _seconds: float) -> tuple[int, str]:
    raise AssertionError(f"a probe of a numeric address runs {argv}")


def is_sign_of_life(spec: ProbeSpec, talk: Talk) -> bool:
    """Whether nothing has been posted when the second question comes."""

    async def story() -> bool:
        asked: asyncio.Queue[None] = asyncio.Queue()

        async def tell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.put_nowait(None)
            await talk(reader, writer)

        events: list[Event] = []
        prober = Prober(events.append)
        async with peer(tell) as address:
            prober.watch("web", 3, spec, address, None, no_command)
            for _ in range(2):
                await asyncio.wait_for(asked.get(), 10)
            prober.stop("web")
        return not events

    return asyncio.run(story())


def miss(spec: ProbeSpec, address: Address) -> str:
    """What the first miss says."""

    async def story() -> Event:
        events: asyncio.Queue[Event] = asyncio.Queue()
        prober = Prober(events.put_nowait)
        prober.watch("web", 3, spec, address, None, no_command)
        event = await asyncio.wait_for(events.get(), 10)
        prober.stop("web")
        return event

    event = asyncio.run(story())
    assert isinstance(event, AliveMissed)
    return event.answer


@pytest.mark.parametrize(
    ("kind", "talk"),
    [
        ("redis", loading),
        ("redis", hangs_up),
        ("mysql", SHUTDOWN),
        ("http", ERROR),
        ("http", hangs_up),
        ("uwsgi", ERROR),
        ("uwsgi", hangs_up),
        ("hangup", hangs_up),
        ("hangup", says(b"SSH-2.0-OpenSSH_9.2\r\n")),
    ],
)
def test_a_server_that_refuses_or_hangs_up_is_alive(kind: ProbeType, talk: Talk) -> None:
    assert is_sign_of_life(asking(kind, timeout=10), talk)


@pytest.mark.parametrize("kind", ["redis", "mysql", "http", "uwsgi"])
def test_silence_is_no_sign_of_life(kind: ProbeType) -> None:
    assert not is_sign_of_life(asking(kind, timeout=0.1), greets(b""))


def test_a_server_that_keeps_the_connection_open_has_not_seen_its_end() -> None:
    async def stare(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    assert not is_sign_of_life(asking("hangup", timeout=0.1), stare)


def test_whoever_expects_a_certain_answer_wants_that_one() -> None:
    spec = ProbeSpec(type="http", expect=(200,), interval=0.02, timeout=10)
    assert is_sign_of_life(spec, says(b"HTTP/1.1 200 OK\r\n\r\n"))
    assert not is_sign_of_life(spec, ERROR)
    assert not is_sign_of_life(spec, hangs_up)


@pytest.mark.parametrize("kind", ["hangup", "redis"])
def test_a_listener_that_nobody_serves_is_no_sign_of_life(kind: ProbeType) -> None:
    with listening() as held:
        address = Address(host="127.0.0.1", port=held.getsockname()[1])
        assert miss(asking(kind, timeout=0.1), address) == f"{address}: no answer within 0.1 s"


@pytest.mark.parametrize("kind", ["hangup", "redis"])
def test_an_address_that_nobody_listens_at_is_no_sign_of_life(kind: ProbeType) -> None:
    with listening() as gone:
        address = Address(host="127.0.0.1", port=gone.getsockname()[1])
    assert miss(asking(kind, timeout=0.1), address) == f"{address}: connection refused"
