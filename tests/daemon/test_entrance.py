"""Who connects to stackd and means no good, or too much of it."""

from __future__ import annotations

import asyncio
import resource
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
import zmq

from supervisor_stack.control.client import StackClient
from supervisor_stack.control.codec import decode_notice, encode_request
from supervisor_stack.control.messages import (
    EVENT_TOPIC,
    Accepted,
    Events,
    EventsReply,
    Failed,
    Finished,
    Progress,
    Shutdown,
    Start,
    Status,
    StatusReply,
    Stop,
)
from supervisor_stack.control.zmtp import GREETING, LONG, MORE, Limits, Reader, ready
from supervisor_stack.daemon.connection import Connection
from supervisor_stack.daemon.entrance import MOST_PENDING, MOST_UNANSWERED, Entrance
from supervisor_stack.daemon.local import REQUEST, REQUESTS
from supervisor_stack.daemon.peer import Peer
from supervisor_stack.daemon.roster import Roster
from tests.cli.shop import stackctl
from tests.daemon.test_bad_weather import memory
from tests.network.bench import as_user
from tests.raw import Raw, message, subscription
from tests.servers import wait_until
from tests.stack import RunningStack

SLEEP = "[services.app]\ncommand = ['/bin/sleep', '1000']\nbackoff = {initial = '50ms'}\n"
MANY = "".join(f"[services.app-{number}]\ncommand = ['/bin/sleep', '1000']\n" for number in range(8))
MIB = 2**20


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[RunningStack]:
    """A service that sleeps."""
    with RunningStack(tmp_path, SLEEP) as running:
        running.until_up()
        yield running
        said = running.output.read_text()
        assert "Traceback" not in said
        assert "internal error" not in said


def control(stack: RunningStack) -> Path:
    return stack.run_dir / "control.sock"


def events(stack: RunningStack) -> Path:
    return stack.run_dir / "events.sock"


def descriptors(stack: RunningStack) -> int:
    return len(list(Path(f"/proc/{stack.pid}/fd").iterdir()))


# Those who do not keep to the protocol.


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(bytes([MORE, 0]) * 1_000_000, id="a message of a million frames"),
        pytest.param((bytes([MORE, 255]) + bytes(255)) * 1000, id="a message that is too large in all"),
        pytest.param(bytes([LONG]) + (300 * MIB).to_bytes(8, "big"), id="a frame of 300 MB"),
        pytest.param(bytes([LONG]) + (2**63).to_bytes(8, "big"), id="a frame larger than all memory"),
        pytest.param(b"\xff" * 100, id="flags that there are not"),
    ],
)
def test_whoever_sends_what_is_not_read_is_hung_up_on_and_nothing_is_kept(
    stack: RunningStack, sent: bytes
) -> None:
    before = memory(stack)
    for path, kind in ((control(stack), b"DEALER"), (events(stack), b"SUB")):
        with Raw(path, kind) as client:
            with suppress(BrokenPipeError, ConnectionResetError):
                client.send(sent)
            assert client.is_hung_up_on()

    assert stack.status().stack.state == "running"
    assert memory(stack) - before < MIB


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\n\r\n", GREETING[:10] + b"\x01", bytes(64)])
def test_another_protocol_is_hung_up_on_at_once(stack: RunningStack, sent: bytes) -> None:
    with Raw(control(stack), greeted=False) as client:
        client.send(sent)

        assert client.is_hung_up_on()


def test_who_stops_in_the_middle_is_not_waited_for_and_who_is_silent_may_stay(stack: RunningStack) -> None:
    begun = (b"", GREETING[:5], GREETING, GREETING + ready(b"DEALER")[:-1])
    half = message(*encode_request(Status()))[:-1]
    with ExitStack() as opened:
        silent = [opened.enter_context(Raw(control(stack))) for _ in range(3)]
        stopped = [opened.enter_context(Raw(control(stack), greeted=False)) for _ in begun]
        for client, sent in zip(stopped, begun, strict=True):
            client.send(sent)
        stopped.append(opened.enter_context(Raw(control(stack))))
        stopped[-1].send(half)

        for client in stopped:
            assert client.is_hung_up_on()
        for client in silent:
            client.ask(Status())
            assert isinstance(client.answer(), StatusReply)


