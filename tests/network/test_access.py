"""The decision itself: from what the kernel tells to a role."""

from __future__ import annotations

import asyncio
import logging
import os
import socket

import msgspec
import pytest

from supervisor_stack.control.messages import Reset, Restart, Signal, Status
from supervisor_stack.daemon.access import Access, taken_up
from supervisor_stack.daemon.audit import INTERVAL, MANY, Audit
from supervisor_stack.daemon.names import Names
from supervisor_stack.daemon.peer import Peer, groups_of, peer_of
from supervisor_stack.errors import NotPermittedError, RefusedError
from supervisor_stack.spec import ClientKey, ControlSpec, Grant, NetworkSpec, Role

KEY = ClientKey(name="web", public="x" * 40, role="operate")
NETWORK = NetworkSpec(listen="tcp://0.0.0.0:7890", events="tcp://0.0.0.0:7891", keys="/keys", clients=(KEY,))
CONTROL = ControlSpec(
    socket="ipc:///run/control.sock",
    events="ipc:///run/events.sock",
    group="games",
    grants=(
        Grant(role="view", name="@games", number=60),
        Grant(role="operate", name="alice", number=1000),
        Grant(role="view", name="alice", number=1000),
        Grant(role="admin", name="@deploy", number=2000),
    ),
    network=NETWORK,
)


def role(access: Access, peer: Peer, *groups: int) -> Role | None:
    return access.local(peer, "somebody", lambda: groups).role


@pytest.mark.parametrize(
    ("uid", "groups", "expected"),
    [
        (0, (), "admin"),
        (1000, (), "operate"),
        (1000, (2000,), "admin"),
        (1001, (60,), "view"),
        (1001, (60, 2000), "admin"),
        (1001, (1000, 61), None),
    ],
)
def test_the_highest_role_counts(uid: int, groups: tuple[int, ...], expected: Role | None) -> None:
    assert role(Access(CONTROL, ""), Peer(uid, 9, 1), *groups) == expected


def test_the_first_group_of_a_process_counts_too() -> None:
    assert role(Access(CONTROL, ""), Peer(1001, 60, 1)) == "view"


def test_the_user_that_stackd_runs_as_may_do_everything() -> None:
    assert role(Access(msgspec.structs.replace(CONTROL, grants=()), ""), Peer(os.geteuid(), 9, 1)) == "admin"


def test_a_number_means_a_user_or_a_group_and_not_both() -> None:
    assert role(Access(CONTROL, ""), Peer(60, 1000, 1), 1000) is None


def test_a_key_that_is_gone_has_no_role() -> None:
    access = Access(CONTROL, "")
    assert access.key(KEY.public) == KEY

    access.become(msgspec.structs.replace(CONTROL, network=None))

    assert access.key(KEY.public) is None
    assert access.key("") is None


def test_a_changed_configuration_is_taken_up_as_far_as_it_says_who_may_do_what() -> None:
    other = msgspec.structs.replace(KEY, name="other")
    new = ControlSpec(
        socket="ipc:///elsewhere",
        events="ipc:///elsewhere",
        network=msgspec.structs.replace(NETWORK, listen="tcp://0.0.0.0:1", clients=(other,)),
    )

    now = taken_up(CONTROL, new)

    assert (now.socket, now.group, now.grants) == (CONTROL.socket, "", ())
    assert now.network == msgspec.structs.replace(NETWORK, clients=(other,))
    closed = taken_up(CONTROL, msgspec.structs.replace(CONTROL, network=None)).network
    assert closed == msgspec.structs.replace(NETWORK, clients=())


def test_peer_and_groups_are_those_of_the_process_that_connected() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert peer_of(ours) == Peer(os.geteuid(), os.getegid(), os.getpid())
        assert set(groups_of(ours)) == set(os.getgroups())
    with socket.socket() as no_unix_socket:
        assert groups_of(no_unix_socket) == ()


def test_names_come_in_the_order_of_the_questions_and_are_kept() -> None:
    async def scenario() -> list[str]:
        loop = asyncio.get_running_loop()
        names, told = Names(loop), list[str]()
        known, unknown = loop.create_future(), loop.create_future()
        names.tell(0, told.append)
        names.tell(1, told.append)
        names.tell(54321, unknown.set_result)
        names.tell(1, known.set_result)
        names.tell(0, told.append)
        assert told == ["root", "root"], "nobody is waited for"
        assert await known == "daemon"
        assert await unknown == "uid 54321"
        names.tell(1, told.append)
        return told

    assert asyncio.run(scenario()) == ["root", "root", "daemon", "daemon"]


def test_who_asks_again_and_again_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    now = 100.0
    audit = Audit(lambda: now)
    caller = Access(CONTROL, "stackd.toml").local(Peer(1001, 60, 7), "bob", tuple)
    request = Restart(services=("web\n2026 INFO web: all is well",))

    for _ in range(500):
        with pytest.raises(NotPermittedError) as refused:
            caller.require(request)
        audit.refuse(caller, request, refused.value)
    assert len(caplog.messages) == MANY
    now += INTERVAL
    audit.refuse(caller, request, refused.value)

    assert caplog.messages[MANY] == f"audit: {500 - MANY} more requests were refused"
    line = r"restart web\n2026 INFO web: all is well: refused: has the role view, and it takes operate"
    assert set(caplog.messages[:MANY]) == {f"audit: bob (uid 1001, pid 7) asked to {line}"}


def test_signals_and_resets_without_end_are_summed_up_for_each_who_asks(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    now = 100.0
    audit, access = Audit(lambda: now), Access(CONTROL, "")
    signal, reset = Signal(service="web", signal="USR1"), Reset(services=("web",))
    for number in range(500):  # from another process each time
        audit.accept(
            access.local(Peer(1000, 60, number), "alice", tuple), (signal, reset)[number % 2], "done"
        )
    alice = access.local(Peer(1000, 60, 7), "alice", tuple)
    assert len(caplog.messages) == MANY
    caplog.clear()

    audit.accept(access.remote(KEY, "10.0.0.7"), reset, "done")
    for number in range(MANY + 1):
        audit.accept(alice, Restart(services=("web",)), f"operation {number}")
    now += INTERVAL
    audit.accept(alice, signal, "done")

    other, *restarts, sum_, last = caplog.messages
    assert other == "audit: key web (10.0.0.7) asked to reset web: done"
    asked = "audit: alice (uid 1000, pid 7) asked to"
    assert restarts == [f"{asked} restart web: operation {number}" for number in range(MANY + 1)]
    assert sum_ == f"audit: {500 - MANY} more signals and resets of alice were done"
    assert last == f"{asked} send USR1 to web: done"


def test_who_only_looks_is_not_told_of(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    audit = Audit(lambda: 0.0)
    caller = Access(CONTROL, "").local(Peer(0, 0, 7), "root", tuple)

    audit.accept(caller, Status(), "done")
    audit.refuse(caller, Status(), RefusedError("no such service"))
    audit.accept(caller, Restart(), "operation 3")

    assert caplog.messages == ["audit: root (uid 0, pid 7) asked to restart all services: operation 3"]
