"""stackctl graph: the tree, the drawing, and what is known without a stackd."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from supervisor_stack.control.parts import Node
from tests.cli.shop import DEADLINE, Shop, node, stackctl
from tests.cli.terminal import ESCAPE, plain, stackctl_on_terminal
from tests.peer import Peer
from tests.stack import HEAD, RunningStack

TROUBLE = "exit status 1: [ERROR] Can't create/write to file '/x' (Errcode: 2)"
SITE = (
    node("nginx", "waiting", requires=("uwsgi",)),
    node("uwsgi", "waiting", requires=("mysqld", "redis"), wants=("migrate",), after=("redis",)),
    node("mysqld", "failed", reason=TROUBLE),
    node("redis"),
    node("migrate", "exited", type="task", ready=True, requires=("mysqld",)),
    node("worker", ready=False, requires=("redis",), after=("migrate",)),
)
TREE = f"""\
◌ nginx  waiting
└─ requires ◌ uwsgi  waiting
   ├─ requires ✗ mysqld  failed: {TROUBLE}
   ├─ requires ● redis  running
   └─ wants ○ migrate  exited
      └─ requires mysqld (see above)
✗ worker  running, not ready
├─ requires redis (see above)
└─ after migrate (see above)
"""
FILE = """
[services.db]
command = ["sleep", "1000"]

