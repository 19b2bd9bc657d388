"""stackctl and a stackd that is broken, or means no good: an error and an exit code, never a traceback."""

from __future__ import annotations

from pathlib import Path
from random import Random

import msgspec
import pytest

from supervisor_stack.cli.stackctl import main
from supervisor_stack.control.codec import encode_notice, encode_reply
from supervisor_stack.control.messages import (
    PROTOCOL,
    AnyRequest,
    Events,
    EventsReply,
    Reset,
    Signal,
    Status,
    StatusReply,
)
from supervisor_stack.control.zmtp import encode
from tests.control.samples import NOTICE, REPLIES
from tests.fuzz.mutate import bitten, odd
from tests.raw import RawServer

BY_TYPE = {type(reply).__name__: reply for reply in REPLIES}
ROUNDS = 200

VERBS = (
    "status", "status uwsgi", "status uwsgi nginx", "is-active uwsgi", "wait uwsgi",
    "wait --for stopped uwsgi", "version", "events", "events -f", "logs", "logs uwsgi -n 3", "reset all",
    "signal HUP uwsgi", "start uwsgi", "stop --cascade mysqld", "restart all", "reload nginx",
    "shutdown --timeout 3", "start --no-wait uwsgi",
)  # fmt: skip


class Broken:
    """What a broken stackd answers; the same for the same seed."""

    def __init__(self, seed: int, events: Path) -> None:
        self._random = Random(seed)  # noqa: S311 - to be done again
        self._events = f"ipc://{events}"

    def __call__(self, request: AnyRequest) -> bytes:
        """All of it, as it goes over the wire."""
        said = b"".join(encode(self._mutated(each)) for each in self._due(request))
        return bitten(self._random, said) if self._random.random() < 0.1 else said

    def _due(self, request: AnyRequest) -> list[bytes]:
        match request:
            case Status():
                kinds = ["StatusReply"]
            case Signal() | Reset():
                kinds = ["Done"]
            case Events():
                kinds = ["EventsReply"]
            case _:
                kinds = ["Accepted", "Progress", "Finished"]
        if self._random.random() < 0.1:
            kinds = [self._random.choice(list(BY_TYPE))]
        bodies = []
        for kind in kinds:
            reply = msgspec.structs.replace(BY_TYPE[kind], id=request.id)
            if isinstance(reply, StatusReply | EventsReply):
                reply = msgspec.structs.replace(reply, events=self._events)
            bodies.append(encode_reply(reply)[1])
        return bodies

    def _mutated(self, body: bytes) -> list[bytes]:
        match self._random.randrange(10):
            case 0:
                return [PROTOCOL, bitten(self._random, body)]
            case 1:
                return self._random.choice(([b""], [b"", b""], [PROTOCOL], [PROTOCOL, body, b""]))
            case 2:
                return [bitten(self._random, PROTOCOL), body]
            case 3:
                return encode_notice(NOTICE)
            case _:
                return [PROTOCOL, odd(self._random, body)]


@pytest.mark.parametrize("json", [[], ["--json"]], ids=["people", "json"])
@pytest.mark.parametrize("verb", VERBS)
def test_a_broken_stackd_is_told_of_and_nothing_worse(
    tmp_path: Path, verb: str, json: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    for seed in range(ROUNDS):
        with RawServer(tmp_path / f"{seed}.sock", Broken(seed, tmp_path / "events.sock")) as server:
            code = main(["--socket", server.endpoint, *json, *verb.split()])
        said = capfd.readouterr()

        assert code in (0, 1, 2, 3, 4, 6, 7, 124), (seed, said)
