"""The bytes of version 1, frozen: wire/v1 is never edited, only added to.

A file that changes would be a change of the protocol that old clients cannot see coming.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest

from supervisor_stack.control import codec
from supervisor_stack.control.messages import PROTOCOL, AnyReply, AnyRequest, Notice
from tests.control.samples import NOTICE, REPLIES, REQUESTS

WIRE = Path(__file__).parent / "wire" / "v1"


def golden(family: str, message: AnyRequest | AnyReply | Notice) -> bytes:
    return (WIRE / f"{family}-{type(message).__name__.lower()}.json").read_bytes().rstrip(b"\n")


def says_all_of(old: object, new: object) -> bool:
    """Fields may have been added since, none may be missing or different."""
    if isinstance(old, dict) and isinstance(new, dict):
        return all(key in new and says_all_of(old[key], new[key]) for key in old)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(says_all_of, old, new))
    return old == new


def test_every_message_type_has_a_sample() -> None:
    assert {type(sample) for sample in REQUESTS} == set(get_args(AnyRequest))
    assert {type(sample) for sample in REPLIES} == set(get_args(AnyReply))


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda sample: type(sample).__name__)
def test_a_request_of_the_first_version_is_understood(request_: AnyRequest) -> None:
    assert codec.decode_request((PROTOCOL, golden("request", request_))) == request_


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda sample: type(sample).__name__)
def test_a_request_says_what_it_said_in_the_first_version(request_: AnyRequest) -> None:
    assert says_all_of(json.loads(golden("request", request_)), json.loads(codec.encode_request(request_)[1]))


@pytest.mark.parametrize("reply", REPLIES, ids=lambda sample: type(sample).__name__)
def test_a_reply_of_the_first_version_is_understood(reply: AnyReply) -> None:
    assert codec.decode_reply((PROTOCOL, golden("reply", reply))) == reply


@pytest.mark.parametrize("reply", REPLIES, ids=lambda sample: type(sample).__name__)
def test_a_reply_says_what_it_said_in_the_first_version(reply: AnyReply) -> None:
    assert says_all_of(json.loads(golden("reply", reply)), json.loads(codec.encode_reply(reply)[1]))


def test_a_notice_of_the_first_version_is_understood() -> None:
    assert codec.decode_notice((b"stack/1.event.uwsgi", golden("event", NOTICE))) == NOTICE


def test_a_notice_says_what_it_said_in_the_first_version() -> None:
    topic, body = codec.encode_notice(NOTICE)

    assert topic == b"stack/1.event.uwsgi"
    assert says_all_of(json.loads(golden("event", NOTICE)), json.loads(body))
