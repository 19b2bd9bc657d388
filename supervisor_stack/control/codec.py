"""Bytes to messages and back: the frames of the control protocol, both directions.

Nothing here waits or opens anything. Whatever bytes arrive, what comes out is a message or an error
of errors.py; a peer that sends nonsense must never bring down whom it talks to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from supervisor_stack import errors
from supervisor_stack.control.messages import (
    EVENT_TOPIC,
    MAX_REQUEST,
    PROTOCOL,
    AnyReply,
    AnyRequest,
    Failed,
    Notice,
    Reply,
    RequestId,
)
from supervisor_stack.errors import ProtocolVersionError, RequestError, StackError

Frames = Sequence[bytes]
Message = TypeVar("Message")


class _Numbered(msgspec.Struct):
    """What a request that cannot be read as a whole may still tell."""

    id: RequestId = ""


_FAMILY = PROTOCOL.partition(b"/")[0] + b"/"

_requests: msgspec.json.Decoder[AnyRequest] = msgspec.json.Decoder(AnyRequest)
_replies: msgspec.json.Decoder[AnyReply] = msgspec.json.Decoder(AnyReply)
_notices = msgspec.json.Decoder(Notice)
_numbered = msgspec.json.Decoder(_Numbered)
_encode = msgspec.json.Encoder().encode


class _UnreadableError(Exception):
    """The JSON is not that of the message; the text says what and where."""


def encode_request(request: AnyRequest) -> list[bytes]:
    """The frames of a request, as a DEALER sends them. Raises RequestError."""
    try:
        return [PROTOCOL, _encode(request)]
    except UnicodeEncodeError:  # such as a word of a command line that is not UTF-8
        raise RequestError("cannot send the request: a string in it is not UTF-8") from None


def decode_request(frames: Frames) -> AnyRequest:
    """The request in these frames (without the identity that a ROUTER puts before them).

    Raises ProtocolVersionError for another version of the protocol, RequestError for the rest.
    """
    subject = "cannot read the request"
    if len(frames) != 2:
        raise RequestError(f"{subject}: it has {len(frames)} frames instead of 2")
    version, body = frames
    if version != PROTOCOL:
        kind = ProtocolVersionError if version.startswith(_FAMILY) else RequestError
        raise kind(f"{subject}: it speaks {_shown(version)}, and this stackd speaks {_shown(PROTOCOL)}")
    if len(body) > MAX_REQUEST:
        raise RequestError(f"{subject}: it has {len(body)} bytes, and at most {MAX_REQUEST} are read")
    try:
        return _decode(_requests, body)
    except _UnreadableError as error:
        raise RequestError(f"{subject}: {error}") from None


def request_id(frames: Frames) -> str:
    """The `id` of a request that decode_request refused, so that the refusal can carry it; or ""."""
    if len(frames) != 2 or len(frames[1]) > MAX_REQUEST:
        return ""
    try:
        return _decode(_numbered, frames[1]).id
    except _UnreadableError:
        return ""


def encode_reply(reply: Reply) -> list[bytes]:
    """The frames of a reply; a ROUTER puts the identity before them."""
    return [PROTOCOL, _encode(reply)]


def decode_reply(frames: Frames) -> AnyReply:
    """The reply in these frames; fields that a newer stackd added are passed over.

    Raises ProtocolVersionError.
    """
    return _decode_answer(_replies, frames, PROTOCOL.__eq__)


def encode_notice(notice: Notice) -> list[bytes]:
    """The frames of a notice, as a PUB sends them: the first is the topic."""
    return [EVENT_TOPIC + notice.service.encode(), _encode(notice)]


def decode_notice(frames: Frames) -> Notice:
    """The notice in these frames; fields that a newer stackd added are passed over.

    Raises ProtocolVersionError.
    """
    return _decode_answer(_notices, frames, lambda topic: topic.startswith(EVENT_TOPIC))


def failure(error: StackError, request_id: str = "") -> Failed:
    """The reply that carries an error to the client."""
    return Failed(id=request_id, error=error.kind, message=error.message, detail=error.detail)


def error_of(failed: Failed) -> StackError:
    """The error that such a reply carries. A kind that is not known here becomes a plain StackError."""
    return _ERRORS.get(failed.error, StackError)(failed.message, failed.detail)


_ERRORS = {
    error.kind: error
    for error in vars(errors).values()
    if isinstance(error, type) and issubclass(error, StackError)
}


def _decode_answer(
    decoder: msgspec.json.Decoder[Message], frames: Frames, is_mine: Callable[[bytes], bool]
) -> Message:
    subject = "cannot understand stackd"
    if len(frames) != 2:
        raise ProtocolVersionError(f"{subject}: it sent {len(frames)} frames instead of 2")
    if not is_mine(frames[0]):
        theirs, mine = _shown(frames[0]), _shown(PROTOCOL)
        raise ProtocolVersionError(f"{subject}: it speaks {theirs}, and this stackctl speaks {mine}")
    try:
        return _decode(decoder, frames[1])
    except _UnreadableError as error:
        raise ProtocolVersionError(f"{subject}: {error}") from None


def _decode(decoder: msgspec.json.Decoder[Message], body: bytes) -> Message:
    try:
        return decoder.decode(body)
    except msgspec.DecodeError as error:
        # "Expected `str`, got `int` - at `$.services[0]`" is told as a cause, in the middle of a sentence.
        text = str(error).replace(" - at `", " at `")
        raise _UnreadableError(text if text.startswith("JSON") else text[:1].lower() + text[1:]) from error
    except UnicodeDecodeError as error:
        raise _UnreadableError("a string in it is not UTF-8") from error
    except RecursionError as error:
        raise _UnreadableError("it is nested too deeply") from error


def _shown(version: bytes) -> str:
    return repr(version[:40].decode("ascii", "backslashreplace"))
