"""The other end of the control protocol, by script: a real ROUTER and a real PUB on real sockets.

It answers as a test tells it to, so that a client can be shown what a stackd does rarely or never:
a lost notice, a reply of another version, a death in the middle of an operation.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Self

import msgspec
import zmq

from supervisor_stack.control.codec import decode_request, encode_notice, encode_reply
from supervisor_stack.control.messages import AnyReply, AnyRequest, Notice


class Vanish:
    """Close all sockets when what was said is sent, as the kernel does for a process that ends."""


Frames = list[bytes]
Step = AnyReply | Notice | Frames | Vanish
Script = Callable[[AnyRequest], Iterable[Step]]


class Peer:
    """Runs a script in a thread: for each request, what to send; replies get the request's id.

    Frames are sent as they are. `requests` has all that arrived, `asked` is set when there is one.
    """

    def __init__(self, folder: Path, script: Script) -> None:
        self.path = folder / "control.sock"
        self.endpoint = f"ipc://{self.path}"
        self.events = f"ipc://{folder / 'events.sock'}"
        self.requests: list[AnyRequest] = []
        self.asked = threading.Event()
        self.script = script
        self._steps: SimpleQueue[Step] = SimpleQueue()
        self._reader, self._writer = os.pipe()
        self._context = zmq.Context()
        self._router = self._context.socket(zmq.ROUTER)
        self._router.bind(self.endpoint)
        self._pub = self._context.socket(zmq.PUB)
        self._pub.bind(self.events)
        self._thread = threading.Thread(target=self._serve, name="peer")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.do(Vanish())
        self._thread.join()
        os.close(self._reader)
        os.close(self._writer)

    def do(self, step: Notice | Vanish) -> None:
        """Publish a notice, or vanish, without being asked."""
        self._steps.put(step)
        os.write(self._writer, b".")

    def _serve(self) -> None:
        poller = zmq.Poller()
        poller.register(self._router, zmq.POLLIN)
        poller.register(self._reader, zmq.POLLIN)
        while not self._context.closed:
            ready = dict(poller.poll())
            if self._reader in ready:
                os.read(self._reader, 1)
                self._perform(self._steps.get(), b"", "")
            elif self._router in ready:
                identity, *frames = self._router.recv_multipart()
                request = decode_request(frames)
                self.requests.append(request)
                self.asked.set()
                for step in self.script(request):
                    self._perform(step, identity, request.id)

    def _perform(self, step: Step, identity: bytes, ticket: str) -> None:
        match step:
            case Vanish():
                self._context.destroy(linger=1000)
            case Notice():
                self._pub.send_multipart(encode_notice(step))
            case list():
                self._router.send_multipart([identity, *step])
            case _:
                reply = msgspec.structs.replace(step, id=ticket)
                self._router.send_multipart([identity, *encode_reply(reply)])
