"""Notices as both clients hear them, against a peer on real sockets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import pytest

from supervisor_stack import errors
from supervisor_stack.control.messages import AnyRequest, Events, EventsReply, Notice
from supervisor_stack.control.parts import Daemon
from tests.control.driven import Connect
from tests.peer import Peer, Step, Vanish


def notice(seq: int) -> Notice:
    return Notice(
        seq=seq, time="2026-11-22T05:45:36.123Z", service="web", event="Spawned", state="starting",
        previous="waiting", wanted="running", run=seq, pid=100 + seq,
    )  # fmt: skip


class Memory:
    """What a stackd remembers, as an answer to Events. `since`: when it began; None: it does not say."""

    def __init__(self, *seqs: int, since: str | None = None) -> None:
        self.seqs = list(seqs)
        self.stackd = None if since is None else Daemon(pid=812, version="0.1.0", since=since)
        self.endpoint = ""

    def __call__(self, request: AnyRequest) -> Iterable[Step]:
        assert isinstance(request, Events)
        after = [seq for seq in self.seqs if seq > request.since]
        kept = after[len(after) - min(request.limit, len(after)) :]
        yield EventsReply(
            notices=tuple(map(notice, kept)),
            events=self.endpoint,
            seq=max(self.seqs, default=0),
            stackd=self.stackd,
        )


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def peer(tmp_path: Path, memory: Memory) -> Iterator[Peer]:
    with Peer(tmp_path, memory) as peer:
        memory.endpoint = peer.events
        yield peer


def take(count: int, notices: Iterator[Notice]) -> list[int]:
    return [notice.seq for notice in islice(notices, count)]


def test_a_subscriber_gets_what_it_missed_before_it_came(
    connect: Connect, peer: Peer, memory: Memory
) -> None:
    memory.seqs = [4, 5, 6]

    with connect(peer.endpoint) as client:
        assert take(2, client.subscribe(since=4, timeout=10)) == [5, 6]


def test_a_subscriber_gets_each_notice_once_and_in_order(
    connect: Connect, peer: Peer, memory: Memory
) -> None:
    memory.seqs = [1]
    with connect(peer.endpoint) as client:
        notices = client.subscribe(since=0, timeout=10)
        told = take(1, notices)

        memory.seqs = [1, 2, 3]
        for seq in (1, 2, 2, 3):
            peer.do(notice(seq))

        assert told + take(2, notices) == [1, 2, 3]


def test_a_lost_notice_is_fetched(connect: Connect, peer: Peer, memory: Memory) -> None:
    memory.seqs = [1]
    with connect(peer.endpoint) as client:
        notices = client.subscribe(since=0, timeout=10)
        told = take(1, notices)

        memory.seqs = [1, 2, 3, 4]
        peer.do(notice(4))

        assert told + take(3, notices) == [1, 2, 3, 4]


def test_a_notice_that_was_published_into_the_void_is_fetched_after_a_silence(
    connect: Connect, peer: Peer, memory: Memory
) -> None:
    memory.seqs = [1]
    with connect(peer.endpoint) as client:
        notices = client.subscribe(since=0, timeout=10)
        told = take(1, notices)

        memory.seqs = [1, 2]

        assert told + take(1, notices) == [1, 2]


def test_a_subscriber_waits_no_longer_than_told(connect: Connect, peer: Peer) -> None:
    with connect(peer.endpoint) as client, pytest.raises(errors.TimedOutError):
        list(client.subscribe(since=0, timeout=0.05))


def test_a_subscriber_notices_that_stackd_died(connect: Connect, peer: Peer, memory: Memory) -> None:
    memory.seqs = [1]
    with connect(peer.endpoint) as client:
        notices = client.subscribe(since=0)
        take(1, notices)

        peer.do(Vanish())

        with pytest.raises(errors.UnreachableError, match="it is not running"):
            next(notices)


@pytest.mark.parametrize("endpoint", ["", "yesterday", "ipc://", "ipc://" + "x" * 300])
def test_a_place_of_events_that_is_none_is_an_error(connect: Connect, tmp_path: Path, endpoint: str) -> None:
    reply = EventsReply(notices=(), events=endpoint, seq=0)
    with (
        Peer(tmp_path, lambda _: [reply]) as peer,
        connect(peer.endpoint) as client,
        pytest.raises(errors.ProtocolVersionError, match="cannot listen to events at"),
    ):
        next(client.subscribe(0))


def test_a_subscriber_hears_by_default_what_happens_from_now_on(
    connect: Connect, peer: Peer, memory: Memory
) -> None:
    memory.seqs = [1, 2, 3]
    with connect(peer.endpoint) as client:
        notices = client.subscribe(timeout=10)
        memory_later(peer, memory)

        assert take(1, notices) == [4]


def memory_later(peer: Peer, memory: Memory) -> None:
    """One more, as soon as somebody has subscribed."""
    script = memory.__call__

    def then(request: AnyRequest) -> Iterable[Step]:
        yield from script(request)
        if len(peer.requests) > 1 and memory.seqs[-1] == 3:
            memory.seqs.append(4)
            yield notice(4)

    peer.script = then


# The next stackd counts anew.


@pytest.mark.parametrize(
    "since", [("a", "b"), (None, None)], ids=["that says who it is", "of an older version"]
)
def test_a_subscription_goes_on_with_the_next_stackd(
    connect: Connect, tmp_path: Path, since: tuple[str | None, str | None]
) -> None:
    with ExitStack() as exit_:
        old = serving(tmp_path, Memory(*range(1, 9), since=since[0]))
        client = exit_.enter_context(connect(old.endpoint))
        notices = client.subscribe(since=6, timeout=20)
        told = take(2, notices)
        old.__exit__(None, None, None)

        memory = Memory(1, 2, since=since[1])
        new = exit_.enter_context(serving(tmp_path, memory, enter=False))
        told += take(2, notices)
        memory.seqs.append(3)
        new.do(notice(3))

        assert told + take(1, notices) == [7, 8, 1, 2, 3]


def test_a_next_stackd_that_has_counted_further_is_known_by_its_age(connect: Connect, tmp_path: Path) -> None:
    with ExitStack() as exit_:
        old = serving(tmp_path, Memory(1, 2, since="a"))
        client = exit_.enter_context(connect(old.endpoint))
        notices = client.subscribe(since=1, timeout=20)
        told = take(1, notices)
        old.__exit__(None, None, None)
        exit_.enter_context(serving(tmp_path, Memory(1, 2, 3, since="b"), enter=False))

        assert told + take(3, notices) == [2, 1, 2, 3]


def test_a_subscription_that_begins_again_knows_which_stackd_it_heard(
    connect: Connect, tmp_path: Path
) -> None:
    with ExitStack() as exit_:
        old = serving(tmp_path, Memory(1, 2, since="a"))
        client = exit_.enter_context(connect(old.endpoint))
        take(1, client.subscribe(since=1, timeout=20))
        old.__exit__(None, None, None)
        with pytest.raises(errors.UnreachableError):
            take(1, client.subscribe(since=2, timeout=20))
        exit_.enter_context(serving(tmp_path, Memory(1, 2, 3, since="b"), enter=False))

        assert take(3, client.subscribe(since=2, timeout=20)) == [1, 2, 3]


def serving(folder: Path, memory: Memory, enter: bool = True) -> Peer:
    """A stackd with this memory."""
    peer = Peer(folder, memory)
    memory.endpoint = peer.events
    return peer.__enter__() if enter else peer
