"""A client that outlives its stackd, and one that does several things at once: both clients."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable
from pathlib import Path
from time import sleep
from typing import Self

import msgspec
import pytest

from supervisor_stack import errors
from supervisor_stack.control.messages import Accepted, AnyRequest, Finished, Progress, Start, Status
from supervisor_stack.control.parts import Outcome
from tests.control.driven import Connect
from tests.control.test_client import STATUS, always
from tests.peer import Peer, Step, Vanish

ACCEPTED = Accepted(op=17, services=("web",))
STARTING = Progress(op=17, service="web", state="starting")
OK = Finished(op=17, ok=True, outcomes=(Outcome(service="web", state="running"),))


def test_a_client_can_be_used_again_when_stackd_is_back(connect: Connect, tmp_path: Path) -> None:
    with Peer(tmp_path, always(STATUS)) as peer:
        client = connect(peer.endpoint)
        client.status()
    with client:
        assert client.wait_gone(10)
        for _ in range(2):
            with pytest.raises(errors.UnreachableError, match="it is not running"):
                client.status()

        with Peer(tmp_path, always(STATUS)):
            assert client.status().stack.name == "shop"


def test_a_client_that_waits_for_nothing_goes_on_with_the_next_stackd(
    connect: Connect, tmp_path: Path
) -> None:
    with Peer(tmp_path, always(STATUS)) as peer:
        client = connect(peer.endpoint)
        client.status()
    assert client.wait_gone(10)
    with Peer(tmp_path, always(STATUS)), client:
        assert client.status().stack.name == "shop"


def test_what_was_given_up_does_not_reach_the_next_stackd(connect: Connect, tmp_path: Path) -> None:
    with Peer(tmp_path, always(Vanish())) as peer:
        client = connect(peer.endpoint)
        with pytest.raises(errors.UnreachableError, match="stackd went away"):
            client.start("web")
        with pytest.raises(errors.UnreachableError):
            client.start("web")
    with Peer(tmp_path, always(STATUS)) as peer, client:
        client.status()

        assert [type(request) for request in peer.requests] == [Status]


def test_a_stackd_that_left_is_seen_as_gone(connect: Connect, tmp_path: Path) -> None:
    with Peer(tmp_path, always(STATUS)) as peer:
        client = connect(peer.endpoint)
    with client:
        assert client.wait_gone(10)
        with pytest.raises(errors.UnreachableError):
            client.status()
        assert client.wait_gone(0)


# Several things at once.


def chatty(request: AnyRequest) -> Iterable[Step]:
    """An operation that has news when something else is asked."""
    if isinstance(request, Start):
        yield ACCEPTED
        yield STARTING
        yield OK
    else:
        yield STATUS


def test_questions_may_be_asked_while_an_operation_goes(connect: Connect, tmp_path: Path) -> None:
    with Peer(tmp_path, chatty) as peer, connect(peer.endpoint) as client:
        told = []
        for step in client.operate(Start(services=("web",)), timeout=10):
            assert client.status().stack.name == "shop"
            told.append(msgspec.structs.replace(step, id=""))

    assert told == [ACCEPTED, STARTING, OK]


def test_an_operation_that_is_given_up_is_forgotten(connect: Connect, tmp_path: Path) -> None:
    with Peer(tmp_path, chatty) as peer, connect(peer.endpoint) as client:
        steps = client.operate(Start(services=("web",)))
        next(steps)
        steps.close()

        assert client.status().stack.name == "shop"
        assert client._conversation.open_count == 0


def test_a_stackd_that_dies_ends_all_that_was_asked(connect: Connect, tmp_path: Path) -> None:
    with Peer(tmp_path, always(ACCEPTED)) as peer, connect(peer.endpoint) as client:
        first, second = client.operate(Start()), client.operate(Start())
        next(first)
        next(second)

        peer.do(Vanish())

        for steps in (second, first):
            with pytest.raises(errors.UnreachableError, match="stackd went away"):
                next(steps)


def test_what_cannot_be_put_into_bytes_is_told_and_leaves_nothing(connect: Connect, tmp_path: Path) -> None:
    with Peer(tmp_path, always(STATUS)) as peer, connect(peer.endpoint) as client:
        with pytest.raises(errors.RequestError, match="a string in it is not UTF-8"):
            client.status("\udcff")

        assert client._conversation.open_count == 0
        assert client.status().stack.name == "shop"


# A connection that does not stand is none.


class Closing:
    """Listens, and hangs up on whoever comes, before a word is said."""

    def __init__(self, path: Path) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._run)
        self.came = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes up whoever waits in accept
        self._thread.join()
        self._listener.close()

    def _run(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            client.close()
            self.came += 1


def test_somebody_who_hangs_up_is_not_stackd(connect: Connect, tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with Closing(path), pytest.raises(errors.UnreachableError) as caught:
        connect(f"ipc://{path}")

    assert caught.value.message == f"cannot reach stackd at ipc://{path}: whoever listens there hangs up"


def test_a_stackd_that_is_being_replaced_is_waited_for(connect: Connect, tmp_path: Path) -> None:
    path = tmp_path / "control.sock"

    def replace() -> None:
        while old.came < 2:  # one to look whether somebody is there, and one to ask
            sleep(0.001)
        successors.append(Peer(tmp_path, always(STATUS)).__enter__())  # takes over the path

    successors: list[Peer] = []
    replacing = threading.Thread(target=replace)
    with Closing(path) as old:
        replacing.start()
        with connect(f"ipc://{path}") as client:
            assert client.status().stack.name == "shop"
        replacing.join()
    successors[0].__exit__(None, None, None)
