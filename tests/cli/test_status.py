"""stackctl status and is-active: what they print, and their exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from supervisor_stack.control.parts import (
    Answer,
    Detail,
    Exit,
    Process,
)
from tests.cli.shop import SINCE, Shop, environment, service, stackctl
from tests.peer import Peer

TROUBLE = "exit status 1: ModuleNotFoundError: No module named 'shop'"


def test_the_table_has_a_line_for_each_service(peer: Peer, shop: Shop) -> None:
    shop.state = "degraded"
    shop.services = {
        "db": service("db", pid=901, memory_bytes=432_000_000, restarts=12),
        "uwsgi": service("uwsgi", "backoff", reason=TROUBLE, restarts=4),
        "nginx": service("nginx", "waiting", reason="needs uwsgi"),
        "worker": service("worker", "stopped"),
    }

    ran = stackctl("--socket", peer.endpoint, "status")

    assert ran.out == (
        "shop  degraded  up 3d 4h  stackd pid 812\n"
        "   SERVICE  STATE                 READY  SINCE  PID   CPU   MEM  RST  NOTE\n"
        "●  db       active (running)      yes    3d 4h  901  1.2%  412M   12\n"
        f"✗  uwsgi    activating (backoff)  no     3d 4h    -     -     -    4  {TROUBLE}\n"
        "◌  nginx    activating (waiting)  no     3d 4h    -     -     -    0  needs uwsgi\n"
        "○  worker   inactive (stopped)    no     3d 4h    -     -     -    0\n"
    )
    assert (ran.code, ran.err) == (1, "")


def test_what_is_wrong_with_stackd_itself_is_below_the_head(peer: Peer, shop: Shop) -> None:
    shop.warning = "shop.toml is wrong"

    title, warning, *_table = stackctl("--socket", peer.endpoint, "status").out.splitlines()

    assert title.startswith("shop  running")
    assert warning == "warning: shop.toml is wrong"
    stack = stackctl("--socket", peer.endpoint, "status", "--json").json["stack"]
    assert stack["warning"] == "shop.toml is wrong"


def test_the_table_has_no_signs_that_the_encoding_lacks(peer: Peer) -> None:
    ran = stackctl("--socket", peer.endpoint, PYTHONIOENCODING="iso8859-1")

    assert [line[0] for line in ran.out.splitlines()[2:]] == ["*", "*"]


def test_status_is_what_is_done_without_a_verb(peer: Peer) -> None:
    assert stackctl("--socket", peer.endpoint) == stackctl("--socket", peer.endpoint, "status")


def test_json_is_as_the_contract_has_it(peer: Peer, shop: Shop) -> None:
    shop.services = {"uwsgi": service("uwsgi", pid=955, run=3, restarts=2)}

    ran = stackctl("--socket", peer.endpoint, "status", "--json")

    expected = {
        "v": 1,
        "ok": True,
        "stackd": {"pid": 812, "version": "0.1.0", "since": SINCE},
        "stack": {"name": "shop", "state": "running", "warning": ""},
        "services": [
            {
                "name": "uwsgi", "kind": "uwsgi", "state": "running", "active": "active", "wanted": "running",
                "ready": True, "pid": 955, "run": 3, "restarts": 2, "adopted": False, "since": SINCE,
                "reason": "", "next_retry": None, "cpu_percent": 1.2, "memory_bytes": 18874368,
                "processes": 3,
            }
        ],
    }  # fmt: skip
    assert ran.json == expected
    assert json.dumps(ran.json) == json.dumps(expected), "the order of the keys"
    assert (ran.code, ran.err) == (0, "")


def test_json_of_a_named_service_has_its_details(peer: Peer) -> None:
    (web,) = stackctl("--socket", peer.endpoint, "--json", "status", "web").json["services"]

    assert web["name"] == "web"
    assert web["detail"]["logs"] == []


def test_a_named_service_is_told_with_its_details_and_its_last_words(
    peer: Peer, shop: Shop, tmp_path: Path
) -> None:
    log = tmp_path / "uwsgi.log"
    log.write_text("".join(f"line {number}\n" for number in range(1, 31)))
    detail = Detail(
        command=("uwsgi", "--ini", "uwsgi.ini"),
        config="/srv/uwsgi.ini",
        log=str(log),
        logs=("/nowhere/own.log",),
        addresses=("unix:/run/shop.sock",),
        requires=("db", "redis"),
        needed_by=("nginx",),
        probe="uwsgi unix:/run/shop.sock",
        alive="uwsgi every 5 s",
        answers=(
            Answer(probe="ready", run=3, time=SINCE, ok=True),
            Answer(probe="alive", run=3, time=SINCE, ok=False, answer="no answer within 5 s"),
        ),
        exits=(Exit(run=2, time=SINCE, reason="killed by SIGSEGV", lasted=12.5),),
        tree=(
            Process(pid=957, parent=955, command="uwsgi -c 'a\nb'", cpu_percent=0.0, memory_bytes=12 * 2**20),
            Process(pid=955, parent=812, command="uwsgi", cpu_percent=1.2, memory_bytes=18874368),
            Process(pid=956, parent=955, command="uwsgi", cpu_percent=0.0, memory_bytes=12 * 2**20),
        ),
    )
    shop.services = {"uwsgi": service("uwsgi", restarts=1, detail=detail)}

    ran = stackctl("--socket", peer.endpoint, "status", "uwsgi")

    assert ran.out == (
        "● uwsgi (uwsgi)\n"
        f"     State: active (running), ready, since {SINCE} (3d 4h)\n"
        "       PID: 955 (run 3)\n"
        "  Restarts: 1\n"
        "      Uses: 1.2% CPU, 18M memory, 3 processes\n"
        "   Command: uwsgi --ini uwsgi.ini\n"
        "    Config: /srv/uwsgi.ini\n"
        "   Listens: unix:/run/shop.sock\n"
        "     Ready: uwsgi unix:/run/shop.sock\n"
        "  answered: well, 3d 4h ago (run 3)\n"
        "     Alive: uwsgi every 5 s\n"
        "  answered: not well, 3d 4h ago (run 3): no answer within 5 s\n"
        "  Requires: db, redis\n"
        " Needed by: nginx\n"
        f"      Logs: {log}, /nowhere/own.log\n"
        " Processes:\n"
        "    PID   CPU  MEM  COMMAND\n"
        "    955  1.2%  18M  uwsgi\n"
        "    957  0.0%  12M  ├─ uwsgi -c 'a\\x0ab'\n"
        "    956  0.0%  12M  └─ uwsgi\n"
        "   Earlier:\n"
        "    run 2 ended 3d 4h ago, after 12.5s: killed by SIGSEGV\n"
        "  Last log:\n"
        "    (uwsgi has not written /nowhere/own.log yet)\n"
        + "".join(f"    uwsgi      | line {number}\n" for number in range(21, 31))
    )
    assert ran.code == 0


@pytest.mark.parametrize(
    ("state", "code"), [("running", 0), ("stopped", 0), ("stopping", 0), ("starting", 1), ("degraded", 1)]
)
def test_the_exit_code_tells_whether_all_is_as_it_should_be(
    peer: Peer, shop: Shop, state: str, code: int
) -> None:
    shop.state = state

    assert stackctl("--socket", peer.endpoint, "status", "--json").code == code


@pytest.mark.parametrize(
    ("state", "code"),
    [("running", 0), ("reloading", 0), ("starting", 3), ("stopped", 3), ("failed", 3), ("backoff", 3)],
)
def test_a_named_service_that_is_not_active_is_3(peer: Peer, shop: Shop, state: str, code: int) -> None:
    shop.services = {"web": service("web", state)}

    assert stackctl("--socket", peer.endpoint, "status", "web").code == code
    active = stackctl("--socket", peer.endpoint, "is-active", "web")
    assert (active.code, active.out) == (code, f"{state}\n")


def test_is_active_in_json(peer: Peer, shop: Shop) -> None:
    shop.services = {"web": service("web", "backoff")}

    ran = stackctl("--socket", peer.endpoint, "is-active", "web", "--json")

    assert ran.json == {"v": 1, "ok": True, "service": "web", "state": "backoff", "active": "activating"}
    assert ran.code == 3


@pytest.mark.parametrize("verb", ["status", "is-active", "logs", "wait"])
def test_an_unknown_service_is_4(peer: Peer, verb: str) -> None:
    ran = stackctl("--socket", peer.endpoint, verb, "wbe")

    assert ran == (4, "", "stackctl: no service `wbe`; did you mean web?\n")


HEAVY = """
import sys
from supervisor_stack.cli.stackctl import main
code = main(sys.argv[1:])
print(sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


@pytest.mark.parametrize("words", [("--json",), ()])
def test_nothing_heavy_is_loaded_for_a_status_that_no_person_sees(peer: Peer, words: tuple[str, ...]) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", HEAVY, "--socket", peer.endpoint, "status", *words],
        capture_output=True, text=True, env=environment(), check=True,
    )  # fmt: skip

    heavy = {"rich", "asyncio", "psutil", "watchdog", "subprocess", "shutil", "difflib", "logging", "tomli"}
    assert not heavy & set(ran.stderr.replace("'", "").strip("[]\n").split(", "))
