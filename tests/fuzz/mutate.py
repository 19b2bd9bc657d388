"""Requests that are almost right: mutated as JSON, as bytes, as frames, and as what goes over the wire.

The same seed gives the same mutations.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from random import Random
from typing import Any

import msgspec

from supervisor_stack.control.codec import encode_request
from supervisor_stack.control.messages import MAX_REQUEST, PROTOCOL
from supervisor_stack.control.zmtp import COMMAND, GREETING, LONG, MORE, encode, ready
from tests.control.samples import REQUESTS

Frames = list[bytes]

_FIELDS: tuple[dict[str, object], ...] = tuple(msgspec.to_builtins(request) for request in REQUESTS)
_BODIES = tuple(encode_request(request)[1] for request in REQUESTS)
_NAMES = sorted({name for fields in _FIELDS for name in fields})
_TYPES = [fields["type"] for fields in _FIELDS]
_DEEP = "[" * 3000 + "]" * 3000

_VALUES: tuple[object, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, -(2**63) - 1, 10**40, 0.5, -0.0, 1e308, float("nan"),
    float("inf"), "", "a", "uwsgi", "nginx", "KILL", "SIGHUP", "\0", "\n", "\ud800", "\U0001f600", "é" * 300,
    "x" * 300, "all", "..", "/", [], ["uwsgi"], ["nginx", "uwsgi"], ["uwsgi"] * 500, [[]], [None], [1, "a"],
    [["uwsgi"]], {}, {"type": "status"}, {"a": {"b": {"c": []}}}, "status", "stop",
)  # fmt: skip

_TOKENS = (
    b"", b"\0", b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"NaN", b"-Infinity", b"1e999", b"-0", b"00", b"{",
    b"}", b"[", b"]", b'"', b"\\", b"\\u", b"\\ud800", b",", b":", b"//", b"null", b"\xef\xbb\xbf",
    b" " * 100, b"9" * 5000,
    _DEEP.encode(), b'{"a":' * 2000, b'"type":"stop"', b'"cascade":true,', b'"services":[]',
)  # fmt: skip

_VERSIONS = (
    b"", b"stack", b"stack/", b"stack/0", b"stack/2", b"stack/11", b"STACK/1", b"stack/1 ", b" stack/1",
    b"\0", b"1", b"GET / HTTP/1.1", b"stack/" + b"9" * 200, b"\xff" * 50, b"stack/1.event.uwsgi",
)  # fmt: skip


def mutation(random: Random) -> tuple[str, Frames]:
    """A level, and the frames of a message that was mutated on it."""
    level, mutate = random.choice(_LEVELS)
    frames = mutate(random)
    while sum(map(len, frames)) > MAX_REQUEST:  # for which one is hung up on, see `stream`
        frames = mutate(random)
    return level, frames


def _as_json(random: Random) -> Frames:
    fields: dict[str, object] = dict(random.choice(_FIELDS))
    twice = ""
    for _ in range(random.randint(1, 3)):
        name = random.choice(list(fields) or _NAMES)
        match random.randrange(8):
            case 0:
                fields.pop(name, None)
            case 1:
                fields[random.choice(_NAMES)] = random.choice(_VALUES)
            case 2:
                fields[name + random.choice("sx_\0é")] = fields.get(name)
            case 3:
                fields["type"] = random.choice(_TYPES)
            case 4:
                fields |= random.choice(_FIELDS)
            case 5:
                twice = f"{json.dumps(name)}:{json.dumps(random.choice(_VALUES))},"
            case _:
                fields[name] = random.choice(_VALUES)
    text = json.dumps(fields, ensure_ascii=random.random() < 0.5)
    body = (text[:1] + twice + text[1:]) if fields else text
    return [PROTOCOL, body.encode("utf-8", "surrogatepass")]


def _as_bytes(random: Random) -> Frames:
    return [PROTOCOL, bitten(random, random.choice(_BODIES))]


def bitten(random: Random, body: bytes) -> bytes:
    """With some bytes flipped, lost, doubled, or others in between."""
    mutated = bytearray(body)
    for _ in range(random.randint(1, 4)):
        at, end = sorted((random.randint(0, len(mutated)), random.randint(0, len(mutated))))
        match random.randrange(7):
            case 0 if at < len(mutated):
                mutated[at] ^= 1 << random.randrange(8)
            case 1:
                del mutated[at : at + random.randint(1, 4)]
            case 2:
                del mutated[at:]
            case 3:
                mutated[at:at] = random.randbytes(random.randint(1, 6))
            case 4:
                mutated[at:at] = mutated[at:end]
            case 5:
                mutated[at:end] = random.choice(_BODIES)[at:]
            case _:
                mutated[at:at] = random.choice(_TOKENS)
    return bytes(mutated)


def _as_frames(random: Random) -> Frames:
    frames = [PROTOCOL, random.choice(_BODIES)]
    match random.randrange(6):
        case 0:
            frames[0] = random.choice(_VERSIONS)
        case 1:
            frames[0] = bitten(random, PROTOCOL)
        case 2:
            frames = [random.choice((PROTOCOL, b"", frames[1])) for _ in range(random.randint(1, 8))]
        case 3:
            frames.reverse()
        case 4:
            frames.insert(random.randint(0, 2), random.choice((b"", PROTOCOL, *_TOKENS)))
        case _:
            frames.pop(random.randrange(2))
    return frames


def _untouched(random: Random) -> Frames:
    return [PROTOCOL, random.choice(_BODIES)]


_LEVELS: tuple[tuple[str, Callable[[Random], Frames]], ...] = (
    *(("json", _as_json),) * 4,
    *(("bytes", _as_bytes),) * 4,
    *(("frames", _as_frames),) * 2,
    ("valid", _untouched),
)


# What goes over the wire.

_HARMLESS = tuple(encode([PROTOCOL, body]) for body in _BODIES if b'"status"' in body or b'"events"' in body)
_SUBSCRIPTIONS = tuple(encode([body]) for body in (b"\x01", b"\x01stack/1.event.", b"\x00", b"\x02", b""))


_PARTNERS = (b"PUB", b"PUSH", b"", b"x" * 300, b"SUB", b"DEALER")
_LENGTHS = (MAX_REQUEST, MAX_REQUEST + 256, 2**31, 2**32, 2**63, 2**64 - 1)


def stream(random: Random, socket_type: bytes) -> list[bytes]:
    """What a client sends that does not keep to ZMTP, piece by piece."""
    if random.random() < 0.4:
        return random.choice(_HANDSHAKES)(random, socket_type)
    message = random.choice(_HARMLESS if socket_type == b"DEALER" else _SUBSCRIPTIONS)
    whole = [GREETING, ready(socket_type), random.choice(_TRAFFIC)(random, message)]
    # All at once, or byte by byte.
    return whole if random.random() < 0.9 else [bytes([each]) for each in b"".join(whole)[:1000]]


_HANDSHAKES: tuple[Callable[[Random, bytes], list[bytes]], ...] = (
    lambda random, _: [random.randbytes(random.randint(1, 300))],
    lambda random, _: [bitten(random, GREETING)],
    lambda random, _: [GREETING[: random.randint(0, 63)]],
    lambda random, socket_type: [GREETING, bitten(random, ready(socket_type))],
    lambda random, _: [GREETING, ready(random.choice(_PARTNERS))],
)

_TRAFFIC: tuple[Callable[[Random, bytes], bytes], ...] = (
    lambda _, message: message,
    bitten,
    lambda random, message: message[: random.randint(0, len(message))],
    lambda random, _: bytes([MORE, 0]) * random.choice((1, 7, 8, 9, 30_000)),
    lambda random, _: (
        bytes([LONG | random.choice((0, MORE))]) + random.choice(_LENGTHS).to_bytes(8, "big") + b"x" * 500
    ),
    lambda random, _: bytes([COMMAND | random.choice((0, MORE, LONG, 8))]) + random.randbytes(40),
    lambda random, _: b"\x04\x0f\x04PING" + random.randbytes(10),
)


# What JSON may say where something else is due, and what has the right type and is odd all the same.

_ODD: tuple[tuple[type, tuple[object, ...]], ...] = (
    (str, (
        "", "\0", "\n", "\x1b[2J\x1b]0;title\x07", "a" * 5000, "2026-02-30T00:00:00.000Z", "2026-11-22",
        "yesterday", "9999-12-31T23:59:59.999Z", "0001-01-01T00:00:00.000Z", "ipc://", "ipc:///nowhere/at/all",
        "tcp://*:*", "ipc://" + "x" * 300, "/", "/dev/zero", "/dev/stdin", "/nowhere",
        "\u202e", "\U0001f600", "file", "journal",
    )),
    (bool, (True, False)),
    (int, (0, -1, 1, 2**31, 2**63, 2**64, -(2**64), 10**18, 10**400)),
    (float, (0.0, -1.0, 1e308, -1e308, 1e-308)),
    (list, ([], [[]])),
)  # fmt: skip


def odd(random: Random, body: bytes) -> bytes:
    """A message in which some values are others, mostly of the same type."""
    message = json.loads(body)
    for _ in range(random.randint(1, 4)):
        holder, key = random.choice([*_places(message)] or [(message, "id")])
        value = holder[key]
        options = next((values for kind, values in _ODD if type(value) is kind), _VALUES)
        match random.randrange(8):
            case 0:
                holder[key] = deepcopy(random.choice(_VALUES))
            case 1 if isinstance(value, list):
                holder[key] = deepcopy(value) * random.choice((2, 3, 50))
            case 2:
                holder[key] = None
            case _:
                holder[key] = deepcopy(random.choice(options))
    return json.dumps(message).encode("utf-8", "surrogatepass")


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Where something stands in a message: what holds it, and its key there."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        if key not in ("type", "id"):
            yield value, key
            yield from _places(value[key])
