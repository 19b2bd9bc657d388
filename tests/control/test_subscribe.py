"""Notices as a client hears them, against a peer on real sockets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import pytest

from supervisor_stack import errors
from supervisor_stack.control.client import StackClient
from supervisor_stack.control.messages import (
    AnyRequest,
    Events,
    EventsReply,
    Notice,
)
from tests.peer import Peer, Step, Vanish


def notice(seq: int) -> Notice:
    return Notice(
        seq=seq, time="2026-11-22T05:45:36.123Z", service="web", event="Spawned", state="starting",
        previous="waiting", wanted="running", run=seq, pid=100 + seq,
    )  # fmt: skip


class Memory:
    """What stackd remembers, as an answer to Events."""

    def __init__(self, *seqs: int) -> None:
        self.seqs = list(seqs)
        self.endpoint = ""

    def __call__(self, request: AnyRequest) -> Iterable[Step]:
        assert isinstance(request, Events)
        after = [seq for seq in self.seqs if seq > request.since]
        kept = after[len(after) - min(request.limit, len(after)) :]
        yield EventsReply(
            notices=tuple(map(notice, kept)), events=self.endpoint, seq=max(self.seqs, default=0)
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


def test_a_subscriber_gets_what_it_missed_before_it_came(peer: Peer, memory: Memory) -> None:
    memory.seqs = [4, 5, 6]

    with StackClient(peer.endpoint) as client:
        assert take(2, client.subscribe(since=4, timeout=10)) == [5, 6]


def test_a_subscriber_gets_each_notice_once_and_in_order(peer: Peer, memory: Memory) -> None:
    memory.seqs = [1]
    with StackClient(peer.endpoint) as client:
        notices = client.subscribe(since=0, timeout=10)
        told = take(1, notices)

        memory.seqs = [1, 2, 3]
        for seq in (1, 2, 2, 3):
            peer.do(notice(seq))

        assert told + take(2, notices) == [1, 2, 3]


def test_a_lost_notice_is_fetched(peer: Peer, memory: Memory) -> None:
    memory.seqs = [1]
    with StackClient(peer.endpoint) as client:
        notices = client.subscribe(since=0, timeout=10)
        told = take(1, notices)

        memory.seqs = [1, 2, 3, 4]
        peer.do(notice(4))

        assert told + take(3, notices) == [1, 2, 3, 4]


def test_a_notice_that_was_published_into_the_void_is_fetched_after_a_silence(
    peer: Peer, memory: Memory
) -> None:
    memory.seqs = [1]
    with StackClient(peer.endpoint) as client:
        notices = client.subscribe(since=0, timeout=10)
        told = take(1, notices)

        memory.seqs = [1, 2]

        assert told + take(1, notices) == [1, 2]


def test_a_subscriber_waits_no_longer_than_told(peer: Peer) -> None:
    with StackClient(peer.endpoint) as client, pytest.raises(errors.TimedOutError):
        list(client.subscribe(since=0, timeout=0.05))


def test_a_subscriber_notices_that_stackd_died(peer: Peer, memory: Memory) -> None:
    memory.seqs = [1]
    with StackClient(peer.endpoint) as client:
        notices = client.subscribe(since=0)
        take(1, notices)

        peer.do(Vanish())

        with pytest.raises(errors.UnreachableError, match="stackd went away"):
            next(notices)


@pytest.mark.parametrize("endpoint", ["", "yesterday", "ipc://", "ipc://" + "x" * 300])
def test_a_place_of_events_that_is_none_is_an_error(tmp_path: Path, endpoint: str) -> None:
    reply = EventsReply(notices=(), events=endpoint, seq=0)
    with (
        Peer(tmp_path, lambda _: [reply]) as peer,
        StackClient(peer.endpoint) as client,
        pytest.raises(errors.ProtocolVersionError, match="cannot listen to events at"),
    ):
        next(client.subscribe(0))
