"""Clients that speak ZMTP by hand to a unix socket: to do what ZeroMQ never does, and by the hundred."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from supervisor_stack.control import codec
from supervisor_stack.control.messages import AnyReply, AnyRequest
from supervisor_stack.control.zmtp import GREETING, Limits, Reader, encode, ready

DEADLINE = 30.0
_ANY = Limits(size=2**30, frames=10)


class Raw:
    """A connection. `greeted`: whether to shake hands first. Waits end after DEADLINE: TimeoutError."""

    def __init__(self, path: Path | str, kind: bytes = b"DEALER", greeted: bool = True) -> None:
        self._reader = Reader(kind, frozenset({b"ROUTER", b"PUB"}), _ANY)
        self._kind = kind
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(DEADLINE)
        self._socket.connect(str(path))
        if greeted:
            self.begin()
            while not self._reader.is_ready:
                self._next()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def fileno(self) -> int:
        """For select(2)."""
        return self._socket.fileno()

    def close(self) -> None:
        """Vanish."""
        self._socket.close()

    def send(self, text: bytes) -> None:
        """These bytes, and nothing else."""
        self._socket.sendall(text)

    def begin(self) -> None:
        """Say all of the handshake, without waiting for the other side's."""
        self.send(GREETING + ready(self._kind))

    def ask(self, request: AnyRequest) -> None:
        """Send a request; its answer is left where it is."""
        self.send(encode(codec.encode_request(request)))

    def answer(self) -> AnyReply:
        """The next answer."""
        return codec.decode_reply(self.frames())

    def frames(self) -> list[bytes]:
        """The next message."""
        while isinstance(found := self._next(), bytes):
            pass
        return found

    def is_hung_up_on(self) -> bool:
        """Wait for the end of the connection; True, or TimeoutError."""
        try:
            while self._socket.recv(65536):
                pass
        except ConnectionResetError:
            pass
        return True

    def _next(self) -> list[bytes] | bytes:
        while (found := self._reader.next()) is None:
            received = self._socket.recv(65536)
            if not received:
                raise ConnectionResetError("stackd has hung up")
            self._reader.feed(received)
        return found


def message(*frames: bytes) -> bytes:
    """As it goes over the wire."""
    return encode(frames)


def subscription(topic: bytes) -> bytes:
    """To hear of this topic."""
    return encode([b"\x01" + topic])


class RawServer:
    """A ROUTER by hand, in a thread. `answer` gets the first request, and returns all that is sent."""

    def __init__(self, path: Path, answer: Callable[[AnyRequest], bytes]) -> None:
        self._answer = answer
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen()
        self._thread = threading.Thread(target=self._serve, name="raw server", daemon=True)
        self.endpoint = f"ipc://{path}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Nobody may have asked: this ends its waiting for somebody.
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            with client:
                client.settimeout(DEADLINE)
                if (request := self._first(client)) is not None:
                    self._listening.close()  # first: whoever notices the loss finds nobody
                    with suppress(OSError):
                        client.sendall(self._answer(request))
                    return

    def _first(self, client: socket.socket) -> AnyRequest | None:
        """The first request; None from who only looks whether somebody is there."""
        reader = Reader(b"ROUTER", frozenset({b"DEALER"}), _ANY)
        with suppress(OSError):
            client.sendall(GREETING)
            while received := client.recv(65536):
                reader.feed(received)
                while (found := reader.next()) is not None:
                    if isinstance(found, list):
                        return codec.decode_request(found)
                    client.sendall(found)
        return None
