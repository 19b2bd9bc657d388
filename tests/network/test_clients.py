"""Both clients over the network: what they meet there, and a stackd that goes and comes."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from supervisor_stack.control.client import StackClient
from supervisor_stack.errors import NotPermittedError, RequestError, TimedOutError, UnreachableError
from tests.control.driven import Connect, driven
from tests.network.bench import NetworkStack, Proxy
from tests.stack import DEADLINE


@pytest.fixture(params=[StackClient, driven], ids=["waits", "is awaited"])
def connect(request: pytest.FixtureRequest) -> Connect:
    """What makes a client of either kind."""
    connect: Connect = request.param
    return connect


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[NetworkStack]:
    """Its operator has the key `web-admin`."""
    stack = NetworkStack(tmp_path)
    stack.admit("web-admin", "operate")
    with stack:
        stack.until_up()
        yield stack


def reached(stack: NetworkStack, connect: Connect, port: int = 0, timeout: float = 5.0) -> StackClient:
    keys = stack.keys_of(stack.keys / "web-admin.key_secret")
    return connect(f"tcp://127.0.0.1:{port or stack.port}", timeout, keys)


def test_an_operation_and_its_notices(stack: NetworkStack, connect: Connect) -> None:
    with reached(stack, connect) as client:
        notices = client.subscribe(client.status().seq, timeout=DEADLINE)

        assert client.restart("web", timeout=DEADLINE).ok
        assert next(each for each in notices if each.by).by == "key web-admin"
        with pytest.raises(NotPermittedError):
            client.apply()


def test_a_client_outlives_its_stackd(stack: NetworkStack, connect: Connect) -> None:
    with reached(stack, connect) as client:
        notices = client.subscribe(0, timeout=DEADLINE)
        assert [each.seq for each in islice(notices, 3)] == [1, 2, 3]
        stack.die()
        assert client.wait_gone(DEADLINE)
        with pytest.raises(UnreachableError, match="it is not running, or listens elsewhere"):
            client.status()

        stack.come_back()
        assert client.wait(timeout=DEADLINE).stack.state == "running"
        assert client.restart("web", timeout=DEADLINE).ok


def test_a_stranger_is_told_nothing(stack: NetworkStack, connect: Connect) -> None:
    keys = stack.keys_of(stack.keys / "web-admin.key_secret")
    with pytest.raises(NotPermittedError, match="it hung up before the keys were agreed upon"):
        connect(stack.endpoint, 5.0, keys._replace(public=keys.server, secret=keys.secret))


def test_somebody_who_says_nothing_is_not_waited_for_longer_than_told(
    stack: NetworkStack, connect: Connect
) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as mute,
        pytest.raises(TimedOutError, match=r"within 0\.2 s") as caught,
    ):
        reached(stack, connect, mute.getsockname()[1], timeout=0.2)

    assert "it does not answer at all (stopped, overloaded);" in caught.value.detail


def test_a_cable_that_is_pulled_is_noticed(stack: NetworkStack, connect: Connect) -> None:
    with Proxy(stack.port) as proxy, reached(stack, connect, proxy.port, timeout=0.5) as client:
        client.status()
        proxy.is_cut = True

        with pytest.raises(TimedOutError, match=r"did not answer within 0\.5 s"):
            client.status()


def test_without_keys_nobody_even_tries(connect: Connect) -> None:
    with pytest.raises(RequestError, match="the network takes keys"):
        connect("tcp://127.0.0.1:7890")
