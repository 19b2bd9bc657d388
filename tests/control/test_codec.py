"""Bytes to messages and back."""

from __future__ import annotations

import json
from contextlib import suppress
from random import Random
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor_stack import errors
from supervisor_stack.control import codec
from supervisor_stack.control.messages import (
    EVENT_TOPIC,
    MAX_ID,
    MAX_REQUEST,
    PROTOCOL,
    AnyReply,
    AnyRequest,
    Done,
    Events,
    Failed,
    Notice,
    Status,
    StatusReply,
    Stop,
)
from supervisor_stack.control.parts import Detail, Exit, Process, ServiceStatus
from tests.fuzz.mutate import mutation


def refusal(*frames: bytes) -> errors.RequestError:
    with pytest.raises(errors.RequestError) as caught:
        codec.decode_request(frames)
    return caught.value


def request_frames(**fields: object) -> tuple[bytes, bytes]:
    return PROTOCOL, json.dumps(fields).encode()


def test_a_request_comes_out_as_it_went_in() -> None:
    request = Stop(id="7", services=("nginx", "uwsgi"), cascade=True)

    assert codec.decode_request(codec.encode_request(request)) == request


def test_absent_fields_of_a_request_have_their_defaults() -> None:
    assert codec.decode_request(request_frames(type="events")) == Events(since=0, limit=100)


@pytest.mark.parametrize(
    ("fields", "cause"),
    [
        ({"type": "stop", "services": ["a", 5]}, "expected `str`, got `int` at `$.services[1]`"),
        ({"type": "stop", "cascaed": True}, "object contains unknown field `cascaed`"),
        ({"type": "stopp"}, "invalid value 'stopp' at `$.type`"),
        ({"services": []}, "object missing required field `type`"),
        ({"type": "signal", "service": "a"}, "object missing required field `signal`"),
    ],
)
def test_a_request_that_is_not_exactly_right_is_refused_with_the_place(
    fields: dict[str, object], cause: str
) -> None:
    error = refusal(*request_frames(**fields))

    assert (error.kind, error.message) == ("bad-request", f"cannot read the request: {cause}")


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (b"", "input data was truncated"),
        (b"stop nginx", "JSON is malformed: invalid character (byte 0)"),
        (b'{"type":"status","id":"\xff"}', "a string in it is not UTF-8"),
        (b'{"type":"status","id":"a"}{}', "JSON is malformed: trailing characters (byte 27)"),
    ],
)
def test_what_is_not_json_is_refused(body: bytes, cause: str) -> None:
    assert refusal(PROTOCOL, body).message == f"cannot read the request: {cause}"


def test_another_version_is_refused_with_both_versions() -> None:
    error = refusal(b"stack/2", b"{}")

    assert error.kind == "protocol-version"
    assert error.message == "cannot read the request: it speaks 'stack/2', and this stackd speaks 'stack/1'"


def test_another_protocol_is_a_bad_request() -> None:
    assert refusal(b"GET / HTTP/1.1", b"").kind == "bad-request"


def test_a_request_has_two_frames() -> None:
    assert refusal(PROTOCOL).message == "cannot read the request: it has 1 frames instead of 2"
    assert refusal(PROTOCOL, b"{}", b"").message == "cannot read the request: it has 3 frames instead of 2"


def test_a_request_may_be_as_large_as_the_cap_and_not_larger() -> None:
    request = codec.encode_request(Status(id="x"))[1]
    padded = request + b" " * (MAX_REQUEST - len(request))

    assert codec.decode_request((PROTOCOL, padded)) == Status(id="x")
    assert refusal(PROTOCOL, padded + b" ").message == (
        "cannot read the request: it has 65537 bytes, and at most 65536 are read"
    )


def test_the_id_of_a_refused_request_is_kept() -> None:
    assert codec.request_id(request_frames(type="stop", id="7f", services=5)) == "7f"
    assert codec.request_id((b"stack/2", b'{"id": "8"}')) == "8"


@pytest.mark.parametrize(
    "frames",
    [(), (PROTOCOL,), (PROTOCOL, b"nonsense"), (PROTOCOL, b'{"id":7}'), (PROTOCOL, b'{"x":' + b"[" * 60000)],
)
def test_an_id_that_cannot_be_found_is_empty(frames: tuple[bytes, ...]) -> None:
    assert codec.request_id(frames) == ""


def test_a_reply_may_have_fields_of_a_newer_version() -> None:
    frames = (PROTOCOL, b'{"type":"done","id":"1","added_later":{"a":[1]}}')

    assert codec.decode_reply(frames) == Done(id="1")


def test_a_reply_of_another_version_names_both() -> None:
    with pytest.raises(errors.ProtocolVersionError) as caught:
        codec.decode_reply((b"stack/2", b"{}"))

    assert str(caught.value) == (
        "cannot understand stackd: it speaks 'stack/2', and this stackctl speaks 'stack/1'"
    )


def test_a_notice_comes_out_as_it_went_in() -> None:
    notice = Notice(
        seq=5, time="2026-11-22T05:45:36.123Z", service="web", event="Spawned", state="starting",
        previous="waiting", wanted="running", run=2, pid=71,
    )  # fmt: skip

    topic, body = codec.encode_notice(notice)

    assert topic == b"stack/1.event.web"
    assert codec.decode_notice((topic, body)) == notice


