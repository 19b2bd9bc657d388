"""What is asked of a stackd that leaves its services to the next one, in the moment before it is gone."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from supervisor_stack.control.codec import decode_reply, encode_request
from supervisor_stack.control.messages import (
    AnyReply,
    AnyRequest,
    Apply,
    Failed,
    List,
    ListReply,
    Reload,
    Reset,
    Restart,
    Shutdown,
    Signal,
    Start,
    Stop,
)
from supervisor_stack.core.actions import Action
from supervisor_stack.core.stack import Stack
from supervisor_stack.daemon.access import Access
from supervisor_stack.daemon.apply import Asked
from supervisor_stack.daemon.client import Client
from supervisor_stack.daemon.clock import wall
from supervisor_stack.daemon.engine import Engine
from supervisor_stack.daemon.graph import GraphReader
from supervisor_stack.daemon.peer import Peer
from supervisor_stack.daemon.server import Server
from supervisor_stack.daemon.status import StatusReader
from supervisor_stack.daemon.usage import Meter
from supervisor_stack.spec import ControlSpec, ServiceSpec, StackSpec

CONTROL = ControlSpec(socket="ipc:///run/control.sock", events="ipc:///run/events.sock")
APP = ServiceSpec(name="app", argv=("app",))
SPEC = StackSpec(name="test", base_dir="/", runtime_dir="/", log_dir="/", control=CONTROL, services=(APP,))


class Outside:
    """Where orders and notices go, and requests that the server only passes on; nobody is there."""

    def __init__(self) -> None:
        self.passed_on: list[object] = []

    def send_notice(self, frames: list[bytes]) -> None:
        """Lost."""

    def apply(self, asked: Asked) -> None:
        self.passed_on.append(asked)

    def leave(self) -> None:
        self.passed_on.append("leave")

    def perform(self, action: Action) -> None:
        self.passed_on.append(action)


def asked_when_leaving(request: AnyRequest) -> tuple[list[AnyReply], list[object]]:
    """The answers to a request that comes when stackd has let go, and what was done for it."""

    async def scenario() -> tuple[list[AnyReply], list[object]]:
        loop, outside, answers = asyncio.get_running_loop(), Outside(), list[AnyReply]()
        stack = Stack(SPEC.services, lambda: 0.5, loop.time())
        engine = Engine(stack, loop, partial(outside.passed_on.append, "finished"))
        engine.perform = outside.perform
        meter = Meter(loop, stack.services, lambda _: [])
        status = StatusReader(SPEC, stack, lambda _: (), lambda _: (), meter, lambda _: {}, str, 0.0)
        server = Server(engine, outside, status, GraphReader("test", stack, str), wall, lambda *_: "")
        caller = Access(CONTROL, "stackd.toml").local(Peer(0, 0, 1), "root", tuple)
        client = Client(caller, CONTROL.events, lambda frames: answers.append(decode_reply(frames)))
        engine.close()
        server.leave()

        server.receive(client, encode_request(request))
        return answers, outside.passed_on

    return asyncio.run(scenario())


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (Signal(service="app", signal="USR1", id="7"), "send USR1 to app"),
        (Reset(services=("app",), id="7"), "reset app"),
        (Start(services=("app",), id="7"), "start app"),
        (Stop(id="7"), "stop all services"),
        (Restart(services=("app",), id="7"), "restart app"),
        (Reload(services=("app",), id="7"), "reload app"),
        (Apply(id="7"), "apply the configuration"),
        (Apply(plan=True, id="7"), "see what would be applied"),
        (Shutdown(id="7"), "shut down the stack"),
        (Shutdown(keep_services=True, id="7"), "shut down the stack"),
    ],
)
def test_what_is_asked_of_one_who_leaves_is_not_done_and_that_is_said(
    request_: AnyRequest, told: str
) -> None:
    (answer,), done = asked_when_leaving(request_)

    assert isinstance(answer, Failed)
    assert (answer.id, answer.message) == ("7", f"cannot {told}: stackd leaves")
    assert answer.detail == ("nothing was done; ask the next one",)
    assert done == []


def test_who_only_looks_is_answered_to_the_last() -> None:
    (answer,), done = asked_when_leaving(List(id="7"))

    assert isinstance(answer, ListReply)
    assert answer.services == ("app",)
    assert done == []