[services.web]
command = ["sleep", "1000"]
requires = ["db"]
"""


@pytest.fixture
def shop() -> Shop:
    shop = Shop()
    shop.nodes = SITE
    return shop


def drawn(dot: str) -> dict[str, object]:
    """What Graphviz reads in a text of the DOT language."""
    ran = subprocess.run(
        ["dot", "-Tdot_json"], input=dot, capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    read: dict[str, object] = json.loads(ran.stdout)
    return read


def chain(length: int) -> tuple[Node, ...]:
    return tuple(node(f"s{at}", requires=(f"s{at + 1}",) if at + 1 < length else ()) for at in range(length))


def test_the_tree_has_what_is_needed_below_those_who_need_it(peer: Peer) -> None:
    assert stackctl("--socket", peer.endpoint, "graph") == (0, TREE, "")


def test_the_tree_of_some_services_begins_with_them(peer: Peer) -> None:
    ran = stackctl("--socket", peer.endpoint, "graph", "redis", "migrate")

    assert ran.out == (
        "● redis  running\n"
        "○ migrate  exited\n"
        f"└─ requires ✗ mysqld  failed: {TROUBLE}\n"
    )  # fmt: skip


def test_an_encoding_without_signs_gets_others(peer: Peer) -> None:
    ran = stackctl("--socket", peer.endpoint, "graph", "uwsgi", PYTHONIOENCODING="iso8859-1")

    assert ran.out.splitlines()[:3] == [
        "~ uwsgi  waiting",
        f"|- requires ! mysqld  failed: {TROUBLE}",
        "|- requires * redis  running",
    ]


def test_a_terminal_has_colours_and_the_same_words(peer: Peer) -> None:
    ran = stackctl_on_terminal("--socket", peer.endpoint, "graph")

    assert plain(ran.out) == TREE
    assert "\x1b[31mfailed" in ran.out


def test_a_narrow_terminal_cuts_the_lines_and_keeps_the_tree(peer: Peer) -> None:
    ran = stackctl_on_terminal("--socket", peer.endpoint, "graph", "--no-color", columns=40)

    assert not ESCAPE.search(ran.out)
    lines = plain(ran.out).splitlines()
    assert len(lines) == len(TREE.splitlines())
    assert max(map(len, lines)) == 40
    assert lines[2] == "   ├─ requires ✗ mysqld  failed: exit s…"


def test_what_the_services_say_of_themselves_cannot_steer_the_terminal(peer: Peer, shop: Shop) -> None:
    shop.nodes = (node("web", "failed", reason="\x1b[2Jboo\nboo"),)

    assert stackctl("--socket", peer.endpoint, "graph").out == "✗ web  failed: \\x1b[2Jboo\\x0aboo\n"


def test_a_chain_may_be_longer_than_a_stack_is_deep(peer: Peer, shop: Shop) -> None:
    shop.nodes = chain(1500)

    lines = stackctl("--socket", peer.endpoint, "graph").out.splitlines()

    assert lines[-1].strip() == "└─ requires ● s1499  running"


def test_json_has_the_services_and_what_they_need(peer: Peer) -> None:
    ran = stackctl("--socket", peer.endpoint, "graph", "worker", "--json")

    assert (ran.json["ok"], ran.json["stack"]) == (True, "shop")
    assert [each["name"] for each in ran.json["services"]] == ["mysqld", "redis", "migrate", "worker"]
    assert ran.json["services"][3] == {
        "name": "worker", "kind": "worker", "type": "service", "state": "running", "active": "active",
        "wanted": "running", "ready": False, "reason": "", "requires": ["redis"], "wants": [],
        "after": ["migrate"],
    }  # fmt: skip


def test_graphviz_reads_the_drawing(peer: Peer) -> None:
    ran = stackctl("--socket", peer.endpoint, "graph", "--dot")

    read = drawn(ran.out)
    names = [each["name"] for each in read["objects"]]  # type: ignore[attr-defined]
    arrows = {
        (names[each["tail"]], names[each["head"]], each["style"])
        for each in read["edges"]  # type: ignore[attr-defined]
    }
    assert arrows == {
        ("nginx", "uwsgi", "solid"),
        ("uwsgi", "mysqld", "solid"),
        ("uwsgi", "redis", "solid"),
        ("uwsgi", "migrate", "dashed"),
        ("migrate", "mysqld", "solid"),
        ("worker", "redis", "solid"),
        ("worker", "migrate", "dotted"),
    }
    assert read["objects"][names.index("mysqld")]["label"] == "mysqld\\nfailed"  # type: ignore[index]


def test_names_are_quoted_in_the_drawing(peer: Peer, shop: Shop) -> None:
    shop.nodes = (node('a "b" \\', requires=("-> c;",)), node("-> c;"))

    read = drawn(stackctl("--socket", peer.endpoint, "graph", "--dot").out)

    assert len(read["edges"]) == 1  # type: ignore[arg-type]
    assert len(read["objects"]) == 2  # type: ignore[arg-type]


def test_a_service_whose_need_was_removed_is_drawn_without_it(peer: Peer, shop: Shop) -> None:
    shop.nodes = (node("web", "stopping", requires=("gone",)),)

    assert stackctl("--socket", peer.endpoint, "graph").out == "◌ web  stopping\n"


def test_an_unknown_service_is_4(peer: Peer) -> None:
    assert stackctl("--socket", peer.endpoint, "graph", "ngnix") == (
        4, "", "stackctl: no service `ngnix`; did you mean nginx?\n"
    )  # fmt: skip


def test_one_form_at_a_time(peer: Peer) -> None:
    ran = stackctl("--socket", peer.endpoint, "graph", "--dot", "--json")

    assert (ran.code, ran.json["error"]["kind"]) == (2, "bad-request")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "stackd.toml"
    path.write_text(HEAD.format(run=tmp_path / "run", log=tmp_path / "log") + FILE)
    return path


def test_without_a_stackd_the_configuration_tells(config: Path) -> None:
    ran = stackctl("-c", config, "graph")

    assert ran.code == 0
    assert ran.out == "? web  unknown\n└─ requires ? db  unknown\n"
    assert ran.err.count("\n") == 1
    assert ran.err.endswith(
        f"is not running; this is what {config} says, and how the services are is unknown\n"
    )
    first = stackctl("-c", config, "graph", "--json").json["services"][0]
    assert (first["name"], first["state"], first["ready"]) == ("db", None, None)
    assert len(drawn(stackctl("-c", config, "graph", "--dot").out)["edges"]) == 1  # type: ignore[arg-type]


def test_without_a_stackd_a_bad_configuration_is_4(config: Path) -> None:
    config.write_text(config.read_text().replace("requires", "requiers"))

    ran = stackctl("-c", config, "graph")

    assert (ran.code, ran.out) == (4, "")
    assert "requiers" in ran.err


def test_without_a_stackd_at_the_named_socket_there_is_nothing_to_tell(tmp_path: Path) -> None:
    ran = stackctl("--socket", f"ipc://{tmp_path}/none", "graph")

    assert (ran.code, ran.out) == (4, "")


def test_a_real_stack(tmp_path: Path) -> None:
    with RunningStack(tmp_path, FILE) as stack:
        stack.until_up()

        ran = stackctl("-c", stack.config, "graph")

    assert ran == (0, "● web  running\n└─ requires ● db  running\n", "")
