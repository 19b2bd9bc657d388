"""stackctl blame: what a start waited for."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from supervisor_stack.control.messages import Restart
from supervisor_stack.control.parts import Node, Times
from tests.cli.shop import Shop, node, stackctl
from tests.cli.terminal import ESCAPE, plain, stackctl_on_terminal
from tests.peer import Peer
from tests.stack import RunningStack


def at(seconds: float | None) -> str | None:
    return None if seconds is None else f"2026-11-22T05:45:{seconds:06.3f}Z"


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two answers tell the same times: the calendar is read anew for each."""
    return all(
        abs((datetime.fromisoformat(one[key]) - datetime.fromisoformat(other[key])).total_seconds()) < 0.1
        for key in ("asked", "begun", "spawned", "ready")
    )


def started(
    name: str,
    asked: float,
    begun: float | None = None,
    spawned: float | None = None,
    ready: float | None = None,
    tries: int = 1,
    **keys: Any,
) -> Node:
    times = Times(asked=at(asked) or "", begun=at(begun), spawned=at(spawned), ready=at(ready), tries=tries)
    return node(name, keys.pop("state", "running"), times=times, **keys)


SITE = (
    started("nginx", 0, 3.5, 3.51, 3.52, requires=("uwsgi",)),
    started("uwsgi", 0, 2.25, 2.26, 3.5, requires=("mysqld", "redis"), wants=("migrate",)),
    started("mysqld", 0, 0, 0.01, 1.25),
    started("redis", 0, 0, 0.01, 0.02),
    started("migrate", 0, 1.25, 1.25, 2.25, requires=("mysqld",), state="exited", type="task"),
    started("broken", 0, 30, 30.01, None, tries=3, state="backoff"),
    node("idle", "stopped"),
)


@pytest.fixture
def shop() -> Shop:
    shop = Shop()
    shop.nodes = SITE
    return shop


def test_the_slowest_is_first_and_the_critical_path_is_told(peer: Peer) -> None:
    assert stackctl("--socket", peer.endpoint, "blame") == (
        0,
        (
            "shop  running\n"
            "  TOOK  SERVICE  PATH          ASKED     BEGUN      MADE    READY  NOTE\n"
            "1.250s  mysqld   critical 1/4   +0ms      +0ms     +10ms  +1.250s\n"
            "1.250s  uwsgi    critical 3/4   +0ms   +2.250s   +2.260s  +3.500s  waited 2.250s for migrate\n"
            "1.000s  migrate  critical 2/4   +0ms   +1.250s   +1.250s  +2.250s  waited 1.250s for mysqld\n"
            "  20ms  nginx    critical 4/4   +0ms   +3.500s   +3.510s  +3.520s  waited 3.500s for uwsgi\n"
            "  20ms  redis                   +0ms      +0ms     +10ms    +20ms\n"
            "     -  broken                  +0ms  +30.000s  +30.010s        -  not ready: backoff, 3 tries\n"
            "critical path: nginx was ready after 3.520s\n"
            "   1.250s  mysqld\n"
            "   1.000s  migrate\n"
            "   1.250s  uwsgi\n"
            "     20ms  nginx\n"
        ),
        "",
    )


def test_of_some_services_it_tells_what_they_waited_for(peer: Peer) -> None:
    ran = stackctl("--socket", peer.endpoint, "blame", "migrate", "redis", "--json")

    assert [each["name"] for each in ran.json["services"]] == ["mysqld", "migrate", "redis"]
    assert (ran.json["critical_path"], ran.json["seconds"]) == (["mysqld", "migrate"], 2.25)


def test_json_has_times_and_durations(peer: Peer) -> None:
    ran = stackctl("--socket", peer.endpoint, "blame", "--json")

    assert ran.json["stack"] == {"name": "shop", "state": "running", "warning": ""}
    assert ran.json["critical_path"] == ["mysqld", "migrate", "uwsgi", "nginx"]
    assert ran.json["services"][1] == {
        "name": "uwsgi", "kind": "uwsgi", "state": "running", "asked": at(0), "begun": at(2.25),
        "spawned": at(2.26), "ready": at(3.5), "tries": 1, "waited_for": "migrate", "waited_seconds": 2.25,
        "took_seconds": 1.25, "critical": True,
    }  # fmt: skip
    assert ran.json["services"][-1]["took_seconds"] is None


