"""The methods of both clients that are named for what they do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec
import pytest

from supervisor_stack import errors
from supervisor_stack.control.client import StackClient
from supervisor_stack.control.client.waiting import Waiting
from supervisor_stack.control.messages import (
    Accepted,
    AnyRequest,
    Done,
    Events,
    EventsReply,
    Finished,
    Reload,
    Reset,
    Restart,
    Shutdown,
    Signal,
    Start,
    Status,
    StatusReply,
    Stop,
)
from supervisor_stack.control.parts import Outcome
from tests.cli.shop import Shop, notice, service
from tests.control.driven import Connect
from tests.peer import Peer, Step, Vanish

ACCEPTED = Accepted(op=17, services=("db", "web"))
DB = Outcome(service="db", state="running")
WEB = Outcome(service="web", state="failed", error="exit status 1", detail=("bind() failed",))


@pytest.fixture
def shop() -> Shop:
    return Shop(service("db"), service("web"))


@pytest.fixture
def peer(tmp_path: Path, shop: Shop) -> Iterator[Peer]:
    with Peer(tmp_path, shop) as peer:
        shop.events = peer.events
        yield peer


@pytest.fixture
def client(connect: Connect, peer: Peer) -> Iterator[StackClient]:
    with connect(peer.endpoint) as client:
        yield client


@pytest.mark.parametrize(
    ("call", "request_"),
    [
        (lambda client: client.status(), Status(id="1")),
        (lambda client: client.status("web", detail=True), Status(id="1", services=("web",), detail=True)),
        (lambda client: client.events(), Events(id="1")),
        (lambda client: client.events(3, limit=7), Events(id="1", since=3, limit=7)),
        (lambda client: client.signal("web", "SIGHUP"), Signal(id="1", service="web", signal="HUP")),
        (lambda client: client.reset("web", "db"), Reset(id="1", services=("web", "db"))),
        (lambda client: client.start("web", timeout=9), Start(id="1", services=("web",))),
        (lambda client: client.stop("db", cascade=True), Stop(id="1", services=("db",), cascade=True)),
        (lambda client: client.restart(), Restart(id="1")),
        (
            lambda client: client.restart("db", cascade=True, hard=True),
            Restart(id="1", services=("db",), cascade=True, hard=True),
        ),
        (lambda client: client.reload("web"), Reload(id="1", services=("web",))),
    ],
)
def test_a_method_becomes_the_request(
    client: StackClient, peer: Peer, shop: Shop, call: Callable[[StackClient], object], request_: AnyRequest
) -> None:
    if isinstance(request_, Start | Stop | Restart | Reload):
        shop.operation = (ACCEPTED, Finished(op=17, ok=True, outcomes=(DB,)))

    call(client)

    assert peer.requests == [request_]


def test_an_operation_tells_how_it_ended(client: StackClient, shop: Shop) -> None:
    shop.operation = (ACCEPTED, Finished(op=17, ok=True, outcomes=(DB,)))

    assert client.start("db").outcomes == (DB,)


def test_an_operation_that_fails_is_raised_with_cause_and_evidence(client: StackClient, shop: Shop) -> None:
    shop.operation = (ACCEPTED, Finished(op=17, ok=False, outcomes=(DB, WEB)))

    with pytest.raises(errors.OperationError) as caught:
        client.restart()

    assert (caught.value.message, caught.value.detail) == (
        "cannot restart web: exit status 1",
        ("bind() failed",),
    )


def test_an_operation_that_is_refused_is_raised_as_such(client: StackClient) -> None:
    with pytest.raises(errors.UnknownServiceError, match="did you mean web"):
        client.status("wbe")


@pytest.mark.parametrize("keep", [False, True])
def test_shutdown_waits_until_stackd_has_left(
    client: StackClient, peer: Peer, shop: Shop, keep: bool
) -> None:
    shop.operation = (ACCEPTED, Finished(op=17, ok=True, outcomes=()), Vanish())

    client.shutdown(keep_services=keep)

    assert peer.requests == [Shutdown(id="1", keep_services=keep)]
    assert client.wait_gone(0)


# Waiting.


def test_what_is_there_is_not_waited_for(client: StackClient) -> None:
    assert [each.name for each in client.wait("web").services] == ["web"]


def test_waiting_ends_when_it_is_there(client: StackClient, peer: Peer, shop: Shop) -> None:
    shop.services = {"web": service("web", "starting")}

    def script(request: AnyRequest) -> Iterable[Step]:
        yield from shop(request)
        if isinstance(request, Events) and not shop.notices:
            shop.services = {"web": service("web")}
            shop.notices = (notice(1, "web", "starting", "running"),)

    peer.script = script

    assert client.wait("web", timeout=20).services[0].ready


def test_a_task_that_is_done_is_ready(client: StackClient, shop: Shop) -> None:
    shop.services = {"migrate": service("migrate", "exited", ready=True)}

    assert client.wait("migrate").services[0].state == "exited"
    assert client.wait(state="exited").services[0].state == "exited"


def test_what_only_a_person_can_bring_back_is_not_waited_for(client: StackClient, shop: Shop) -> None:
    shop.services = {"web": service("web", "failed", reason="exit status 1")}

    with pytest.raises(errors.OperationError, match="cannot see web ready: it failed for good") as caught:
        client.wait("web")

    assert caught.value.detail == ("web is failed (failed): exit status 1.",)


def test_waiting_is_over_in_time(client: StackClient, shop: Shop) -> None:
    shop.services = {"web": service("web", "waiting", reason="needs db")}

    with pytest.raises(errors.TimedOutError, match=r"cannot see web ready: not so within 0\.1 s"):
        client.wait(timeout=0.1)


def test_a_state_that_is_none_is_not_waited_for(client: StackClient, peer: Peer) -> None:
    with pytest.raises(errors.RequestError, match="cannot wait for `reddy`: there are ready, "):
        client.wait("web", state="reddy")  # type: ignore[arg-type]

    assert peer.requests == []


@pytest.mark.parametrize(
    ("notices", "news"),
    [
        ((6, 7, 8), (True, True, True)),
        ((6,), (True,)),
        # The look told of 1 to 5, and this is not one of those: another stackd counts anew.
        ((1,), (True,)),
        ((7, 1), (True, True)),
    ],
)
def test_a_notice_that_came_after_the_look_is_a_reason_to_look_again(
    notices: tuple[int, ...], news: tuple[bool, ...]
) -> None:
    waiting = Waiting("ready", None)
    waiting.is_over(seen(5))

    assert tuple(waiting.is_news(notice(seq, "web", "a", "b")) for seq in notices) == news


def test_a_notice_that_is_part_of_the_look_is_no_reason_to_look_again() -> None:
    waiting = Waiting("ready", None)
    waiting.is_over(seen(5))
    waiting.is_news(notice(6, "web", "a", "b"))
    waiting.is_over(seen(8))

    assert [waiting.is_news(notice(seq, "web", "a", "b")) for seq in (7, 8, 9)] == [False, False, True]


def seen(seq: int) -> StatusReply:
    """A look at something that is not ready."""
    (reply,) = Shop(service("web", "starting"))(Status())
    assert isinstance(reply, StatusReply)
    return msgspec.structs.replace(reply, seq=seq)


def test_the_configuration_tells_where_stackd_is(
    peer: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "stackd.toml"
    file.write_text(f"[stack]\nname = 'shop'\n[control]\nsocket = '{peer.endpoint}'\n")

    with StackClient.from_config(file) as client:
        assert client.status().stack.name == "shop"
    monkeypatch.setenv("STACKD_CONFIG", str(file))
    with StackClient.from_config() as client:
        assert client.status().stack.name == "shop"
    with pytest.raises(errors.ConfigError):
        StackClient.from_config(tmp_path / "none.toml")


def test_nothing_has_to_be_told_for_done(client: StackClient, shop: Shop) -> None:
    shop.operation = (Done(),)

    client.signal("web", "hup")


def test_the_notices_come_with_the_number_of_the_last(client: StackClient, shop: Shop) -> None:
    shop.notices = (notice(1, "web", "waiting", "starting"), notice(2, "web", "starting", "running"))

    reply = client.events(since=1)

    assert isinstance(reply, EventsReply)
    assert ([each.seq for each in reply.notices], reply.seq) == ([2], 2)
