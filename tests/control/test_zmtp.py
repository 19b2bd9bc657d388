"""ZMTP as a server speaks it, from bytes to messages. With ZeroMQ at the other end: tests/daemon."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor_stack.control.zmtp import (
    COMMAND,
    GREETING,
    LONG,
    MORE,
    Limits,
    Reader,
    ZmtpError,
    encode,
    ready,
)
from tests.fuzz.mutate import bitten, stream

LIMITS = Limits(size=1000, frames=3)
HELLO = GREETING + ready(b"DEALER")
PARTNERS = frozenset({b"DEALER"})

Item = list[bytes] | bytes


def reader() -> Reader:
    return Reader(b"ROUTER", PARTNERS, LIMITS)


def read(pieces: Iterable[bytes], of: Reader | None = None) -> Iterator[Item]:
    """All that comes of these pieces, fed one after the other."""
    mine = of or reader()
    for piece in pieces:
        mine.feed(piece)
        while (found := mine.next()) is not None:
            yield found
        assert mine.pending <= LIMITS.size + 1100, "more is kept than is read"


def messages(*pieces: bytes) -> list[list[bytes]]:
    return [found for found in read(pieces) if isinstance(found, list)]


def cut(text: bytes, at: list[int]) -> list[bytes]:
    places = [0, *sorted(each % (len(text) + 1) for each in at), len(text)]
    return [text[start:end] for start, end in pairwise(places)]


def test_the_handshake_is_that_of_the_specification() -> None:
    mine = reader()

    assert list(read([GREETING], mine)) == [b"\x04\x1c\x05READY\x0bSocket-Type\x00\x00\x00\x06ROUTER"]
    assert not mine.is_ready
    assert list(read([ready(b"DEALER")], mine)) == [b""]
    assert mine.is_ready


def test_nothing_is_said_before_the_greeting_is_whole() -> None:
    assert list(read([GREETING[:63]])) == []


def test_properties_that_mean_nothing_here_are_passed_over() -> None:
    other = b"\x08Identity\x00\x00\x00\x03abc\x01X\x00\x00\x00\x00"
    body = b"\x05READY" + other + b"\x0bsocket-TYPE\x00\x00\x00\x06DEALER"

    assert messages(GREETING + bytes([COMMAND, len(body)]) + body, encode([b"a"])) == [[b"a"]]


@given(
    st.lists(st.lists(st.binary(max_size=300), min_size=1, max_size=3), max_size=5),
    st.lists(st.integers(0, 5000), max_size=8),
)
def test_messages_come_out_as_they_went_in_however_they_are_cut(
    sent: list[list[bytes]], at: list[int]
) -> None:
    whole = HELLO + b"".join(map(encode, sent))

    assert messages(*cut(whole, at)) == sent


def test_a_ping_is_answered_with_what_it_carries() -> None:
    ping = b"\x04PING\x00\x0aabc"

    assert list(read([HELLO, bytes([COMMAND, len(ping)]) + ping]))[-1] == b"\x04\x08\x04PONGabc"


def test_a_pong_is_answered_with_nothing() -> None:
    assert list(read([HELLO, b"\x04\x05\x04PONG"]))[-1] == b""


@pytest.mark.parametrize(
    ("sent", "cause"),
    [
        (b"GET / HTTP/1.1\r\n", "not ZMTP"),
        (b"\xff" + bytes(9), "not ZMTP"),
        (GREETING[:10] + b"\x01", "ZMTP 1"),
        (GREETING[:12] + b"CURVE", "mechanism"),
        (GREETING + ready(b"SUB"), "no READY of a socket that may talk to this one"),
        (GREETING + encode([b"stack/1"]), "no READY"),
        (GREETING + b"\x04\x05\x04PING", "command"),
        (GREETING + b"\x04\xff" + bytes(255), "a name|command"),
        (GREETING + b"\x04\x00", "a name that is cut off"),
        (GREETING + b"\x04\x08\x05READY\x05a", "a name that is cut off"),
        (GREETING + b"\x04\x0c\x05READY\x01a\x00\x00\x00\x09", "a property that is cut off"),
        (GREETING + b"\x06" + (2**20).to_bytes(8, "big"), "1048576 bytes where 1024 are read"),
        (HELLO + b"\x08\x00", "flags 0x08"),
        (HELLO + bytes([COMMAND | MORE, 0]), "flags 0x05"),
        (HELLO + bytes([COMMAND, 0]), "a name that is cut off"),
        (HELLO + b"\x04\x06\x05ERROR", "command b'ERROR'"),
        (HELLO + bytes([LONG]) + (1001).to_bytes(8, "big"), "1001 bytes where 1000 are read"),
        (HELLO + bytes([LONG]) + (2**64 - 1).to_bytes(8, "big"), "bytes where 1000 are read"),
        (
            HELLO + bytes([MORE, 200]) + bytes(200) + bytes([LONG]) + (801).to_bytes(8, "big"),
            "801 bytes where",
        ),
        (HELLO + bytes([MORE, 0]) * 3, "more than 3 frames in a message"),
    ],
)
def test_whoever_does_not_keep_to_it_is_hung_up_on(sent: bytes, cause: str) -> None:
    with pytest.raises(ZmtpError, match=cause):
        list(read([sent]))


def test_a_message_may_be_as_large_as_the_limits_and_have_as_many_frames() -> None:
    largest = [bytes(400), bytes(300), bytes(300)]

    assert messages(HELLO, encode(largest)) == [largest]


def test_what_is_kept_of_an_unfinished_message_is_told() -> None:
    mine = reader()
    list(read([HELLO + encode([b"abc"]) + bytes([MORE, 5]) + b"hello" + bytes([0, 9]) + b"half"], mine))

    assert mine.pending == len(b"hello") + 2 + len(b"half")


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_arbitrary_bytes_are_read_or_hung_up_on(pieces: list[bytes]) -> None:
    for hello in (b"", GREETING, HELLO):
        with suppress(ZmtpError):
            list(read([hello, *pieces]))


@given(st.randoms(use_true_random=False))
def test_a_mutated_stream_is_read_or_hung_up_on(random: Random) -> None:
    with suppress(ZmtpError):
        list(read(stream(random, b"DEALER")))
    with suppress(ZmtpError):
        list(read([bitten(random, HELLO + encode([b"stack/1", b"{}"]))]))