FAILED = started("a", 0, 0, 0, None, state="failed", since=at(1))


@pytest.mark.parametrize(
    ("web", "others", "waited_for"),
    [
        ({"requires": ("a", "b")}, (started("a", 0, 0, 0, 1), started("b", 0, 0, 0, 2)), "b"),
        ({"requires": ("gone", "a")}, (started("a", 0, 0, 0, 1),), "a"),
        ({"after": ("a",)}, (FAILED,), "a"),
        ({"requires": ("a",)}, (FAILED,), ""),
        ({"requires": ("a",)}, (started("a", 0, 0, 0, 0),), "a"),
        ({"requires": ("a",)}, (started("a", 9, 9, 9, 10),), ""),
        ({"requires": ("a",)}, (node("a", "stopped"),), ""),
    ],
    ids=["the last", "who is there", "one that failed", "not a failure of what is required", "at once",
         "not one that has started again since", "not one that never started"],
)  # fmt: skip
def test_who_let_a_start_begin(
    peer: Peer, shop: Shop, web: dict[str, Any], others: tuple[Node, ...], waited_for: str
) -> None:
    shop.nodes = (started("web", 0, 2, 2, 3, **web), *others)

    told = stackctl("--socket", peer.endpoint, "blame", "--json").json["services"]

    assert {each["name"]: each["waited_for"] for each in told}["web"] == waited_for


def test_a_wait_for_what_has_started_again_since_is_told_as_such(peer: Peer, shop: Shop) -> None:
    shop.nodes = (started("web", 0, 1, 1, 2, requires=("a",)), started("a", 9, 9, 9, 10))

    out = stackctl("--socket", peer.endpoint, "blame").out

    assert "waited 1.000s for what has started again since" in out


def test_nothing_was_started(peer: Peer, shop: Shop) -> None:
    shop.nodes = (node("web", "stopped"),)

    assert stackctl("--socket", peer.endpoint, "blame") == (0, "", "nothing was started yet\n")
    assert stackctl("--socket", peer.endpoint, "blame", "--json").json["critical_path"] == []


def test_an_unknown_service_is_4(peer: Peer) -> None:
    assert stackctl("--socket", peer.endpoint, "blame", "x").code == 4


def test_a_narrow_terminal_gets_fewer_columns_and_the_words_for_the_path(peer: Peer) -> None:
    ran = stackctl_on_terminal("--socket", peer.endpoint, "blame", "--no-color", columns=40)

    assert not ESCAPE.search(ran.out)
    lines = plain(ran.out).splitlines()
    assert max(map(len, lines)) <= 43
    assert lines[2].startswith("1.250s  mysqld   critical 1/4")


def test_a_real_start_and_a_later_restart_of_one_service(tmp_path: Path) -> None:
    services = """
[services.db]
command = ["sh", "-c", "exec sleep 1000"]
[services.migrate]
type = "task"
command = ["true"]
requires = ["db"]
[services.web]
command = ["sleep", "1000"]
requires = ["db"]
after = ["migrate"]
[services.aside]
command = ["sleep", "1000"]
"""
    with RunningStack(tmp_path, services) as stack:
        stack.until_up()
        first = stackctl("-c", stack.config, "blame", "web", "--json").json
        assert first["critical_path"] == ["db", "migrate", "web"]
        before = {each["name"]: each for each in first["services"]}
        assert before["web"]["begun"] == before["migrate"]["ready"]

        assert stack.operate(Restart(services=("web",))).ok

        second = stackctl("-c", stack.config, "blame", "--json").json
        after = {each["name"]: each for each in second["services"]}
        assert second["critical_path"] == ["web"], "all that it needs was there"
        assert same(after["db"], before["db"])
        assert after["web"]["asked"] > before["web"]["ready"]

        stack.die()
        stack.come_back()
        third = {
            each["name"]: each for each in stackctl("-c", stack.config, "blame", "--json").json["services"]
        }
        assert all(same(third[name], after[name]) for name in after)
