"""Asking on: what is a sign of life, what is a miss, and what is neither."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import chain, pairwise, repeat

from supervisor_stack.core.events import AliveAnswered, AliveMissed, BecameReady, Event
from supervisor_stack.daemon.alive import LATE, STOPPED, is_stopped, watch
from supervisor_stack.daemon.probe import Prober
from supervisor_stack.daemon.protocols.answer import Answer
from supervisor_stack.spec import Address, ProbeSpec
from tests.servers import greets, peer, wait_until

EXEC = ProbeSpec(type="exec", command=("check",), interval=0.01)
ANSWERED = AliveAnswered(service="web", run=3)
SILENT = greets(b"")

Command = Callable[[tuple[str, ...], float], Awaitable[tuple[int, str]]]


def missed(answer: str) -> Event:
    return AliveMissed(service="web", run=3, answer=answer)


async def nothing(_argv: tuple[str, ...], _seconds: float) -> tuple[int, str]:
    return 0, ""


def exits(*statuses: int) -> Command:
    """A command that ends like this, and with the last of these from then on."""
    remaining = chain(statuses, repeat(statuses[-1]))

    async def run(_argv: tuple[str, ...], _seconds: float) -> tuple[int, str]:
        return next(remaining), ""

    return run


@asynccontextmanager
async def watched(
    spec: ProbeSpec, address: Address | None = None, pid: int | None = None, command: Command = nothing
) -> AsyncIterator[tuple[Prober, asyncio.Queue[Event]]]:
    events: asyncio.Queue[Event] = asyncio.Queue()
    prober = Prober(events.put_nowait)
    prober.watch("web", 3, spec, address, pid, command)
    yield prober, events
    prober.stop("web")


async def take(events: asyncio.Queue[Event], count: int = 1) -> list[Event]:
    return [await asyncio.wait_for(events.get(), 10) for _ in range(count)]


def first_events(count: int, spec: ProbeSpec, command: Command) -> list[Event]:
    async def story() -> list[Event]:
        async with watched(spec, command=command) as (_, events):
            return await take(events, count)

    return asyncio.run(story())


# What is posted, and when.


def test_every_miss_is_posted_and_the_first_answer_after_it() -> None:
    miss = missed("check: exit status 1")
    assert first_events(4, EXEC, exits(0, 1, 1, 0, 0, 0, 1)) == [miss, miss, ANSWERED, miss]


def test_a_service_that_answers_is_not_talked_about() -> None:
    async def story() -> int:
        asked, enough = 0, asyncio.Event()

        async def count(_argv: tuple[str, ...], _seconds: float) -> tuple[int, str]:
            nonlocal asked
            asked += 1
            if asked == 5:
                enough.set()
            return 0, ""

        async with watched(EXEC, command=count) as (_, events):
            await asyncio.wait_for(enough.wait(), 10)
            return events.qsize()

    assert asyncio.run(story()) == 0


def test_the_questions_are_an_interval_apart_and_so_is_the_first() -> None:
    times: list[float] = []

    async def story() -> None:
        clock = asyncio.get_running_loop().time
        times.append(clock())

        async def note(_argv: tuple[str, ...], _seconds: float) -> tuple[int, str]:
            times.append(clock())
            return 1, ""

        async with watched(EXEC, command=note) as (_, events):
            await take(events, 3)

    asyncio.run(story())
    assert all(later - earlier >= EXEC.interval * 0.9 for earlier, later in pairwise(times))


def test_the_time_of_an_attempt_is_part_of_the_interval() -> None:
    async def story() -> float:
        clock = asyncio.get_running_loop().time
        spec = ProbeSpec(type="http", interval=0.2, timeout=0.15)
        async with peer(SILENT) as address, watched(spec, address) as (_, events):
            await take(events)
            before = clock()
            await take(events)
            return clock() - before

    assert asyncio.run(story()) < 0.2 + 0.15


def test_nothing_is_posted_after_stop() -> None:
    async def story() -> int:
        async with watched(EXEC, command=exits(1)) as (prober, events):
            await take(events)
            prober.stop("web")
            before = events.qsize()
            await asyncio.sleep(10 * EXEC.interval)
            return events.qsize() - before

    assert asyncio.run(story()) == 0


def test_what_was_asked_before_is_asked_no_more() -> None:
    async def story() -> list[Event]:
        async with peer(SILENT) as silent, watched(EXEC, command=exits(1)) as (prober, events):
            prober.start("web", 3, ProbeSpec(type="http", timeout=60), silent, nothing)
            prober.watch("web", 3, EXEC, None, None, exits(0))
            prober.start("web", 3, EXEC, None, exits(0))
            first = await take(events)
            await asyncio.sleep(10 * EXEC.interval)
            return first + [events.get_nowait() for _ in range(events.qsize())]

    assert asyncio.run(story()) == [BecameReady(service="web", run=3)]


def test_a_miss_does_not_count_when_stackd_itself_stood_still() -> None:
    asked: list[float] = []
    noted: list[tuple[bool, str]] = []
    answers = iter([Answer("no answer", heard=False), Answer(), Answer("no answer", heard=False)])

    async def attempt() -> Answer:
        asked.append(time.monotonic())
        if len(asked) == 1:
            # As after SIGSTOP and SIGCONT: nothing of the loop ran, and the time is over.
            time.sleep(LATE + 0.2)  # noqa: ASYNC251
        return next(answers)

    async def story() -> list[Event]:
        events: asyncio.Queue[Event] = asyncio.Queue()
        spec = ProbeSpec(type="http", interval=0.3, timeout=0.1)
        watching = watch(
            "web", 3, spec, None, attempt, events.put_nowait, lambda ok, words: noted.append((ok, words))
        )
        task = asyncio.create_task(watching)
        try:
            return await take(events)
        finally:
            task.cancel()

    assert asyncio.run(story()) == [missed("no answer")]
    assert len(asked) == 3
    assert noted == [(True, ""), (False, "no answer")]
    # Asked again at once, and not an interval later.
    assert asked[1] - asked[0] < LATE + 0.2 + 0.3


# A main process that was stopped.


@contextmanager
def process() -> Iterator[subprocess.Popen[bytes]]:
    idle = subprocess.Popen(["sleep", "1000"])
    try:
        yield idle
    finally:
        idle.kill()
        idle.wait()


def test_a_stopped_main_process_is_a_miss_although_workers_answer() -> None:
    async def story(pid: int) -> list[Event]:
        spec = ProbeSpec(type="hangup", interval=0.01)
        async with peer(SILENT) as address, watched(spec, address, pid) as (_, events):
            os.kill(pid, signal.SIGSTOP)
            seen = await take(events, 2)
            os.kill(pid, signal.SIGCONT)
            while seen[-1] != ANSWERED:
                seen += await take(events)
            return seen

    with process() as idle:
        *misses, _ = asyncio.run(story(idle.pid))
    assert set(misses) == {missed("stopped by a signal (SIGSTOP)")}


def test_a_probe_of_the_process_alone_asks_nobody() -> None:
    async def story(pid: int) -> list[Event]:
        async with watched(ProbeSpec(type="process", interval=0.01), None, pid) as (_, events):
            os.kill(pid, signal.SIGSTOP)
            seen = await take(events)
            os.kill(pid, signal.SIGCONT)
            while seen[-1] != ANSWERED:
                seen += await take(events)
            return seen

    with process() as idle:
        assert asyncio.run(story(idle.pid))[0] == missed(STOPPED)


def test_a_process_that_is_gone_is_not_stopped() -> None:
    with process() as idle:
        pass
    assert not is_stopped(idle.pid)


def test_a_process_under_a_debugger_is_not_stopped() -> None:
    attach, detach = 16, 17  # ptrace(2)
    libc = ctypes.CDLL(None, use_errno=True)
    with process() as idle:
        assert libc.ptrace(attach, idle.pid, None, None) == 0, os.strerror(ctypes.get_errno())
        os.waitpid(idle.pid, os.WUNTRACED)
        assert not is_stopped(idle.pid)
        assert libc.ptrace(detach, idle.pid, None, None) == 0
        os.kill(idle.pid, signal.SIGSTOP)
        wait_until(lambda: is_stopped(idle.pid), "the process is stopped")


def test_the_name_of_a_process_cannot_mislead() -> None:
    source = (
        "import ctypes, time; ctypes.CDLL(None).prctl(15, b') T 1 1'); print(flush=True); time.sleep(1000)"
    )
    with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE) as named:
        assert named.stdout
        named.stdout.readline()
        assert not is_stopped(named.pid)
        named.kill()
