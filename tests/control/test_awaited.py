"""What only the client that is awaited can do: many things at once, and to be cancelled."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterable
from contextlib import aclosing
from pathlib import Path

import msgspec
import pytest

from supervisor_stack import errors
from supervisor_stack.control.client import AsyncStackClient
from supervisor_stack.control.codec import encode_reply
from supervisor_stack.control.messages import Accepted, AnyRequest, Events, Finished, Start, Status
from supervisor_stack.control.parts import Outcome, Stack
from tests.control.test_client import STATUS, always
from tests.control.test_subscribe import Memory, notice
from tests.peer import Peer, Step, Vanish


class Reversed:
    """Answers none of so many questions before it has heard all, and the last one first."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._heard: list[AnyRequest] = []

    def __call__(self, request: AnyRequest) -> Iterable[Step]:
        self._heard.append(request)
        if len(self._heard) == self._count:
            for asked in reversed(self._heard):
                assert isinstance(asked, Status)
                stack = Stack(name=asked.services[0], state="running")
                yield encode_reply(msgspec.structs.replace(STATUS, id=asked.id, stack=stack))


def test_each_of_many_requests_gets_its_own_answer(tmp_path: Path) -> None:
    async def ask(endpoint: str) -> list[str]:
        async with AsyncStackClient(endpoint) as client:
            replies = await asyncio.gather(*(client.status(str(number)) for number in range(300)))
            assert client._conversation.open_count == 0
            return [reply.stack.name for reply in replies]

    with Peer(tmp_path, Reversed(300)) as peer:
        assert asyncio.run(ask(peer.endpoint)) == list(map(str, range(300)))


def test_an_await_that_is_cancelled_leaves_nothing(tmp_path: Path) -> None:
    async def ask(endpoint: str) -> None:
        async with AsyncStackClient(endpoint) as client:
            tasks = asyncio.all_tasks()
            waiting = (
                asyncio.ensure_future(client.status("first")),
                asyncio.ensure_future(client.start("first")),
                asyncio.ensure_future(client.wait("first")),
                asyncio.ensure_future(anext(client.subscribe())),
            )
            await asyncio.sleep(0)  # all of them begin
            assert client._conversation.open_count == len(waiting)
            for each in waiting:
                each.cancel()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await client.status("first")
            assert client._conversation.open_count == 0
            assert {task for task in asyncio.all_tasks() if not task.done()} == tasks

            # Whose answer comes before the own one is nobody any more.
            assert (await client.status("last")).stack.name == "shop"

    def script(request: AnyRequest) -> Iterable[Step]:
        if isinstance(request, Status) and request.services == ("last",):
            yield from (encode_reply(msgspec.structs.replace(STATUS, id=asked.id)) for asked in peer.requests)

    with Peer(tmp_path, script) as peer:
        asyncio.run(ask(peer.endpoint))
        assert [type(request) for request in peer.requests[:2]] == [Status, Start]


def test_a_subscription_can_be_cancelled_and_begun_again(tmp_path: Path) -> None:
    memory = Memory(1, 2, since="a")

    async def listen(client: AsyncStackClient) -> None:
        async for _ in client.subscribe(since=2):
            raise AssertionError("there is nothing to hear")

    async def run(endpoint: str) -> int:
        async with AsyncStackClient(endpoint) as client:
            task = asyncio.ensure_future(listen(client))
            await asyncio.to_thread(peer.asked.wait, 10)  # it is under way
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            memory.seqs.append(3)
            async with aclosing(client.subscribe(since=2)) as notices:
                peer.do(notice(3))
                return (await anext(notices)).seq

    with Peer(tmp_path, memory) as peer:
        memory.endpoint = peer.events
        assert asyncio.run(run(peer.endpoint)) == 3