def test_halves_of_messages_take_no_more_than_their_share(stack: RunningStack) -> None:
    before = memory(stack)
    half = bytes([LONG]) + (65_000).to_bytes(8, "big") + bytes(64_000)
    with ExitStack() as opened:
        for _ in range(900):  # 55 MB; kept are 8
            with suppress(BrokenPipeError, ConnectionResetError):
                opened.enter_context(Raw(control(stack))).send(half)
        assert stack.status().stack.state == "running"

    assert memory(stack) - before < 12 * MIB


def test_halves_that_came_to_their_end_keep_nobody_out_while_their_clients_do_not_read(
    stack: RunningStack,
) -> None:
    whole = message(*encode_request(Status(detail=True)))
    request, length = encode_request(Status()), 65_000
    padded = message(request[0], request[1].ljust(length))
    with ExitStack() as opened:
        clients = []
        for _ in range(MOST_PENDING // len(padded)):
            clients.append(opened.enter_context(Raw(control(stack))))
            clients[-1].send(padded[:-10])
        assert stack.status().stack.state == "running"
        for client in clients:  # so many answers that he is not listened to any more
            client.send(padded[-10:] + whole * 300)
        for _ in range(20):
            assert stack.status().stack.state == "running"

        with Raw(control(stack)) as newcomer:
            newcomer.send(padded[:-1])
            assert stack.status().stack.state == "running"
            newcomer.send(padded[-1:])
            assert isinstance(newcomer.answer(), StatusReply)


# Those who do not read.


def test_who_asks_and_does_not_read_yet_gets_every_answer_in_its_order(stack: RunningStack) -> None:
    ids = [str(number) for number in range(10_000)]
    with Raw(control(stack)) as client:
        requests = b"".join(message(*encode_request(Status(id=each))) for each in ids)
        asking = threading.Thread(target=client.send, args=(requests,))
        asking.start()
        assert stack.status().stack.state == "running"

        assert [client.answer().id for _ in ids] == ids
        asking.join()


def test_hundreds_who_ask_and_never_read_cost_no_more_than_their_share(tmp_path: Path) -> None:
    with RunningStack(tmp_path, MANY) as stack:
        stack.until_up()
        before = memory(stack)
        request = message(*encode_request(Status(detail=True))) * 500  # some 10 KB are answered to each
        with ExitStack() as opened:
            for _ in range(300):
                client = opened.enter_context(Raw(control(stack)))
                client.send(request)
            for _ in range(20):
                assert stack.status().stack.state == "running"
            stack.kill("app-0")
            stack.until_run("app-0", 2)

            assert memory(stack) - before < 64 * MIB


def test_a_subscriber_who_does_not_read_loses_notices_and_holds_nobody_up(tmp_path: Path) -> None:
    spins = "[services.spins]\ncommand = ['/bin/true']\nbackoff = {initial = 0, max = 0}\n"
    with RunningStack(tmp_path, f"{spins}start_limit = {{burst = 1000000}}\n") as stack:
        before = memory(stack)
        with Raw(events(stack), b"SUB") as slow:
            slow.send(subscription(EVENT_TOPIC))
            first = decode_notice(slow.frames()).seq
            last = first + 2500
            wait_until(lambda: stack.status().seq > last, "many notices are published")
            heard = [first]
            while heard[-1] == first + len(heard) - 1:
                heard.append(decode_notice(slow.frames()).seq)

        assert 1000 < len(heard) < 2500
        assert heard[-1] > last, "he goes on with what is published when he reads again"
        assert memory(stack) - before < 4 * MIB


# Those who are many.


def test_more_clients_than_there_is_room_for_keep_nobody_out_who_is_in(tmp_path: Path) -> None:
    stack = RunningStack(tmp_path, SLEEP)
    stack.through = ("prlimit", "--nofile=1024:1024")
    with stack, ExitStack() as opened:
        stack.until_up()
        room = 1024 // 4 - 1  # besides the one of the stack itself
        inside = [opened.enter_context(Raw(control(stack))) for _ in range(room)]
        for _ in range(500):
            with Raw(control(stack), greeted=False) as surplus:
                assert surplus.is_hung_up_on()

        for client in inside:
            client.ask(Status())
        assert {type(client.answer()) for client in inside} == {StatusReply}
        before = descriptors(stack)
        inside.pop().close()
        wait_until(lambda: descriptors(stack) < before, "it is closed")
        with Raw(control(stack)) as another:
            another.ask(Status())
            assert isinstance(another.answer(), StatusReply)


def connections(roster: Roster, user: int, count: int) -> list[Connection]:
    """Of a user; those that the roster turns away are closed."""
    made = []
    for _ in range(count):
        mine, theirs = socket.socketpair()
        theirs.close()
        connection = Connection(mine, Reader(b"", (), Limits(0, 0)))
        connection.peer = Peer(user, user, 1)
        made.append(connection)
        if surplus := roster.add(connection):
            roster.remove(surplus)
            surplus.close()
    return made


def test_a_user_with_many_connections_makes_room_for_one_with_few() -> None:
    roster = Roster(4)
    many = connections(roster, 1000, 6)
    few = connections(roster, 0, 2)
    late = connections(roster, 1000, 1)

    assert [each.is_open for each in many] == [True, True, False, False, False, False]
    assert [each.is_open for each in few] == [True, True]
    assert [each.is_open for each in late] == [False]
    assert {each.peer.uid for each in roster.all()} == {0, 1000}
    for each in roster.all():
        each.close()


def test_without_descriptors_a_client_waits_until_there_are_some(stack: RunningStack) -> None:
    soft, hard = resource.prlimit(stack.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(stack.pid, resource.RLIMIT_NOFILE, (descriptors(stack), hard))
    with Raw(control(stack), greeted=False) as client:
        client.begin()
        client.ask(Status())
        assert stack.status().stack.state == "running"
        resource.prlimit(stack.pid, resource.RLIMIT_NOFILE, (soft, hard))

        assert isinstance(client.answer(), StatusReply)


@contextmanager
def hammering(clients: list[Raw], rounds: Callable[[Raw], None]) -> Iterator[list[int]]:
    """Let clients ask without pause while something else goes on; yields a list with how often they did."""
    done = [0]
    over = threading.Event()
    failures: list[BaseException] = []

    def hammer() -> None:
        try:
            while not over.is_set():
                for client in clients:
                    rounds(client)
                done[0] += len(clients)
        except BaseException as error:  # noqa: BLE001 - told to the test below
            failures.append(error)

    thread = threading.Thread(target=hammer)
    thread.start()
    try:
        yield done
    finally:
        over.set()
        thread.join()
    assert not failures, failures


def test_five_hundred_ask_and_listen_while_a_service_crashes_and_comes_back(stack: RunningStack) -> None:
    seq = stack.status().seq
    before = memory(stack)
    with ExitStack() as opened:
        asking = [opened.enter_context(Raw(control(stack))) for _ in range(500)]
        listening = [opened.enter_context(Raw(events(stack), b"SUB")) for _ in range(500)]
        for client in listening:
            client.send(subscription(EVENT_TOPIC))
        with hammering(asking, lambda client: client.ask(Status())) as done:
            for run in range(2, 6):
                stack.kill("app")
                asked = done[0]
                stack.until_run("app", run)
                wait_until(lambda: done[0] > asked, "they go on asking")  # noqa: B023
        answers = []
        for client in asking:
            client.ask(Events())  # the last one
            answers.append(0)
            while not isinstance(client.answer(), EventsReply):
                answers[-1] += 1
        last = stack.status().seq
        heard = [[decode_notice(client.frames()).seq for _ in range(last - seq)] for client in listening]

        assert len(set(answers)) <= 2  # each as often as the others; the hammer stopped between two of them
        assert sum(answers) >= done[0] >= 500
        assert heard == [list(range(seq + 1, last + 1))] * 500
        assert memory(stack) - before < 64 * MIB


def test_one_who_floods_does_not_hold_up_others_nor_a_deadline(stack: RunningStack) -> None:
    flood = message(*encode_request(Status())) * 100
    with Raw(control(stack)) as flooding:

        def pour(client: Raw) -> None:
            client.send(flood)
            for _ in range(100):
                client.answer()

        with hammering([flooding], pour) as done:
            for run in range(2, 5):
                stack.kill("app")
                stack.until_run("app", run)
            for _ in range(100):
                assert stack.status().stack.state == "running"
        assert done[0] > 0


def test_clients_that_come_and_go_leave_nothing_behind(stack: RunningStack) -> None:
    before = descriptors(stack)
    for number in range(2000):
        with Raw(control(stack), greeted=number % 2 == 0) as client:
            if number % 4 == 0:
                client.ask(Status())

    wait_until(lambda: descriptors(stack) == before, "all of them are closed")
    assert stack.status().stack.state == "running"


async def until(fact: Callable[[], bool]) -> None:
    """Let the loop turn until something is so."""
    async with asyncio.timeout(30):
        while not fact():  # noqa: ASYNC110 - what it is about tells nobody
            await asyncio.sleep(0)


def test_an_answer_for_one_who_has_gone_makes_no_room_for_more(tmp_path: Path) -> None:
    async def scenario() -> None:
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(tmp_path / "sock"))
        listening.listen()
        heard: list[Connection] = []
        entrance = Entrance(
            listening,
            asyncio.get_running_loop(),
            REQUESTS,
            REQUEST,
            1000,
            MIB,
            lambda connection, _: heard.append(connection),
        )

        def ask() -> Raw:
            client = Raw(tmp_path / "sock", greeted=False)
            client.begin()
            client.ask(Status())
            return client

        with ask():
            await until(lambda: bool(heard))
            entrance.dismiss()
            entrance.answered(heard.pop())
        clients = [ask() for _ in range(MOST_UNANSWERED + 8)]
        await until(lambda: len(heard) >= MOST_UNANSWERED)
        for _ in range(1000):
            await asyncio.sleep(0)
        assert len(heard) == MOST_UNANSWERED
        for count in range(MOST_UNANSWERED + 1, len(clients) + 1):
            entrance.answered(heard[count - MOST_UNANSWERED - 1])
            await until(lambda: len(heard) == count)  # noqa: B023
        entrance.close()
        for client in clients:
            client.close()

    asyncio.run(scenario())


# What they ask for.


HANGS = """
[services.hangs]
autostart = false
command = ['/bin/sleep', '1000']
ready = {type = 'notify'}
start_timeout = 1000
"""


def test_one_user_may_have_a_hundred_operations_under_way_and_others_go_on(tmp_path: Path) -> None:
    toml = f"[control.roles]\noperate = ['daemon']\n{HANGS}"
    with RunningStack(tmp_path, toml) as stack, Raw(control(stack)) as client:
        for number in range(101):
            client.ask(Start(services=("hangs",), id=f"start {number}"))
        accepted = 0
        while not isinstance(answer := client.answer(), Failed):
            accepted += isinstance(answer, Accepted)

        assert accepted == 100
        assert answer.error == "refused"
        assert answer.message == "cannot begin with it: 100 operations are under way, 100 of them yours"
        refused = stackctl("--socket", stack.client.endpoint, "start", "--no-wait", "hangs")
        assert ": 100 operations are under way, 100 of them yours" in refused.err, "another process of his"
        assert as_user("daemon", "-c", stack.config, "start", "--no-wait", "hangs").code == 0
        client.ask(Shutdown(id="shutdown"))
        while not isinstance(answer := client.answer(), Failed):
            assert not isinstance(answer, Accepted)
        told = "cannot tell how it ends: 100 that you asked for later are under way"
        assert (answer.id, answer.message) == ("start 0", told)
        answer = client.answer()
        assert isinstance(answer, Accepted)
        assert answer.id == "shutdown"


def test_a_stop_is_never_refused_and_who_waits_longest_hears_no_more(tmp_path: Path) -> None:
    stays = "[services.stays]\ncommand = ['sh', '-c', 'trap : TERM; while :; do sleep 0.1; done']\n"
    toml = f"{stays}stop_timeout = 1000\n"
    with RunningStack(tmp_path, toml) as stack, Raw(control(stack)) as client:
        stack.until_up()
        for number in range(102):
            client.ask(Stop(services=("stays",), id=f"stop {number}"))

        told: list[tuple[str, type]] = []
        while len(told) < 104:
            if not isinstance(answer := client.answer(), Progress):
                told.append((answer.id, type(answer)))
        asked = [each for each in told if each[1] is Accepted]
        assert asked == [(f"stop {number}", Accepted) for number in range(102)]
        assert [each for each in told if each not in asked] == [("stop 0", Failed), ("stop 1", Failed)]
        stack.kill("stays")
        ended: set[str] = set()
        while len(ended) < 100:
            if isinstance(answer := client.answer(), Finished):
                assert answer.ok
                ended.add(answer.id)
        assert ended == {f"stop {number}" for number in range(2, 102)}


def test_operations_that_nobody_waits_for_any_more_count_for_nobody(tmp_path: Path) -> None:
    with RunningStack(tmp_path, HANGS) as stack:
        for _ in range(11):
            with Raw(control(stack)) as client:
                for number in range(100):
                    client.ask(Start(services=("hangs",), id=str(number)))
                last = None
                while last != "99":
                    answer = client.answer()
                    assert isinstance(answer, Accepted | Progress)
                    last = answer.id if isinstance(answer, Accepted) else last

        for words in (("start", "--no-wait", "hangs"), ("stop", "hangs"), ("start", "--no-wait", "hangs")):
            assert stackctl("--socket", stack.client.endpoint, *words).code == 0
        for _ in range(110):
            with Raw(control(stack)) as client:
                client.ask(Start(services=("hangs",)))
                assert isinstance(client.answer(), Accepted)
        assert stackctl("--socket", stack.client.endpoint, "shutdown").code == 0


def test_topics_are_few_and_short(stack: RunningStack) -> None:
    for sent in (subscription(b"x" * 300), b"".join(subscription(b"%d" % number) for number in range(65))):
        with Raw(events(stack), b"SUB") as client:
            client.send(sent)
            assert client.is_hung_up_on()


# ZeroMQ at the other end.


def test_a_subscription_of_zeromq_begins_and_ends(stack: RunningStack) -> None:
    with zmq.Context() as context, context.socket(zmq.SUB) as feed:
        feed.linger = 0
        feed.connect(f"ipc://{events(stack)}")
        feed.subscribe("stack/1.event.other")
        feed.subscribe("stack/1.event.app")
        with StackClient(stack.client.endpoint) as client:
            client.request(Status())
        stack.kill("app")
        assert feed.poll(30_000)
        assert decode_notice(feed.recv_multipart()).service == "app"
        feed.unsubscribe("stack/1.event.app")
        stack.until_run("app", 2)


def test_signs_of_life_are_given_to_a_client_who_asks_for_them(stack: RunningStack) -> None:
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger = 0
        dealer.setsockopt(zmq.HEARTBEAT_IVL, 20)
        dealer.setsockopt(zmq.HEARTBEAT_TIMEOUT, 1000)
        with dealer.get_monitor_socket(zmq.EVENT_DISCONNECTED) as monitor:
            dealer.connect(f"ipc://{control(stack)}")
            dealer.send_multipart(encode_request(Status()))
            assert dealer.poll(30_000)
            assert not monitor.poll(1500), "hung up on, for want of a sign"
            dealer.disable_monitor()
