"""stackctl explain: why a service is as it is, told by script for each state, and by a real stackd."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from supervisor_stack.control.parts import Exit, Node, Times
from tests.cli.shop import SINCE, Ran, Shop, node, notice, stackctl
from tests.cli.terminal import ESCAPE, plain, stackctl_on_terminal
from tests.peer import Peer

AGO = "3d 4h"
ERROR = "[ERROR] Can't create/write to file '/x' (Errcode: 2)"
NOTHING = "nothing until you ask"
TRIES = {"next": "tries again", "failures": 3}


# Half of the smaller unit is added, so that "3d 4h" holds however slow the test is.
SOON = (datetime.now(UTC) + timedelta(days=3, hours=4, minutes=30)).isoformat(timespec="milliseconds")


def explain(peer: Peer, name: str = "web", *words: str) -> Ran:
    ran = stackctl("--socket", peer.endpoint, "explain", name, *words)
    return ran._replace(out=ran.out.replace(f"stackctl --socket {peer.endpoint}", "stackctl"))


def test_the_chain_goes_down_to_the_cause_and_what_to_do_about_it(peer: Peer, shop: Shop) -> None:
    shop.nodes = (
        node("nginx", "waiting", requires=("uwsgi",), waits_for=("uwsgi",)),
        node("uwsgi", "waiting", requires=("mysqld",), waits_for=("mysqld",)),
        node(
            "mysqld",
            "failed",
            reason=f"exit status 1: {ERROR}",
            evidence=("[Note] starting", ERROR),
            next=NOTHING,
        ),
    )

    assert explain(peer, "nginx") == (
        3,
        (
            "◌ nginx is waiting: needs uwsgi\n"
            "  ◌ uwsgi is waiting: needs mysqld\n"
            f"    ✗ mysqld failed: exit status 1: {ERROR}\n"
            "      | [Note] starting\n"
            f"      | {ERROR}\n"
            "      next: nothing until you ask\n"
            "      type: stackctl start mysqld\n"
        ),
        "",
    )


def test_of_several_causes_each_is_told_and_none_twice(peer: Peer, shop: Shop) -> None:
    shop.nodes = (
        node("web", "waiting", requires=("a", "b"), waits_for=("a", "b")),
        node("a", "waiting", requires=("db",), waits_for=("db",)),
        node("b", "waiting", requires=("db",), after=("c",), waits_for=("db", "c")),
        node("c", "starting", reason="connection refused"),
        node("db", "backoff", reason="exit status 1", next_at=SOON, **TRIES),
    )

    assert explain(peer).out == (
        "◌ web is waiting: needs a, b\n"
        "  ◌ a is waiting: needs db\n"
        "    ✗ db failed 3 times in a row and is tried again: exit status 1\n"
        "      next, in 3d 4h: tries again\n"
        "      type: stackctl start db\n"
        "  ◌ b is waiting: needs db; comes after c\n"
        "    db: see above\n"
        f"    ◌ c is starting, for {AGO}: connection refused\n"
        "      type: stackctl wait c\n"
    )


CASES: list[tuple[Node, int, tuple[str, ...]]] = [
    (
        node("web", times=Times(asked=SINCE, begun=SINCE, spawned=SINCE, ready=SINCE, tries=1)),
        0,
        (
            f"● web runs and is ready, for {AGO} (pid 955, run 3)",
            "  it is wanted: it starts with stackd",
            f"  its start was asked for {AGO} ago, and took 0ms",
        ),
    ),
    (
        node(
            "web", autostart=False, last_exit=Exit(run=2, time=SINCE, reason="killed by SIGSEGV", lasted=1.0)
        ),
        0,
        (
            f"● web runs and is ready, for {AGO} (pid 955, run 3)",
            "  it is wanted: somebody asked for it",
            f"  the run before ended {AGO} ago: killed by SIGSEGV",
        ),
    ),
    (
        node("web", ready=False, reason="connection refused", next="asks on until it is ready"),
        0,
        (
            "✗ web runs and does not answer: connection refused",
            "  it is wanted: it starts with stackd",
            "  next: asks on until it is ready",
            "  type: stackctl status web",
        ),
    ),
    (
        node(
            "web",
            reason="alive probe missed 1 of 3: timed out",
            next="replaces it after 2 more without an answer",
        ),
        0,
        (
            f"● web runs and is ready, for {AGO} (pid 955, run 3)",
            "  alive probe missed 1 of 3: timed out",
            "  it is wanted: it starts with stackd",
            "  next: replaces it after 2 more without an answer",
        ),
    ),
    (
        node(
            "web",
            rejected="configuration test failed (nginx -T exited 1)",
            rejected_evidence=("[emerg] lisen",),
        ),
        0,
        (
            f"● web runs and is ready, for {AGO} (pid 955, run 3)",
            "  its last change was not taken up: configuration test failed (nginx -T exited 1)",
            "  it is wanted: it starts with stackd",
            "  | [emerg] lisen",
            "  type: stackctl check && stackctl reload web",
        ),
    ),
    (
        node("web", rejected="runs on the copy of its configuration of noon: broken", on_copy=True),
        0,
        (
            f"● web runs and is ready, for {AGO} (pid 955, run 3)",
            "  it runs on the copy of its configuration of noon: broken",
            "  it is wanted: it starts with stackd",
            "  type: stackctl check",
        ),
    ),
    (
        node(
            "web",
            "reloading",
            ready=True,
            successor=4,
            answer="502",
            reason="hung: timed out",
            next="gives it up",
        ),
        0,
        (
            f"● web is being renewed, for {AGO}: hung: timed out",
            "  run 4 is being started beside run 3: 502",
            "  it is wanted: it starts with stackd",
            "  next: gives it up",
            "  type: stackctl status web",
        ),
    ),
    (
        node("web", "reloading", ready=True, next="gives up the reload; it goes on as it is"),
        0,
        (
            f"● web is taking up a change, for {AGO}",
            "  it is wanted: it starts with stackd",
            "  next: gives up the reload; it goes on as it is",
            "  type: stackctl status web",
        ),
    ),
    (
        node(
            "web",
            "starting",
            reason="127.0.0.1:80: connection refused",
            on_copy=True,
            times=Times(asked=SINCE, begun=SINCE, tries=4),
            next="gives up this start",
        ),
        3,
        (
            f"◌ web is starting, for {AGO}: 127.0.0.1:80: connection refused",
            "  it starts on the copy of its last good configuration, as its files are broken",
            "  run 3 is try 4 of this start",
            f"  its start was asked for {AGO} ago",
            "  next: gives up this start",
            "  type: stackctl wait web",
        ),
    ),
    (
        node("web", "stopped", autostart=False, run=0, next=NOTHING),
        3,
        (
            "○ web was not started: autostart = false, and nobody asked for it",
            f"  next: {NOTHING}",
            "  type: stackctl start web",
        ),
    ),
    (
        node("web", "stopped", next=NOTHING),
        3,
        (
            f"○ web is stopped, since {SINCE}; somebody asked for it",
            f"  next: {NOTHING}",
            "  type: stackctl start web",
        ),
    ),
    (
        node("web", "exited", ready=True, type="task", reason="exit status 0", next=NOTHING),
        0,
        (
            f"○ web is done, for {AGO}: exit status 0",
            f"  next: {NOTHING}",
        ),
    ),
    (
        node("web", "exited", reason="exit status 0", next=NOTHING),
        3,
        (
            f"○ web came to its end, {AGO} ago: exit status 0",
            f"  next: {NOTHING}",
            "  type: stackctl start web",
        ),
    ),
    (
        node("web", type="task", ready=False, autostart=False, next="waits for its end"),
        0,
        (
            f"◌ web is at work, for {AGO}",
            "  it is wanted: somebody asked for it",
            "  next: waits for its end",
        ),
    ),
    (
        node(
            "web",
            "stopping",
            stuck=True,
            reason="it refuses to stop: no room",
            evidence=("no room",),
            next="asks",
        ),
        3,
        (
            f"◌ web should have stopped, for {AGO}: it refuses to stop: no room",
            "  | no room",
            "  next: asks",
            "  type: stackctl stop web",
        ),
    ),
    (
        node("web", "stopping", next="ends it with SIGKILL"),
        3,
        (
            f"◌ web is stopping, for {AGO}",
            "  next: ends it with SIGKILL",
            "  type: stackctl wait --for stopped web",
        ),
    ),
    (
        node(
            "web",
            "killing",
            reason="exit status 1; clearing 2 left-over processes",
            next="sends SIGKILL again",
        ),
        3,
        (
            f"◌ web is being cleared away, for {AGO}: exit status 1; clearing 2 left-over processes",
            "  next: sends SIGKILL again",
            "  type: stackctl status web",
        ),
    ),
    (
        node("web", "failed", reason="gave up after 10 failures in 60 s: exit status 1", next=NOTHING),
        3,
        (
            "✗ web failed: gave up after 10 failures in 60 s: exit status 1",
            f"  next: {NOTHING}",
            "  type: stackctl start web",
        ),
    ),
]


@pytest.mark.parametrize(("asked", "code", "told"), CASES, ids=lambda case: getattr(case, "state", None))
def test_each_state_has_its_words_and_its_code(
    peer: Peer, shop: Shop, asked: Node, code: int, told: tuple[str, ...]
) -> None:
    shop.nodes = (asked,)

    ran = explain(peer)

    assert tuple(ran.out.splitlines()) == told
    assert (ran.code, ran.err) == (code, "")


def test_a_stop_by_somebody_is_told_with_its_time(peer: Peer, shop: Shop) -> None:
    shop.nodes = (node("web", "stopped"),)
    shop.notices = (
        notice(1, "web", "running", "running", event="StopRequested", time="2020-01-01T00:00:00.000Z"),
        notice(2, "web", "running", "running", event="StopRequested", time=SINCE),
        notice(3, "db", "running", "running", event="StopRequested"),
    )

    assert explain(peer).out.splitlines()[0] == (
        f"○ web is stopped: somebody asked for it at {SINCE} ({AGO} ago)"
    )


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"wanted": "stopped"}, "web is to be stopped, and waits: first db has to stop"),
        ({"wanted": "running"}, "web is to be restarted, and waits: first db has to stop"),
        ({"wanted": "running", "requires": ("db",)}, "web is to be restarted, and waits: needs db"),
    ],
)
def test_what_runs_and_waits_says_for_what(peer: Peer, shop: Shop, fields: dict[str, Any], told: str) -> None:
    shop.nodes = (
        node("web", waits_for=("db",), **fields),
        node("db", "stopping", stuck=True, reason="no room"),
    )

    lines = explain(peer).out.splitlines()

    assert lines[0] == f"● {told}"
    assert f"  ◌ db should have stopped, for {AGO}: no room" in lines


def test_what_crashed_waits_for_those_who_go_with_it(peer: Peer, shop: Shop) -> None:
    shop.nodes = (node("web", "waiting", waits_for=("app",)), node("app", "stopping", requires=("web",)))

    assert explain(peer).out.startswith("◌ web is waiting: first app has to stop\n  ◌ app is stopping")


def test_what_goes_on_without_a_need_that_crashed_says_so(peer: Peer, shop: Shop) -> None:
    shop.nodes = (node("web", requires=("db",)), node("db", "backoff", reason="exit status 1", **TRIES))

    ran = explain(peer)

    assert "  it goes on without db meanwhile\n" in ran.out
    assert "  ✗ db failed 3 times in a row and is tried again: exit status 1\n" in ran.out
    assert ran.code == 0


def test_who_needs_it_is_why_it_is_wanted(peer: Peer, shop: Shop) -> None:
    shop.nodes = (node("db", autostart=False), node("a", requires=("db",)), node("b", wants=("db",)))

    assert "  it is wanted: a, b need it\n" in explain(peer, "db").out


def test_json_has_the_chain(peer: Peer, shop: Shop) -> None:
    shop.nodes = (
        node("web", "waiting", requires=("db",), waits_for=("db",)),
        node("db", "backoff", reason="exit status 1", evidence=(ERROR,), next_at=SOON, **TRIES),
    )

    ran = explain(peer, "web", "--json")

    assert (ran.code, ran.json["service"]) == (3, "web")
    assert [link["because"] for link in ran.json["chain"]] == [["db"], []]
    assert ran.json["chain"][1] == {
        "service": "db", "state": "backoff", "active": "activating", "ready": False, "depth": 1,
        "says": "db failed 3 times in a row and is tried again: exit status 1", "remarks": [],
        "evidence": [ERROR], "because": [], "next": "tries again", "next_at": SOON,
        "command": "stackctl start db",
    }  # fmt: skip


def test_a_narrow_terminal_breaks_between_words(peer: Peer, shop: Shop) -> None:
    shop.nodes = (
        node("nginx", "waiting", requires=("uwsgi",), waits_for=("uwsgi",)),
        node("uwsgi", "failed", reason="exit status 1: no module named shop could be found", next=NOTHING),
    )

    ran = stackctl_on_terminal("--socket", "ipc://" + str(peer.path), "explain", "nginx", columns=40)

    lines = plain(ran.out).splitlines()
    assert lines[:5] == [
        "◌ nginx is waiting: needs uwsgi",
        "  ✗ uwsgi failed: exit status 1: no",
        "  module named shop could be found",
        "    next: nothing until you ask",
        "    type: stackctl --socket",
    ]
    assert max(map(len, lines)) <= 40
    assert ESCAPE.search(ran.out)


def test_what_the_services_say_of_themselves_cannot_steer_the_terminal(peer: Peer, shop: Shop) -> None:
    shop.nodes = (node("web", "failed", reason="\x1b[2J", evidence=("\x1b]0;title\x07",)),)

    assert "\x1b" not in explain(peer).out


def test_a_chain_may_be_longer_than_a_stack_is_deep(peer: Peer, shop: Shop) -> None:
    names = [f"s{number}" for number in range(1500)]
    links = (node(name, "waiting", requires=(below,), waits_for=(below,)) for name, below in pairwise(names))
    shop.nodes = (*links, node(names[-1], "failed", reason="the end"))

    assert "✗ s1499 failed: the end\n" in explain(peer, "s0").out


def test_an_unknown_service_is_4(peer: Peer, shop: Shop) -> None:
    shop.nodes = (node("web"),)

    assert explain(peer, "wbe") == (4, "", "stackctl: no service `wbe`; did you mean web?\n")


def test_without_a_stackd_it_is_4(tmp_path: Path) -> None:
    assert stackctl("--socket", f"ipc://{tmp_path}/none", "explain", "web").code == 4
