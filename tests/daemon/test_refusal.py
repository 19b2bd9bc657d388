"""A service that does not stop, and says so in its log."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from supervisor_stack.daemon import refusal
from supervisor_stack.daemon.capture import Mark, Reader, mark
from supervisor_stack.daemon.launch import Identity
from supervisor_stack.kinds.redis import KIND
from tests.servers import Server, free_port, start_redis

OURS = Reader("", Identity())


def watched(places: list[Mark], pattern: str, act: Callable[[], object]) -> tuple[str, ...]:
    """What is found after something was done."""

    async def story() -> tuple[str, ...]:
        watching = asyncio.create_task(refusal.watch(places, OURS, pattern))
        await asyncio.sleep(0)
        act()
        return await asyncio.wait_for(watching, 20)

    return asyncio.run(story())


def say(redis: Server, *commands: str) -> list[str]:
    """What Redis answers, to each of these. Not up to the end: its children inherit the connection."""
    replies = []
    with (
        socket.create_connection((redis.address.host, redis.address.port)) as client,
        client.makefile("rw", newline="\r\n") as stream,
    ):
        for words in commands:
            stream.write(f"{words}\r\n")
            stream.flush()
            line = stream.readline()
            replies.append((stream.readline() if line.startswith("$") else line).strip())
    return replies


def test_a_redis_that_cannot_save_its_data_says_why_and_goes_on(tmp_path: Path) -> None:
    with start_redis(tmp_path, free_port()) as redis:
        assert say(redis, "CONFIG SET save '3600 1'", "SET key value") == ["+OK", "+OK"]
        # For root a folder without the right to write is no obstacle; a folder in place of the file is.
        (tmp_path / "dump.rdb").mkdir()
        place = mark(str(redis.log))
        evidence = watched([place], KIND.stop_refusal, lambda: redis.process.send_signal(signal.SIGTERM))

        assert any("Error moving temp DB file" in line and "Is a directory" in line for line in evidence)
        assert any("Error trying to save the DB, can't exit." in line for line in evidence)
        assert say(redis, "GET key") == ["value"]
        say(redis, "CONFIG SET save ''")


def test_a_redis_that_writes_its_first_aof_says_so_and_goes_on(tmp_path: Path) -> None:
    # Microseconds for each key that its child writes: it is not done when the signal comes.
    with start_redis(tmp_path, free_port(), "--rdb-key-save-delay", "2000000") as redis:
        say(redis, "SET key value", "CONFIG SET appendonly yes")
        place = mark(str(redis.log))
        evidence = watched([place], KIND.stop_refusal, lambda: redis.process.send_signal(signal.SIGTERM))

        assert any("Writing initial AOF, can't exit." in line for line in evidence)
        assert say(redis, "GET key") == ["value"]
        say(redis, "CONFIG SET appendonly no")


def test_what_was_said_before_the_signal_does_not_count(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("cannot stop: yesterday\n")

    def go_on() -> None:
        with log.open("a") as file:
            file.write("so be it\ncannot stop: today\n")

    assert watched([mark(str(log))], "cannot stop", go_on) == ("so be it", "cannot stop: today")


def test_every_log_is_looked_at_also_one_that_comes_later(tmp_path: Path) -> None:
    quiet, later = tmp_path / "quiet", tmp_path / "later"
    quiet.write_text("")
    places = [mark(str(quiet)), mark(str(later))]
    assert watched(places, "^no$", lambda: later.write_text("no\n")) == ("no",)


def test_whoever_obeys_is_waited_for_until_nobody_wants_to_know(tmp_path: Path) -> None:
    async def story() -> None:
        watching = asyncio.create_task(refusal.watch([mark(str(tmp_path / "log"))], OURS, "no"))
        done, _ = await asyncio.wait([watching], timeout=0.1)
        assert not done
        watching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watching

    asyncio.run(story())