def test_operations_questions_and_notices_go_on_side_by_side(tmp_path: Path) -> None:
    memory = Memory(1, since="a")

    def script(request: AnyRequest) -> Iterable[Step]:
        match request:
            case Events():
                yield from memory(request)
            case Start():
                yield Accepted(op=1, services=request.services)
                yield Finished(
                    op=1, ok=True, outcomes=(Outcome(service=request.services[0], state="running"),)
                )
            case _:
                yield STATUS

    async def listen(client: AsyncStackClient) -> list[int]:
        heard = []
        async with aclosing(client.subscribe(since=0)) as notices:
            async for each in notices:
                heard.append(each.seq)
                if each.seq == 1:
                    memory.seqs.append(2)
                    peer.do(notice(2))
                else:
                    break
        return heard

    async def run(endpoint: str) -> None:
        async with AsyncStackClient(endpoint) as client, asyncio.TaskGroup() as group:
            listening = [group.create_task(listen(client)) for _ in range(3)]
            started = [group.create_task(client.start(name)) for name in ("web", "db")]
            asked = [group.create_task(client.status()) for _ in range(20)]
        assert all(task.result()[:2] == [1, 2] for task in listening)
        assert [task.result().outcomes[0].service for task in started] == ["web", "db"]
        assert {task.result().stack.name for task in asked} == {"shop"}

    with Peer(tmp_path, script) as peer:
        memory.endpoint = peer.events
        asyncio.run(run(peer.endpoint))


def test_a_stackd_that_dies_fails_all_who_wait_for_it(tmp_path: Path) -> None:
    async def run(endpoint: str) -> None:
        async with AsyncStackClient(endpoint, timeout=60) as client:
            told = await asyncio.gather(*(client.status() for _ in range(5)), return_exceptions=True)
            assert {type(each) for each in told} == {errors.UnreachableError}
            assert len(set(map(id, told))) == 5
            with pytest.raises(errors.UnreachableError, match="it is not running"):
                await client.status()

    def script(request: AnyRequest) -> Iterable[Step]:
        if request.id == "5":
            yield Vanish()

    with Peer(tmp_path, script) as peer:
        asyncio.run(run(peer.endpoint))


def test_a_client_that_is_closed_fails_those_who_wait(tmp_path: Path) -> None:
    async def run(endpoint: str) -> None:
        client = await AsyncStackClient(endpoint).__aenter__()
        waiting = asyncio.ensure_future(client.status())
        await asyncio.sleep(0)
        await client.close()
        with pytest.raises(errors.UnreachableError):
            await waiting

    with Peer(tmp_path, always()) as peer:
        asyncio.run(run(peer.endpoint))


def test_nobody_there_is_told_when_the_context_is_entered(tmp_path: Path) -> None:
    async def run() -> None:
        async with AsyncStackClient(f"ipc://{tmp_path}/control.sock"):
            raise AssertionError("there is nobody")

    with pytest.raises(errors.UnreachableError, match="it is not running"):
        asyncio.run(run())


def test_a_full_queue_of_connections_does_not_hold_up_the_loop(tmp_path: Path) -> None:
    path = str(tmp_path / "control.sock")

    async def run() -> int:
        turns = 0

        async def turn() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        turning = asyncio.ensure_future(turn())
        with pytest.raises(errors.TimedOutError, match="it accepts no connection"):
            await AsyncStackClient(f"ipc://{path}", timeout=0.1).__aenter__()
        turning.cancel()
        return turns

    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(path)
        busy.listen(0)
        waiting.connect(path)

        assert asyncio.run(run()) > 10


def test_asyncio_is_loaded_when_the_client_is_asked_for() -> None:
    script = """
import sys
from supervisor_stack.control import client
assert "asyncio" not in sys.modules
client.AsyncStackClient
assert "asyncio" in sys.modules
assert "AsyncStackClient" in client.__all__
try:
    client.NoSuchClient
except AttributeError as error:
    print(error)
"""
    told = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout

    assert told == "module 'supervisor_stack.control.client' has no attribute 'NoSuchClient'\n"
