"""ZMTP 3.0, the protocol below ZeroMQ's sockets, as a server of a local socket speaks it: bytes to messages
and back (rfc.zeromq.org/spec/23).

Nothing here waits or opens anything. Whatever bytes arrive, what comes out is a message, an answer or a
ZmtpError; and what is kept of a peer that has not finished its message never exceeds the limits.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import NamedTuple

MORE, LONG, COMMAND = 1, 2, 4
_FLAGS = frozenset({0, MORE, LONG, LONG | MORE, COMMAND, LONG | COMMAND})

_SIGNATURE_END, _VERSION_END, _MECHANISM_END, _GREETING_END = 10, 12, 32, 64
_MECHANISM = b"NULL".ljust(_MECHANISM_END - _VERSION_END, b"\0")
GREETING = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x00" + _MECHANISM + bytes(_GREETING_END - _MECHANISM_END)

_LARGEST_HANDSHAKE = 1024


class ZmtpError(Exception):
    """The peer does not speak ZMTP 3, or not within the limits; there is no way on but to hang up."""


class Limits(NamedTuple):
    """Of one message of a peer: bytes in all of its frames together, and how many frames."""

    size: int
    frames: int


def ready(socket_type: bytes) -> bytes:
    """The end of the handshake, as bytes for the wire: what kind of socket this is."""
    return _command(b"READY", b"\x0bSocket-Type" + len(socket_type).to_bytes(4, "big") + socket_type)


def encode(frames: Sequence[bytes]) -> bytes:
    """A message, as bytes for the wire."""
    *first, last = frames
    return b"".join([*(_frame(MORE, frame) for frame in first), _frame(0, last)])


class Reader:
    """What one peer sends. `partners`: the types of socket that may talk to ours.

    After each `feed`, `next` is to be called until it returns None.
    """

    def __init__(self, socket_type: bytes, partners: Container[bytes], limits: Limits) -> None:
        self.is_ready = False
        """Whether the handshake is over."""
        self._socket_type = socket_type
        self._partners = partners
        self._limits = limits
        # Not bound to this reader: what it keeps must go with it, and not wait for the collector of cycles.
        self._step: Callable[[Reader], list[bytes] | bytes | None] = Reader._greeting
        self._buffer = b""
        self._at = 0
        self._frames: list[bytes] = []
        self._size = 0

    def feed(self, received: bytes) -> None:
        """Take in bytes."""
        self._buffer = self._buffer + received if self._buffer else received

    def next(self) -> list[bytes] | bytes | None:
        """The frames of the next message; or bytes to send to the peer, if any; None when more has to arrive.

        Raises ZmtpError.
        """
        found = self._step(self)
        if found is None and self._at:
            self._buffer = self._buffer[self._at :]
            self._at = 0
        return found

    @property
    def pending(self) -> int:
        """Bytes that are kept of a message, or of the handshake, that has not come to its end."""
        return len(self._buffer) - self._at + self._size

    def _greeting(self) -> bytes | None:
        start = self._buffer[:_GREETING_END]
        signature, version, mechanism = (
            start[:_SIGNATURE_END],
            start[10:11],
            start[_VERSION_END:_MECHANISM_END],
        )
        if signature[:1] not in (b"", b"\xff") or (
            len(signature) == _SIGNATURE_END and not signature[-1] & 1
        ):
            raise ZmtpError("not ZMTP")
        if version and version < b"\x03":
            raise ZmtpError(f"ZMTP {version[0]}")
        if not _MECHANISM.startswith(mechanism):
            raise ZmtpError(f"mechanism {mechanism!r}")
        if len(start) < _GREETING_END:
            return None
        self._at = _GREETING_END
        self._step = Reader._handshake
        return ready(self._socket_type)

    def _handshake(self) -> bytes | None:
        found = self._take(_LARGEST_HANDSHAKE)
        if found is None:
            return None
        flags, body = found
        if not flags & COMMAND or _properties(body).get(b"socket-type") not in self._partners:
            raise ZmtpError("no READY of a socket that may talk to this one")
        self.is_ready = True
        self._step = Reader._traffic
        return b""

    def _traffic(self) -> list[bytes] | bytes | None:
        while found := self._take(self._limits.size - self._size):
            flags, body = found
            if flags & COMMAND:
                return _answer(body)
            self._frames.append(body)
            if not flags & MORE:
                frames, self._frames, self._size = self._frames, [], 0
                return frames
            self._size += len(body)
            if len(self._frames) == self._limits.frames:
                raise ZmtpError(f"more than {self._limits.frames} frames in a message")
        return None

    def _take(self, most: int) -> tuple[int, bytes] | None:
        """The next frame, of at most so many bytes: its flags and what is in it."""
        buffer, at = self._buffer, self._at
        known = len(buffer) - at
        if not known:
            return None
        flags = buffer[at]
        if flags not in _FLAGS:
            raise ZmtpError(f"flags {flags:#04x}")
        begin = at + (9 if flags & LONG else 2)
        if len(buffer) < begin:
            return None
        size = int.from_bytes(buffer[at + 1 : begin], "big")
        if size > most:
            raise ZmtpError(f"{size} bytes where {most} are read")
        end = begin + size
        if len(buffer) < end:
            return None
        self._at = end
        return flags, buffer[begin:end]


def _answer(command: bytes) -> bytes:
    """What a command of a peer is answered; empty: nothing."""
    name, body = _named(command)
    match name:
        case b"PING":  # a time to live of 2 bytes, and a context to be sent back
            return _command(b"PONG", body[2:])
        case b"PONG":
            return b""
        case _:
            raise ZmtpError(f"command {name!r}")


def _properties(command: bytes) -> dict[bytes, bytes]:
    name, rest = _named(command)
    if name != b"READY":
        raise ZmtpError(f"command {name!r}")
    found: dict[bytes, bytes] = {}
    while rest:
        key, rest = _named(rest)
        size = int.from_bytes(rest[:4], "big")
        if len(rest) < 4 + size:
            raise ZmtpError("a property that is cut off")
        found[key.lower()] = rest[4 : 4 + size]
        rest = rest[4 + size :]
    return found


def _named(text: bytes) -> tuple[bytes, bytes]:
    """A name with its length in front, and what comes after it."""
    if not text or len(text) <= text[0]:
        raise ZmtpError("a name that is cut off")
    return text[1 : 1 + text[0]], text[1 + text[0] :]


def _command(name: bytes, body: bytes) -> bytes:
    return _frame(COMMAND, bytes([len(name)]) + name + body)


def _frame(flags: int, body: bytes) -> bytes:
    if len(body) < 256:
        return bytes([flags, len(body)]) + body
    return bytes([flags | LONG]) + len(body).to_bytes(8, "big") + body
