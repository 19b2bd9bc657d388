"""Mutated requests against a real stackd, as fast as it answers them.

    python -m tests.fuzz.wire --frames 10000000 --seed 1

What has to hold: each message gets one answer, in its order, and what cannot be read the Failed that says
why; the services that nobody may touch are the same processes; somebody else's `status` is answered all the
time; memory stays within its bound; and the log of stackd has no traceback. Prints what was done, in counts
and bytes, and ends with a traceback of its own when something does not hold.
"""

from __future__ import annotations

import argparse
import socket
import sys
import tempfile
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import NamedTuple

import psutil
import zmq

from supervisor_stack.control import codec
from supervisor_stack.control.client import StackClient
from supervisor_stack.control.messages import (
    AnyReply,
    AnyRequest,
    Apply,
    Events,
    EventsReply,
    Failed,
    Finished,
    Graph,
    List,
    Progress,
    Shutdown,
    Signal,
    Status,
    StatusReply,
)
from supervisor_stack.errors import RequestError
from tests.fuzz.mutate import Frames, mutation, stream
from tests.stack import RunningStack

PLAYGROUND = ("uwsgi", "nginx", "mysqld")
"""Services that mutated requests may happen to name."""

BYSTANDERS = ("bystander-one", "bystander-two")

TOML = "".join(
    f"[services.{name}]\ncommand = ['/bin/sleep', '100000']\nstart_limit = {{burst = 1000000}}\n"
    f"backoff = {{initial = '50ms', max = '50ms'}}\n"
    for name in (*PLAYGROUND, *BYSTANDERS)
)

CLIENTS = 4
IN_FLIGHT = 200
"""Messages of one client that wait for their answers."""

EACH = 10_000
"""Messages between two looks at how stackd is."""

MOST_GROWTH = 64 * 2**20
"""Bytes by which stackd may grow: 32 MB of answers, 8 MB of halves of messages, and what they cost."""

ACTS = 0.01
"""Of the messages that would start, stop, signal or restart something that there is, those that are sent:
each costs a process, and this is not about those."""

STREAMS = 0.005
"""Of all messages, those that are mutated as what goes over the wire, each on a connection of its own."""

HANGING = 64
"""Connections that were left as they were, in the middle of something."""

DEEP = "cannot read the request: it is nested too deeply"

ANSWER = 60_000
"""Milliseconds for an answer, on a machine that is busy."""


class Sent(NamedTuple):
    """A message that was sent. `expected`: the refusal that it deserves, or what it asks for."""

    frames: Frames
    expected: Failed | AnyRequest


