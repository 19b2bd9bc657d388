"""An exit is told after the run's last words, and what the loop does never waits for a disk."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time

import pytest

from supervisor_stack.daemon.launch import Identity
from supervisor_stack.daemon.output.outputs import LAST_CHANCE, PATIENCE
from tests.daemon.output.desk import Desk, spec
from tests.servers import DEADLINE, wait_until

LOUD = "import os\nfor n in range(30_000): os.write(1, b'x' * 9_999 + b'\\n')"
"""300 MB."""


def hang(desk: Desk) -> threading.Event:
    """Nothing in a test can make a disk hang, so it is the thread that does, until the event."""
    awake = threading.Event()

    def wait() -> None:
        awake.wait(DEADLINE)

    desk.outputs._mover.order(wait)
    return awake


async def drained(desk: Desk) -> float:
    """Seconds until it is."""
    begun = time.perf_counter()
    done = asyncio.Event()
    desk.outputs.drain("app", done.set)
    await asyncio.wait_for(done.wait(), DEADLINE)
    return time.perf_counter() - begun


def test_last_words_are_in_the_file_when_it_is_drained(desk: Desk) -> None:
    for number in range(100):
        desk.run("printf", f"{number}\\n")
        asyncio.run(drained(desk))

        assert desk.text().endswith(f"{number}\n")


def test_what_has_nothing_to_say_is_told_at_once(desk: Desk) -> None:
    told: list[str] = []
    desk.outputs.drain("app", lambda: told.append("no such service"))
    os.close(desk.outputs.open(spec(), Identity()))
    desk.outputs.drain("app", lambda: told.append("it is silent"))

    assert told == ["no such service", "it is silent"]


def test_a_disk_that_hangs_holds_nobody_up_for_long(desk: Desk) -> None:
    awake = hang(desk)

    async def go_on() -> float:
        desk.run("echo", "hello")
        desk.outputs.retune(spec(max_bytes=1000))
        once = []
        desk.outputs.drain("app", lambda: once.append(1))
        seconds = await drained(desk)
        awake.set()
        wait_until(lambda: desk.log.exists() and desk.text() == "hello\n", "the disk is back")
        await asyncio.sleep(0)
        assert once == [1]
        return seconds

    assert PATIENCE <= asyncio.run(go_on()) < DEADLINE


def test_the_end_of_stackd_does_not_wait_for_ever(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    awake = hang(desk)
    begun = time.monotonic()
    desk.outputs.close()

    assert LAST_CHANCE <= time.monotonic() - begun < DEADLINE
    assert f"the log folder {desk.log_dir} does not take it in time" in caplog.text
    awake.set()
    assert desk.outputs._mover.wait(DEADLINE)


def test_the_loop_goes_on_turning_while_hundreds_of_megabytes_pass(desk: Desk) -> None:
    async def watch() -> int:
        output = desk.outputs.open(spec(max_bytes=20_000_000, keep=1000), Identity())
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", LOUD, stdout=output)
        os.close(output)
        ending = asyncio.create_task(process.wait())
        turns = 0
        while not ending.done():
            await asyncio.sleep(0.001)
            turns += 1
        await drained(desk)
        return turns

    turns = asyncio.run(watch())

    assert sum(path.stat().st_size for path in desk.files()) == 300_000_000
    # That takes half a second or more. A loop that moved the bytes itself would not come to anything else.
    assert turns > 50


def test_nothing_is_done_while_nobody_prints(desk: Desk) -> None:
    desk.run("echo", "hello")
    wait_until(lambda: desk.log.exists() and desk.text() == "hello\n", "it is written")
    thread = desk.outputs._mover._thread.native_id
    assert thread is not None
    stat = f"/proc/self/task/{thread}/status"

    def switches() -> str:
        with open(stat) as file:  # noqa: PTH123 - the kernel's
            return file.read().partition("voluntary_ctxt_switches:")[2].split()[0]

    def rests() -> bool:
        before = switches()
        time.sleep(0.05)
        return switches() == before

    wait_until(rests, "it rests")
    before = switches()
    time.sleep(0.5)
    assert switches() == before
