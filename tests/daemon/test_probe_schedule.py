"""Asking until a service is ready: what is posted, when, and what never is."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from itertools import chain, cycle, pairwise, repeat

from supervisor_stack.core.events import BecameReady, Event, ProbeFailed
from supervisor_stack.daemon.probe import EAGER_PAUSE, FIRST_PAUSE, PROGRESS_PAUSE, Prober
from supervisor_stack.spec import Address, ProbeSpec
from tests.servers import free_port, greets, peer, says

EXEC = ProbeSpec(type="exec", command=("check",), interval=0.01)
READY = BecameReady(service="web", run=3)

Commands = Callable[[tuple[str, ...], float], Awaitable[tuple[int, str]]]


def failed(answer: str, run: int = 3) -> Event:
    return ProbeFailed(service="web", run=run, answer=answer)


def outcomes(results: Iterable[tuple[int, str]]) -> Commands:
    """A command that ends like this, one time after the other."""
    remaining = iter(results)

    async def run(_argv: tuple[str, ...], _seconds: float) -> tuple[int, str]:
        return next(remaining)

    return run


@asynccontextmanager
async def prober() -> AsyncIterator[tuple[Prober, asyncio.Queue[Event]]]:
    events: asyncio.Queue[Event] = asyncio.Queue()
    asker = Prober(events.put_nowait)
    yield asker, events
    asker.stop("web")


def posted(commands: Commands, spec: ProbeSpec = EXEC) -> list[Event]:
    """What is posted until the service is ready."""

    async def until_ready() -> list[Event]:
        async with prober() as (asker, events):
            asker.start("web", 3, spec, None, commands)
            seen = [await asyncio.wait_for(events.get(), 10)]
            while seen[-1] != READY:
                seen.append(await asyncio.wait_for(events.get(), 10))
            return seen

    return asyncio.run(until_ready())


def test_readiness_is_posted_for_the_run_that_was_asked_about() -> None:
    assert posted(outcomes([(0, "")])) == [READY]


def test_an_answer_is_posted_only_when_it_changes() -> None:
    results = [(1, "a"), (1, "a"), (1, "b"), (1, "b"), (1, "a"), (0, "")]
    a, b = failed("check: exit status 1: a"), failed("check: exit status 1: b")
    assert posted(outcomes(results)) == [a, b, a, READY]


def test_nobody_is_asked_again_once_ready() -> None:
    async def attempt() -> tuple[int, int]:
        asked = 0

        async def count(_argv: tuple[str, ...], _seconds: float) -> tuple[int, str]:
            nonlocal asked
            asked += 1
            return 0, ""

        async with prober() as (asker, events):
            asker.start("web", 3, EXEC, None, count)
            await events.get()
            await asyncio.sleep(10 * EXEC.interval)
            return asked, events.qsize()

    assert asyncio.run(attempt()) == (1, 0)


def test_a_server_is_noticed_when_it_comes() -> None:
    async def attempt() -> list[Event]:
        address = Address(host="127.0.0.1", port=free_port())
        async with prober() as (asker, events):
            asker.start("web", 3, ProbeSpec(type="http", interval=0.01), address, outcomes([]))
            refused = await asyncio.wait_for(events.get(), 10)
            async with peer(says(b"HTTP/1.1 200 OK\r\n\r\n"), address):
                return [refused, await asyncio.wait_for(events.get(), 10)]

    refused, ready = asyncio.run(attempt())
    assert isinstance(refused, ProbeFailed)
    assert refused.answer.endswith(": connection refused")
    assert ready == READY


def test_nothing_is_posted_after_stop() -> None:
    async def attempt() -> tuple[int, int]:
        changing = outcomes(cycle([(1, "a"), (1, "b")]))
        async with prober() as (asker, events):
            asker.start("web", 3, EXEC, None, changing)
            await asyncio.wait_for(events.get(), 10)
            asker.stop("web")
            before = events.qsize()
            await asyncio.sleep(10 * EXEC.interval)
            return before, events.qsize()

    before, after = asyncio.run(attempt())
    assert after == before


def test_an_attempt_under_way_is_given_up_by_stop() -> None:
    async def attempt() -> None:
        came, gone = asyncio.Event(), asyncio.Event()

        async def talk(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            came.set()
            await reader.read()
            gone.set()

        async with peer(talk) as address, prober() as (asker, _events):
            asker.start("web", 3, ProbeSpec(type="mysql", timeout=60), address, outcomes([]))
            await asyncio.wait_for(came.wait(), 10)
            assert not gone.is_set()
            asker.stop("web")
            await asyncio.wait_for(gone.wait(), 10)

    asyncio.run(attempt())


def test_a_new_run_takes_the_place_of_the_old_one() -> None:
    async def attempt() -> list[Event]:
        async with peer(greets(b"")) as silent, prober() as (asker, events):
            asker.start("web", 2, ProbeSpec(type="http", timeout=60), silent, outcomes([(0, "")]))
            asker.start("web", 3, EXEC, None, outcomes([(0, "")]))
            first = await asyncio.wait_for(events.get(), 10)
            return [first, *(events.get_nowait() for _ in range(events.qsize()))]

    assert asyncio.run(attempt()) == [READY]


def test_services_are_asked_side_by_side() -> None:
    async def attempt() -> Event:
        async with peer(greets(b"")) as silent, prober() as (asker, events):
            asker.start("slow", 1, ProbeSpec(type="http", timeout=60), silent, outcomes([(0, "")]))
            asker.start("web", 3, EXEC, None, outcomes([(0, "")]))
            first = await asyncio.wait_for(events.get(), 10)
            asker.stop("slow")
            return first

    assert asyncio.run(attempt()) == READY


def test_a_service_that_tells_by_itself_is_left_alone() -> None:
    async def attempt() -> int:
        async with prober() as (asker, events):
            asker.start("web", 3, ProbeSpec(type="notify"), None, outcomes([]))
            await asyncio.sleep(0.02)
            return events.qsize()

    assert asyncio.run(attempt()) == 0


# A run beside another one.


def test_a_run_beside_another_is_not_asked_before_it_has_a_worker() -> None:
    fork = "import os, sys; sys.stdin.readline(); os.fork() or sys.stdin.readline(); os.wait()"

    async def story(master: subprocess.Popen[bytes]) -> list[Event]:
        assert master.stdin
        async with peer(says(b"HTTP/1.1 200 OK\r\n\r\n")) as older, prober() as (asker, events):
            spec = ProbeSpec(type="http", interval=0.01)
            asker.start("web", 3, spec, older, outcomes([]), beside=master.pid)
            seen = [await asyncio.wait_for(events.get(), 10)]
            await asyncio.sleep(10 * spec.interval)
            assert events.empty()
            master.stdin.write(b"\n")
            master.stdin.flush()
            return [*seen, await asyncio.wait_for(events.get(), 10)]

    with subprocess.Popen([sys.executable, "-c", fork], stdin=subprocess.PIPE) as master:
        assert asyncio.run(story(master)) == [failed("it has no worker yet"), READY]


# Progress.


@asynccontextmanager
async def loading_redis(loaded: Iterable[int]) -> AsyncIterator[Address]:
    """Redis that loads its data: how much it has loaded at each question, and then it is ready."""
    remaining = iter(loaded)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        if (size := next(remaining, None)) is None:
            writer.write(b"+PONG\r\n")
            return
        told = f"loading_loaded_bytes:{size}\r\nloading_eta_seconds:7\r\n"
        writer.write(b"-LOADING Redis is loading the dataset in memory\r\n")
        await reader.readline()
        writer.write(f"${len(told)}\r\n{told}\r\n".encode())

    async with peer(talk) as address:
        yield address


def told_of_loading(loaded: Iterable[int]) -> list[tuple[str, bool]]:
    """What is said of it, and whether that is progress, until it is ready."""

    async def story() -> list[Event]:
        async with loading_redis(loaded) as address, prober() as (asker, events):
            spec = ProbeSpec(type="redis", interval=PROGRESS_PAUSE * 1.1)
            asker.start("web", 3, spec, address, outcomes([]))
            seen = [await asyncio.wait_for(events.get(), 10)]
            while seen[-1] != READY:
                seen.append(await asyncio.wait_for(events.get(), 10))
            return seen

    events = asyncio.run(story())
    return [(event.answer, event.progress) for event in events if isinstance(event, ProbeFailed)]


LOADING = "redis is loading its dataset, 7 s left"


def test_progress_is_told_although_the_answer_stays_the_same() -> None:
    # Asked every 5 ms at first: more than a PROGRESS_PAUSE of that.
    seen = told_of_loading(range(1, 120))
    assert len(seen) > 1
    assert set(seen) == {(LOADING, True)}


def test_progress_is_not_told_more_often_than_somebody_wants_to_know() -> None:
    begun = time.monotonic()
    told = told_of_loading(range(1, 120))
    assert len(told) <= 1 + (time.monotonic() - begun) / PROGRESS_PAUSE


def test_whoever_has_not_loaded_more_has_made_no_progress() -> None:
    assert told_of_loading([0] * 120) == [(LOADING, False)]
    assert told_of_loading([5] * 120) == [(LOADING, True)]


def asked_at(spec: ProbeSpec, attempts: int, lasting: float = 0.0) -> list[tuple[float, float]]:
    """Beginning and end of each attempt, when the last of them succeeds."""
    times: list[tuple[float, float]] = []
    results = chain(repeat((1, ""), attempts - 1), [(0, "")])

    async def run(_argv: tuple[str, ...], _seconds: float) -> tuple[int, str]:
        clock = asyncio.get_running_loop().time
        begun = clock()
        await asyncio.sleep(lasting)
        times.append((begun, clock()))
        return next(results)

    posted(run, spec)
    return times


def test_the_pauses_grow_to_the_interval() -> None:
    spec = ProbeSpec(type="exec", command=("check",), interval=0.004)
    times = asked_at(spec, 14)
    pauses = [later[0] - earlier[1] for earlier, later in pairwise(times)]
    # A pause may be longer than it was meant to be, on a busy machine, but never shorter.
    assert pauses[0] >= FIRST_PAUSE * 0.9
    assert all(pause >= spec.interval * 0.9 for pause in pauses[8:])


def test_an_interval_that_was_written_down_holds_from_the_beginning() -> None:
    spec = ProbeSpec(type="exec", command=("check",), interval=0.05, eager=False)
    for earlier, later in pairwise(asked_at(spec, 4)):
        assert later[0] - earlier[1] >= spec.interval * 0.9


def test_after_the_eager_time_the_pauses_grow_to_a_long_interval() -> None:
    spec = ProbeSpec(type="exec", command=("check",), interval=3 * EAGER_PAUSE)
    # Some 200 attempts fit into the eager time, and five more pauses grow to the interval.
    *_, earlier, later = asked_at(spec, 220)
    assert later[0] - earlier[1] >= spec.interval * 0.9


def test_no_more_than_half_of_the_time_is_spent_on_a_slow_command() -> None:
    spec = ProbeSpec(type="exec", command=("check",), interval=1.0)
    for earlier, later in pairwise(asked_at(spec, 5, lasting=0.03)):
        assert later[0] - earlier[1] >= (earlier[1] - earlier[0]) * 0.9
