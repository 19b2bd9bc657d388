"""Both clients against a peer on real sockets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from supervisor_stack import errors
from supervisor_stack.control.client import Operation, StackClient
from supervisor_stack.control.codec import encode_reply
from supervisor_stack.control.messages import (
    Accepted,
    AnyRequest,
    Done,
    Failed,
    Finished,
    Progress,
    Reload,
    Reset,
    Shutdown,
    Signal,
    Start,
    Status,
    StatusReply,
    Stop,
)
from supervisor_stack.control.parts import Daemon, Outcome, Stack
from supervisor_stack.control.purpose import purpose
from tests.control.driven import Connect
from tests.peer import Peer, Script, Step, Vanish

STATUS = StatusReply(
    stackd=Daemon(pid=812, version="0.1.0", since="2026-11-22T05:45:30.000Z"),
    stack=Stack(name="shop", state="running"),
    services=(),
    events="",
    seq=0,
)
OK = Finished(op=17, ok=True, outcomes=(Outcome(service="web", state="running"),))


def always(*steps: Step) -> Script:
    return lambda _request: steps


@contextmanager
def connected(connect: Connect, folder: Path, script: Script, timeout: float = 5.0) -> Iterator[StackClient]:
    with Peer(folder, script) as peer, connect(peer.endpoint, timeout) as client:
        yield client


def test_a_request_gets_its_answer(connect: Connect, tmp_path: Path) -> None:
    with Peer(tmp_path, always(STATUS)) as peer, connect(peer.endpoint) as client:
        assert client.request(Status(services=("web",))).stack.name == "shop"
        assert [msgspec.structs.replace(request, id="") for request in peer.requests] == [
            Status(services=("web",))
        ]


def test_requests_have_ids_of_their_own(connect: Connect, tmp_path: Path) -> None:
    with Peer(tmp_path, always(Done())) as peer, connect(peer.endpoint) as client:
        client.request(Reset())
        client.request(Signal(service="web", signal="HUP"))

        first, second = peer.requests
        assert first.id != second.id


def test_a_refusal_is_raised_as_the_error_it_is(connect: Connect, tmp_path: Path) -> None:
    refused = Failed(error="unknown-service", message="no service `wbe`; did you mean web?", detail=("a",))
    with (
        connected(connect, tmp_path, always(refused)) as client,
        pytest.raises(errors.UnknownServiceError) as caught,
    ):
        client.request(Reset(services=("wbe",)))

    assert (caught.value.message, caught.value.detail) == ("no service `wbe`; did you mean web?", ("a",))


def test_a_refusal_without_an_id_counts(connect: Connect, tmp_path: Path) -> None:
    frames = encode_reply(
        Failed(id="", error="bad-request", message="cannot read the request: it is nonsense")
    )
    with (
        connected(connect, tmp_path, always(frames)) as client,
        pytest.raises(errors.RequestError, match="it is nonsense"),
    ):
        client.request(Status())


def test_answers_to_other_requests_are_passed_over(connect: Connect, tmp_path: Path) -> None:
    late = encode_reply(msgspec.structs.replace(STATUS, id="0", stack=Stack(name="old", state="stopped")))
    with connected(connect, tmp_path, always(late, STATUS)) as client:
        assert client.request(Status()).stack.name == "shop"


def test_silence_is_not_waited_for_longer_than_told(connect: Connect, tmp_path: Path) -> None:
    with (
        connected(connect, tmp_path, always(), timeout=0.05) as client,
        pytest.raises(errors.TimedOutError) as caught,
    ):
        client.request(Status())

    assert caught.value.message == (
        f"cannot get an answer from {client.endpoint}: stackd did not answer within 0.05 s"
    )


def test_an_answer_of_another_version_names_both(connect: Connect, tmp_path: Path) -> None:
    with (
        connected(connect, tmp_path, always([b"stack/2", b"{}"])) as client,
        pytest.raises(errors.ProtocolVersionError, match="it speaks 'stack/2', and this stackctl"),
    ):
        client.request(Status())


def test_an_answer_to_another_question_is_not_taken_for_one(connect: Connect, tmp_path: Path) -> None:
    with (
        connected(connect, tmp_path, always(Done())) as client,
        pytest.raises(errors.ProtocolVersionError) as caught,
    ):
        client.request(Status())

    assert str(caught.value) == "cannot understand stackd: it answered Done where StatusReply was due"


def test_a_stackd_that_dies_is_noticed_at_once(connect: Connect, tmp_path: Path) -> None:
    with (
        connected(connect, tmp_path, always(Vanish()), timeout=60) as client,
        pytest.raises(errors.UnreachableError) as caught,
    ):
        client.request(Reset())

    assert caught.value.message == f"cannot get an answer from {client.endpoint}: stackd went away"


def test_what_changes_nothing_is_asked_again_of_the_next_stackd(connect: Connect, tmp_path: Path) -> None:
    with (
        connected(connect, tmp_path, always(Vanish()), timeout=60) as client,
        pytest.raises(errors.UnreachableError) as caught,
    ):
        client.request(Status())

    assert caught.value.message == f"cannot reach stackd at {client.endpoint}: it is not running"


def test_what_stackd_said_before_it_died_counts(connect: Connect, tmp_path: Path) -> None:
    with connected(connect, tmp_path, always(STATUS, Vanish())) as client:
        assert client.request(Status()).stack.name == "shop"


# Operations.


def test_an_operation_is_told_from_beginning_to_end(connect: Connect, tmp_path: Path) -> None:
    accepted = Accepted(op=17, services=("web",))
    progress = Progress(op=17, service="web", state="starting")
    with connected(connect, tmp_path, always(accepted, progress, OK)) as client:
        told = [msgspec.structs.replace(step, id="") for step in client.operate(Start(services=("web",)))]

    assert told == [accepted, progress, OK]


def test_an_operation_may_be_refused(connect: Connect, tmp_path: Path) -> None:
    refused = Failed(error="refused", message="cannot stop db: needed by web")
    with (
        connected(connect, tmp_path, always(refused)) as client,
        pytest.raises(errors.RefusedError, match="cannot stop db: needed by web"),
    ):
        list(client.operate(Stop(services=("db",))))


def test_an_operation_that_takes_too_long_is_told_with_what_is_true_now(
    connect: Connect, tmp_path: Path
) -> None:
    steps = always(Accepted(op=17, services=("web",)), Progress(op=17, service="web", state="starting"))
    with connected(connect, tmp_path, steps) as client, pytest.raises(errors.TimedOutError) as caught:
        list(client.operate(Start(services=("web",)), timeout=0.2))

    assert caught.value.message == "cannot start web: not done within 0.2 s"
    assert caught.value.detail == ("web is starting.", "stackd goes on with it.")


def test_an_operation_whose_stackd_dies_is_not_waited_for(connect: Connect, tmp_path: Path) -> None:
    steps = always(Accepted(op=17, services=("web",)), Vanish())
    with (
        connected(connect, tmp_path, steps) as client,
        pytest.raises(errors.UnreachableError, match="stackd went away"),
    ):
        list(client.operate(Start(services=("web",))))


def test_a_stackd_that_leaves_is_seen_leaving(connect: Connect, tmp_path: Path) -> None:
    def script(_request: AnyRequest) -> Iterable[Step]:
        return Accepted(op=1, services=()), Finished(op=1, ok=True, outcomes=()), Vanish()

    with connected(connect, tmp_path, script) as client:
        list(client.operate(Shutdown()))

        assert client.wait_gone(10)


def test_a_stackd_that_stays_is_not_waited_for_longer_than_told(connect: Connect, tmp_path: Path) -> None:
    with connected(connect, tmp_path, always(Done())) as client:
        client.request(Reset())

        assert not client.wait_gone(0.05)


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (Start(services=("web",)), "start web"),
        (Reload(services=("web", "db")), "reload web, db"),
        (Stop(), "stop all services"),
        (Shutdown(), "shut down the stack"),
    ],
)
def test_an_operation_can_be_said_in_a_sentence(message: Operation, told: str) -> None:
    assert purpose(message) == told
