"""What services tell about themselves, from real processes over real sockets."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from supervisor_stack.core.events import BecameReady, Event, StatusReceived
from supervisor_stack.daemon.notify import DATAGRAMS_AT_ONCE, LARGEST_DATAGRAM, Notifications
from supervisor_stack.errors import SpawnError
from tests.daemon.conftest import nothing_kept

# Sends each line of its input, given in hexadecimal, as a datagram, and says when that is done.
SENDER = """
import socket, sys
sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
for line in sys.stdin:
    sock.sendto(bytes.fromhex(line), sys.argv[1])
    print(flush=True)
"""


FLOOD = """
import itertools, socket, sys
sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
for number in itertools.count():
    sock.sendto(b"STATUS=%d" % number, sys.argv[1])
"""


class Service:
    """A process that tells what it is told to tell."""

    def __init__(self, path: str, source: str = SENDER) -> None:
        argv = (sys.executable, "-c", source, path)
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self.process.pid

    def tell(self, message: bytes) -> None:
        """Returns when it is sent."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(message.hex() + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "\n"


class Desk:
    """Notifications with a service `web`, and what they posted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.members: set[tuple[str, int]] = set()
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        self.services: list[Service] = []
        self.notifications = Notifications(
            folder,
            self.events.put_nowait,
            lambda service, pid: (service, pid) in self.members,
            nothing_kept(),
        )

    def start(self, run: int = 1, source: str = SENDER) -> Service:
        """A process, which is the main process of this run."""
        service = Service(self.notifications.open("web"), source)
        self.services.append(service)
        self.notifications.bind_run("web", run, service.pid)
        return service

    def start_stranger(self) -> Service:
        """A process that knows the socket, and is not the main process."""
        service = Service(str(self.folder / "web.sock"))
        self.services.append(service)
        return service

    async def next(self) -> Event:
        return await asyncio.wait_for(self.events.get(), 10)

    def end(self) -> None:
        self.notifications.close("web")
        for service in self.services:
            service.process.communicate()


def at_desk(folder: Path, story: Callable[[Desk], Awaitable[None]]) -> None:
    async def run() -> None:
        desk = Desk(folder / "notify")
        try:
            await story(desk)
        finally:
            desk.end()

    asyncio.run(run())


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def ready(run: int = 1) -> Event:
    return BecameReady(service="web", run=run)


def status(text: str, extend: float = 0.0, run: int = 1) -> Event:
    return StatusReceived(service="web", run=run, status=text, extend=extend)


def test_a_service_says_that_it_is_ready(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        desk.start(run=7).tell(b"READY=1")
        assert await desk.next() == ready(run=7)

    at_desk(tmp_path, story)


def test_status_and_readiness_in_one_message_are_told_in_this_order(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        desk.start().tell("READY=1\nSTATUS=Größe 7\nMAINPID=1\n".encode())
        assert [await desk.next(), await desk.next()] == [status("Größe 7"), ready()]

    at_desk(tmp_path, story)


def test_a_status_is_posted_only_when_it_changes(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        service = desk.start()
        for text in (b"loading", b"loading", b"done"):
            service.tell(b"STATUS=" + text)
        assert [await desk.next(), await desk.next()] == [status("loading"), status("done")]

    at_desk(tmp_path, story)


def test_more_time_is_asked_for_in_microseconds(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        service = desk.start()
        service.tell(b"EXTEND_TIMEOUT_USEC=30500000\nSTATUS=recovering")
        service.tell(b"EXTEND_TIMEOUT_USEC=1000000")
        assert [await desk.next(), await desk.next()] == [
            status("recovering", 30.5),
            status("recovering", 1.0),
        ]

    at_desk(tmp_path, story)


def test_a_service_says_that_it_stops(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        service = desk.start()
        service.tell(b"STOPPING=1")
        service.tell(b"STOPPING=1\nSTATUS=flushing")
        assert [await desk.next(), await desk.next()] == [status("stopping"), status("flushing")]

    at_desk(tmp_path, story)


NONSENSE = (
    b"",
    b"\0",
    b"\n\n\n",
    b"=",
    b"=1",
    b"READY",
    b"READY=",
    b"READY=10",
    b" READY=1",
    b"STATUS=",
    b"EXTEND_TIMEOUT_USEC=",
    b"EXTEND_TIMEOUT_USEC=-1",
    b"EXTEND_TIMEOUT_USEC=1.5",
    b"EXTEND_TIMEOUT_USEC=" + b"9" * 4000,
    "EXTEND_TIMEOUT_USEC=٣".encode(),
    b"\xff\xfe=\xff",
    b"READY=1\n" + b"x" * LARGEST_DATAGRAM,
)


@pytest.mark.parametrize("message", NONSENSE, ids=lambda message: repr(message[:30]))
def test_nonsense_is_passed_over(tmp_path: Path, message: bytes) -> None:
    async def story(desk: Desk) -> None:
        service = desk.start()
        service.tell(message)
        service.tell(b"STATUS=end")
        assert await desk.next() == status("end")

    at_desk(tmp_path, story)


def test_a_status_comes_without_control_characters(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        desk.start().tell(b"STATUS=\x1b[2Jgone\xff")
        assert await desk.next() == status("\\x1b[2Jgone\ufffd")

    at_desk(tmp_path, story)


def test_a_stranger_is_not_believed(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        service = desk.start()
        desk.start_stranger().tell(b"READY=1")
        service.tell(b"STATUS=end")
        assert await desk.next() == status("end")

    at_desk(tmp_path, story)


def test_another_process_of_the_service_is_believed(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        desk.start()
        child = desk.start_stranger()
        desk.members.add(("web", child.pid))
        child.tell(b"READY=1")
        assert await desk.next() == ready()

    at_desk(tmp_path, story)


def test_what_an_earlier_run_left_in_the_socket_is_not_believed(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        desk.start(run=1).tell(b"READY=1")
        desk.start(run=2).tell(b"STATUS=end")
        assert await desk.next() == status("end", run=2)

    at_desk(tmp_path, story)


def test_nothing_is_believed_before_the_run_is_known(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        path = desk.notifications.open("web")
        service = Service(path)
        desk.services.append(service)
        desk.members.add(("web", service.pid))
        service.tell(b"READY=1")
        # Two turns of the loop: in the first the socket is found readable, in the second it was read.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        desk.notifications.bind_run("web", 1, service.pid)
        service.tell(b"STATUS=end")
        assert await desk.next() == status("end")

    at_desk(tmp_path, story)


def test_descriptors_that_come_along_are_closed(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        path = desk.notifications.open("web")
        desk.notifications.bind_run("web", 1, os.getpid())
        reader, writer = os.pipe()
        before = descriptors()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.connect(path)
            socket.send_fds(sock, [b"BARRIER=1"], [writer] * 100)
            sock.send(b"STATUS=end")
        os.close(writer)
        assert await desk.next() == status("end")
        # End of file, and not a wait: nobody has the other end any more.
        assert os.read(reader, 1) == b""
        os.close(reader)
        assert descriptors() == before - 2

    at_desk(tmp_path, story)


def test_a_service_that_never_stops_talking_gets_a_share_of_each_turn(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        service = desk.start(source=FLOOD)
        await desk.next()
        for _ in range(100):
            before = desk.events.qsize()
            await asyncio.sleep(0)
            assert desk.events.qsize() <= before + DATAGRAMS_AT_ONCE
        service.process.kill()

    at_desk(tmp_path, story)


def test_every_user_may_write_and_nobody_else_may_change_the_directory(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        assert desk.notifications.open("web") == f"{desk.folder}/web.sock"
        assert mode(desk.folder / "web.sock") == 0o666
        assert mode(desk.folder) == 0o755

    at_desk(tmp_path, story)


def test_a_stale_socket_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "notify").mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stale:
        stale.bind(str(tmp_path / "notify" / "web.sock"))

    async def story(desk: Desk) -> None:
        desk.start().tell(b"READY=1")
        assert await desk.next() == ready()

    at_desk(tmp_path, story)


def test_close_removes_the_file_and_may_be_repeated(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        desk.notifications.open("web")
        desk.notifications.close("web")
        desk.notifications.close("web")

    at_desk(tmp_path, story)
    assert list((tmp_path / "notify").iterdir()) == []


def test_a_run_of_a_service_without_a_socket_means_nothing(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        desk.notifications.bind_run("redis", 1, os.getpid())
        assert desk.events.empty()

    at_desk(tmp_path, story)


def test_a_path_that_is_too_long_is_told(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        name = "x" * 108
        with pytest.raises(SpawnError) as error:
            desk.notifications.open(name)
        where = desk.folder / f"{name}.sock"
        assert (
            error.value.message
            == f"cannot start {name}: cannot open its notify socket {where}: AF_UNIX path too long"
        )

    at_desk(tmp_path, story)