def test_every_error_crosses_the_wire_with_its_kind_its_words_and_its_evidence() -> None:
    every = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    kinds = [kind for kind in every if issubclass(kind, errors.StackError)]
    assert len(kinds) > 10
    for kind in kinds:
        failed = codec.failure(kind("cannot go", ("since", "so")), "3")
        error = codec.error_of(failed)

        assert failed == Failed(id="3", error=kind.kind, message="cannot go", detail=("since", "so"))
        assert (type(error), error.message, error.detail) == (kind, "cannot go", ("since", "so"))


def test_an_error_of_a_newer_stackd_is_an_error_all_the_same() -> None:
    error = codec.error_of(Failed(error="moon-phase", message="cannot start web: full moon"))

    assert (type(error), error.message) == (errors.StackError, "cannot start web: full moon")


ANY_REQUEST: st.SearchStrategy[AnyRequest] = st.sampled_from(get_args(AnyRequest)).flatmap(st.from_type)

# JSON has no NaN and no infinity, and stackd says neither.
_NUMBER = st.floats(allow_nan=False, allow_infinity=False)
# JSON has no others; what is built from its type has numbers in it, too.
st.register_type_strategy(float, _NUMBER)
_EXITS = st.builds(Exit, lasted=_NUMBER)
_TREE = st.builds(Process, cpu_percent=st.none() | _NUMBER)
_DETAILS = st.builds(
    Detail,
    command=st.just(("uwsgi", "--ini")),
    exits=st.lists(_EXITS, max_size=2).map(tuple),
    tree=st.lists(_TREE, max_size=2).map(tuple),
)
_SERVICES = st.builds(ServiceStatus, cpu_percent=st.none() | _NUMBER, detail=st.none() | _DETAILS)
_STATUS_REPLIES = st.builds(StatusReply, services=st.lists(_SERVICES, max_size=2).map(tuple))
ANY_REPLY: st.SearchStrategy[AnyReply] = st.sampled_from(get_args(AnyReply)).flatmap(
    lambda kind: _STATUS_REPLIES if kind is StatusReply else st.from_type(kind)
)


@given(ANY_REQUEST)
def test_any_request_comes_out_as_it_went_in(request: AnyRequest) -> None:
    assert codec.decode_request(codec.encode_request(request)) == request


@given(ANY_REPLY)
def test_any_reply_comes_out_as_it_went_in(reply: AnyReply) -> None:
    assert codec.decode_reply(codec.encode_reply(reply)) == reply


@given(st.from_type(Notice))
def test_any_notice_comes_out_as_it_went_in(notice: Notice) -> None:
    assert codec.decode_notice(codec.encode_notice(notice)) == notice


@given(st.randoms(use_true_random=False))
def test_a_mutated_request_is_read_or_refused(random: Random) -> None:
    _, frames = mutation(random)

    with suppress(errors.RequestError):
        codec.decode_request(frames)
    assert isinstance(codec.request_id(frames), str)


def test_an_id_may_be_as_long_as_the_cap_and_not_longer() -> None:
    frames = codec.encode_request(Status(id="x" * MAX_ID))
    assert codec.decode_request(frames).id == "x" * MAX_ID

    longer = codec.encode_request(Status(id="x" * (MAX_ID + 1)))
    told = "cannot read the request: expected `str` of length <= 255 at `$.id`"
    assert (refusal(*longer).message, codec.request_id(longer)) == (told, "")


@given(st.lists(st.binary(), max_size=4) | st.binary().map(lambda body: [PROTOCOL, body]))
def test_arbitrary_bytes_are_refused_and_nothing_else(frames: list[bytes]) -> None:
    with pytest.raises(errors.RequestError):
        codec.decode_request(frames)
    assert isinstance(codec.request_id(frames), str)


TEXT = st.text('ab"\\\0\u00e9\ud800\U0001f600', max_size=4)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=8,
)
FIELDS = st.dictionaries(
    st.sampled_from(["type", "id", "services", "service", "cascade", "since", "limit", "signal", "detail"]),
    JSON | st.sampled_from(["status", "stop", "signal", "events", "reset"]),
)


@given(FIELDS, st.binary(max_size=3), st.integers(0, 200))
def test_what_resembles_a_request_is_read_or_refused(
    fields: dict[str, object], noise: bytes, at: int
) -> None:
    body = json.dumps(fields).encode()

    for mutated in (body, body[:at] + noise + body[at:], body[:at] + noise):
        with suppress(errors.RequestError):
            codec.decode_request((PROTOCOL, mutated))
        assert isinstance(codec.request_id((PROTOCOL, mutated)), str)


@given(st.lists(st.binary(), max_size=3) | st.binary().map(lambda body: [PROTOCOL, body]))
def test_arbitrary_bytes_from_stackd_are_of_another_version(frames: list[bytes]) -> None:
    with pytest.raises(errors.ProtocolVersionError):
        codec.decode_reply(frames)
    with pytest.raises(errors.ProtocolVersionError):
        codec.decode_notice([EVENT_TOPIC + b"web", *frames[1:]])