class Client:
    """A DEALER that does not wait for one answer before it sends the next request."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, counts: Counter[str]) -> None:
        self._socket = context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.connect(endpoint)
        self._counts = counts
        self._waiting: deque[Sent] = deque()

    def send(self, sent: Sent) -> None:
        """Send it, and read answers, once there are many to come."""
        is_slow = isinstance(sent.expected, Apply)  # its answer may come after those to later requests
        if is_slow:
            self.settle()
        self._socket.send_multipart(sent.frames)
        self._waiting.append(sent)
        while len(self._waiting) >= (1 if is_slow else IN_FLIGHT):
            self._receive()

    def settle(self) -> None:
        """Wait for all answers."""
        while self._waiting:
            self._receive()

    def _receive(self) -> None:
        assert self._socket.poll(ANSWER), f"no answer to {self._waiting[0]}"
        while self._waiting:
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            reply = codec.decode_reply(frames)
            kind = type(reply).__name__
            self._counts[f"reply {reply.error}" if isinstance(reply, Failed) else f"reply {kind}"] += 1
            if not isinstance(reply, Progress | Finished):
                judge(self._waiting.popleft(), reply)


def judge(sent: Sent, reply: AnyReply) -> None:
    """Whether that is an answer to this."""
    asked = sent.expected
    said = f"{str(sent.frames)[:2000]} was answered {str(reply)[:2000]}, and due was {asked}"
    if isinstance(asked, Failed):
        # How deep is too deep depends on where the decoder is called.
        assert reply == asked or DEEP in (asked.message, getattr(reply, "message", "")), said
        return
    assert reply.id == asked.id, said
    if isinstance(reply, Failed):
        assert reply.error in ("unknown-service", "refused", "bad-request"), said
    elif isinstance(asked, Status):
        assert isinstance(reply, StatusReply), said
    elif isinstance(asked, Events):
        assert isinstance(reply, EventsReply), said


def expected(frames: Frames) -> Failed | AnyRequest:
    """What these frames ask for, or the refusal that they deserve."""
    try:
        return codec.decode_request(frames)
    except RequestError as error:
        return codec.failure(error, codec.request_id(frames))


class Source:
    """Mutations of a seed, without those that would really end the stack, or touch the bystanders."""

    def __init__(self, seed: int, counts: Counter[str]) -> None:
        self.random = Random(seed)  # noqa: S311 - to be done again
        self._counts = counts

    def next(self) -> Sent:
        """The next message."""
        while True:
            level, frames = mutation(self.random)
            asked = expected(frames)
            if self._may_send(asked):
                self._counts[level] += 1
                return Sent(frames, asked)
            self._counts["withheld"] += 1

    def _may_send(self, asked: Failed | AnyRequest) -> bool:
        match asked:
            case Failed() | Status() | Events() | List() | Graph():
                return True
            case Apply():  # of a file that is what it was
                named: tuple[str, ...] = PLAYGROUND
            case Shutdown():
                return False
            case Signal():
                named = (asked.service,)
            case _:
                named = asked.services
        if not named or not set(named).isdisjoint(BYSTANDERS):
            return False
        if not set(named).issubset(PLAYGROUND):
            return True  # there is no such service
        if self.random.random() > ACTS:
            return False
        self._counts["acts"] += 1
        return True


class Wire:
    """Connections that do not keep to ZMTP. Some are left as they are until the end."""

    def __init__(self, run_dir: Path, random: Random, counts: Counter[str]) -> None:
        self._run_dir = run_dir
        self._random = random
        self._counts = counts
        self._hanging: deque[socket.socket] = deque()

    def send(self) -> None:
        """One more."""
        name, kind = self._random.choice((("control.sock", b"DEALER"), ("events.sock", b"SUB")))
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(ANSWER / 1000)
        sock.connect(str(self._run_dir / name))
        self._counts["wire"] += 1
        with suppress(BrokenPipeError, ConnectionResetError):  # it has seen enough
            for piece in stream(self._random, kind):
                sock.sendall(piece)
        if self._random.random() < 0.5:
            sock.close()
        else:
            self._hanging.append(sock)
        if len(self._hanging) > HANGING:
            self._hanging.popleft().close()

    def close(self) -> None:
        """Let go of all."""
        for sock in self._hanging:
            sock.close()


class Watch:
    """Asks all the time how stackd is, over a connection of its own."""

    def __init__(self, stack: RunningStack, counts: Counter[str]) -> None:
        self._client = StackClient(f"ipc://{stack.run_dir}/control.sock", timeout=ANSWER / 1000)
        self._process = psutil.Process(stack.pid)
        self._counts = counts
        self._pids = self._look()
        self.begun = self.most = self._process.memory_info().rss

    def look(self) -> None:
        """Whether all is as it has to be."""
        assert self._look() == self._pids, "a service that nobody named has changed"
        self.most = max(self.most, self._process.memory_info().rss)
        assert self.most - self.begun < MOST_GROWTH, f"stackd grew from {self.begun} to {self.most} bytes"

    def close(self) -> None:
        """Ask no more."""
        self._client.close()

    def _look(self) -> list[tuple[int | None, int]]:
        self._counts["status of the watch"] += 1
        services = self._client.request(Status(services=BYSTANDERS)).services
        return [(service.pid, service.run) for service in services]


@contextmanager
def fuzzed(folder: Path) -> Iterator[RunningStack]:
    """A stack that is attacked, and looked at in the end."""
    with RunningStack(folder, TOML) as stack:
        stack.until_up()
        yield stack
        assert stack.process is not None
        assert stack.process.poll() is None, "stackd has ended"
        said = stack.output.read_text()
        for bad in ("Traceback", "internal error"):
            assert bad not in said, said[said.index(bad) - 500 :][:5000]


def fuzz(folder: Path, frames: int, seed: int) -> Counter[str]:
    """Send so many messages; returns what was done. Raises AssertionError."""
    counts: Counter[str] = Counter()
    source = Source(seed, counts)
    with fuzzed(folder) as stack, zmq.Context() as context:
        endpoint = f"ipc://{stack.run_dir}/control.sock"
        clients = [Client(context, endpoint, counts) for _ in range(CLIENTS)]
        wire = Wire(stack.run_dir, source.random, counts)
        watch = Watch(stack, counts)
        for number in range(frames):
            if source.random.random() < STREAMS:
                wire.send()
            else:
                clients[number % CLIENTS].send(source.next())
            if number % EACH == 0:
                watch.look()
        for client in clients:
            client.settle()
        wire.close()
        watch.look()
        watch.close()
        counts["bytes of stackd, at first"] = watch.begun
        counts["bytes of stackd, at most"] = watch.most
        context.destroy(linger=0)
    return counts


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=1_000_000, help="messages to send")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stackd-fuzz-") as folder:
        counts = fuzz(Path(folder), options.frames, options.seed)
    for name, count in sorted(counts.items()):
        sys.stdout.write(f"{name:<28} {count:>12}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
