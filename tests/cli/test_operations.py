"""start, stop, restart, reload and shutdown: requests, progress, words and exit codes."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from supervisor_stack.control.messages import (
    Accepted,
    AnyRequest,
    Failed,
    Finished,
    Progress,
    Reload,
    Restart,
    Shutdown,
    Start,
    Stop,
)
from supervisor_stack.control.parts import Outcome
from tests.cli.shop import DEADLINE, STACKCTL, Shop, environment, stackctl
from tests.peer import Peer, Vanish

ACCEPTED = Accepted(op=17, services=("db", "nginx"))
DB = Outcome(service="db", state="running")
GOOD = Finished(op=17, ok=True, outcomes=(DB, Outcome(service="nginx", state="running")))
REFUSED_FILE = Outcome(
    service="nginx",
    state="running",
    error="configuration test failed (nginx -t exited 1)",
    detail=(
        'nginx: [emerg] unknown directive "lisen" in /etc/nginx/nginx.conf:12',
        "nginx goes on with its previous configuration (pid 4711, run 3).",
    ),
)
BAD = Finished(op=17, ok=False, outcomes=(DB, REFUSED_FILE))
WORSE = Finished(
    op=17,
    ok=False,
    outcomes=(
        Outcome(service="db", state="backoff", error="exit status 1", detail=("disk full",)),
        Outcome(service="nginx", state="waiting", error="needs db"),
    ),
)


def untimed(told: str) -> str:
    """What was told, with all times that somebody waited for as 0s."""
    return re.sub(r"\bin [\d.]+s\b", "in 0s", told)


@pytest.mark.parametrize(
    ("words", "request_"),
    [
        (("start", "db"), Start(id="1", services=("db",))),
        (("start", "db", "web"), Start(id="1", services=("db", "web"))),
        (("start", "all"), Start(id="1")),
        (("stop", "db"), Stop(id="1", services=("db",))),
        (("stop", "--cascade", "db"), Stop(id="1", services=("db",), cascade=True)),
        (("stop", "db", "--cascade", "web"), Stop(id="1", services=("db", "web"), cascade=True)),
        (("restart", "all", "--cascade"), Restart(id="1", cascade=True)),
        (("reload", "nginx"), Reload(id="1", services=("nginx",))),
        (("shutdown", "--no-wait"), Shutdown(id="1")),
    ],
)
def test_the_verb_becomes_the_request(
    peer: Peer, shop: Shop, words: tuple[str, ...], request_: AnyRequest
) -> None:
    shop.operation = (ACCEPTED, GOOD)

    assert stackctl("--socket", peer.endpoint, *words).code == 0
    assert peer.requests == [request_]


def test_progress_is_a_line_on_stderr_for_each_change(peer: Peer, shop: Shop) -> None:
    shop.operation = (
        ACCEPTED,
        Progress(op=17, service="nginx", state="waiting", reason="needs db"),
        Progress(op=17, service="db", state="starting"),
        Progress(op=17, service="db", state="starting"),
        Progress(op=17, service="db", state="running"),
        GOOD,
    )

    ran = stackctl("--socket", peer.endpoint, "start", "all")

    assert (ran.code, ran.out, untimed(ran.err)) == (
        0,
        "",
        (
            "nginx  waiting    needs db\n"
            "db     starting\n"
            "db     running\n"
            "nginx  running\n"
            "db, nginx started in 0s\n"
        ),
    )


@pytest.mark.parametrize(
    ("verb", "told"),
    [
        ("start", "db, nginx were up already"),
        ("stop", "db, nginx were down already"),
        ("restart", "db, nginx restarted in 0s"),
    ],
)
def test_that_there_was_nothing_to_do_is_said(peer: Peer, shop: Shop, verb: str, told: str) -> None:
    shop.operation = (ACCEPTED, GOOD)

    ran = stackctl("--socket", peer.endpoint, verb, "all")

    assert untimed(ran.err).splitlines()[-1] == told


def test_what_was_done_and_what_was_so_already_are_told_apart(peer: Peer, shop: Shop) -> None:
    shop.operation = (ACCEPTED, Progress(op=17, service="nginx", state="starting"), GOOD)

    ran = stackctl("--socket", peer.endpoint, "start", "all")

    assert untimed(ran.err).splitlines()[-1] == "nginx started in 0s; db was up already"


def test_an_operation_in_json_is_one_object_and_no_progress(peer: Peer, shop: Shop) -> None:
    shop.operation = (ACCEPTED, Progress(op=17, service="db", state="starting"), GOOD)

    ran = stackctl("--json", "--socket", peer.endpoint, "start", "all")

    well: dict[str, Any] = {"error": "", "detail": [], "probe": "", "next_retry": None}
    assert ran.json == {
        "v": 1,
        "ok": True,
        "op": 17,
        "services": [
            {"service": "db", "state": "running", **well},
            {"service": "nginx", "state": "running", **well},
        ],
    }
    assert (ran.code, ran.err) == (0, "")


def test_a_failure_is_told_with_its_evidence_and_what_is_true_now(peer: Peer, shop: Shop) -> None:
    shop.operation = (ACCEPTED, BAD)

    ran = stackctl("--socket", peer.endpoint, "reload", "all")

    assert (ran.code, ran.out, untimed(ran.err)) == (
        1,
        "",
        (
            "db     running\n"
            "nginx  running\n"
            "stackctl: cannot reload nginx: configuration test failed (nginx -t exited 1)\n"
            '  nginx: [emerg] unknown directive "lisen" in /etc/nginx/nginx.conf:12\n'
            "  nginx goes on with its previous configuration (pid 4711, run 3).\n"
            f"  see: stackctl --socket {peer.endpoint} check\n"
            "1 of 2 reloaded in 0s, failed: nginx\n"
        ),
    )


def test_what_a_service_said_does_nothing_to_a_terminal(peer: Peer, shop: Shop) -> None:
    evil = "\x1b]0;title\x07\x1b[2J"
    outcome = Outcome(service="web", state="failed", error=evil, detail=(evil,))
    shop.operation = (
        Accepted(op=17, services=("web",)),
        Progress(op=17, service="web", state="starting", reason=evil),
        Finished(op=17, ok=False, outcomes=(outcome,)),
    )

    ran = stackctl("--socket", peer.endpoint, "start", "web")

    assert "\x1b" not in ran.err
    assert ran.err.count("\\x1b[2J") == 3


def test_a_failure_in_json_has_kind_message_and_detail(peer: Peer, shop: Shop) -> None:
    shop.operation = (ACCEPTED, BAD)

    ran = stackctl("--socket", peer.endpoint, "reload", "all", "--json")

    assert ran.json["ok"] is False
    assert ran.json["error"] == {
        "kind": "failed",
        "message": "cannot reload nginx: configuration test failed (nginx -t exited 1)",
        "detail": list(REFUSED_FILE.detail),
    }
    assert [each["service"] for each in ran.json["services"]] == ["db", "nginx"]
    assert (ran.code, ran.err) == (1, "")


def test_several_failures_are_told_each(peer: Peer, shop: Shop) -> None:
    shop.operation = (ACCEPTED, WORSE)

    ran = stackctl("--socket", peer.endpoint, "start", "all")

    see = f"  see: stackctl --socket {peer.endpoint}"
    assert untimed(ran.err).endswith(
        "stackctl: cannot start db: exit status 1\n"
        "  disk full\n"
        f"{see} logs db -n 50\n"
        f"{see} explain db\n"
        "stackctl: cannot start nginx: needs db\n"
        f"{see} explain nginx\n"
        "0 of 2 started in 0s, failed: db, nginx\n"
    )
    assert ran.code == 1


def test_several_failures_are_one_error_in_json(peer: Peer, shop: Shop) -> None:
    shop.operation = (ACCEPTED, WORSE)

    ran = stackctl("--socket", peer.endpoint, "start", "all", "--json")

    assert ran.json["error"] == {
        "kind": "failed",
        "message": "cannot start all services: 2 services failed",
        "detail": ["cannot start db: exit status 1", "disk full", "cannot start nginx: needs db"],
    }


def test_a_refusal_is_told_as_stackd_said_it(peer: Peer, shop: Shop) -> None:
    shop.operation = (
        Failed(
            error="refused", message="cannot stop db: needed by nginx", detail=("nothing was stopped",)
        ),
    )  # fmt: skip

    ran = stackctl("--socket", peer.endpoint, "stop", "db")

    assert ran == (1, "", "stackctl: cannot stop db: needed by nginx\n  nothing was stopped\n")


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("unknown-service", 4),
        ("not-permitted", 4),
        ("config-invalid", 6),
        ("protocol-version", 1),
        ("new", 1),
    ],
)
def test_the_kind_of_an_error_decides_the_exit_code(peer: Peer, shop: Shop, kind: str, code: int) -> None:
    shop.operation = (Failed(error=kind, message="cannot start db: so it is"),)

    assert stackctl("--socket", peer.endpoint, "start", "db").code == code


def test_without_waiting_it_returns_when_stackd_has_accepted(peer: Peer, shop: Shop) -> None:
    shop.operation = (ACCEPTED,)

    assert stackctl("--socket", peer.endpoint, "start", "--no-wait", "all") == (0, "", "")
    assert stackctl("--socket", peer.endpoint, "start", "--no-wait", "all", "--json").json == {
        "v": 1, "ok": True, "op": 17, "services": ["db", "nginx"],
    }  # fmt: skip


def test_a_time_that_is_over_is_124(peer: Peer, shop: Shop) -> None:
    shop.operation = (ACCEPTED, Progress(op=17, service="db", state="starting"))

    ran = stackctl("--socket", peer.endpoint, "start", "db", "--timeout", "0.2")

    assert ran == (
        124,
        "",
        (
            "db     starting\n"
            "stackctl: cannot start db: not done within 0.2 s\n"
            "  db is starting.\n"
            "  stackd goes on with it.\n"
        ),
    )


def test_ctrl_c_leaves_the_work_to_stackd_and_says_so(peer: Peer, shop: Shop) -> None:
    shop.operation = (ACCEPTED, Progress(op=17, service="db", state="starting"))

    with running(peer, "start", "db") as process:
        assert process.stderr
        assert process.stderr.readline() == "db     starting\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=DEADLINE)

    assert (process.returncode, out, err) == (
        130,
        "",
        (
            "stackctl: cannot wait for the end: interrupted\n"
            "  stackd goes on with it: start db; see how with: stackctl status\n"
        ),
    )
    assert peer.requests == [Start(id="1", services=("db",))]


def test_ctrl_c_in_json_is_an_object_too(peer: Peer, shop: Shop) -> None:
    shop.operation = (ACCEPTED,)

    with running(peer, "start", "db", "--json") as process:
        assert peer.asked.wait(DEADLINE)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=DEADLINE)

    assert json.loads(out)["error"]["kind"] == "interrupted"
    assert (process.returncode, err) == (130, "")


def running(peer: Peer, *words: str) -> subprocess.Popen[str]:
    """stackctl, going on."""
    command = [*STACKCTL, "--socket", peer.endpoint, *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment())


def test_a_stackd_that_dies_meanwhile_is_7(peer: Peer, shop: Shop) -> None:
    shop.operation = (ACCEPTED, Vanish())

    ran = stackctl("--socket", peer.endpoint, "restart", "db")

    assert ran == (
        7,
        "",
        (
            f"stackctl: cannot get an answer from {peer.endpoint}: stackd went away\n"
            "  what was asked for may have been done, or begun.\n"
        ),
    )


@pytest.mark.parametrize("verb", ["start", "stop", "restart", "reload", "reset"])
def test_no_stackd_is_7_for_what_acts(tmp_path: Path, verb: str) -> None:
    endpoint = f"ipc://{tmp_path}/control.sock"

    ran = stackctl("--socket", endpoint, verb, "all")

    assert ran == (7, "", f"stackctl: cannot reach stackd at {endpoint}: it is not running\n")


def test_no_stackd_in_json(tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/control.sock"

    ran = stackctl("--socket", endpoint, "--json", "shutdown")

    assert ran.json == {
        "v": 1,
        "ok": False,
        "error": {
            "kind": "not-running",
            "message": f"cannot reach stackd at {endpoint}: it is not running",
            "detail": [],
        },
    }
    assert (ran.code, ran.err) == (7, "")


def test_shutdown_waits_until_stackd_is_gone(peer: Peer, shop: Shop) -> None:
    shop.operation = (ACCEPTED, Finished(op=17, ok=True, outcomes=()), Vanish())

    assert stackctl("--socket", peer.endpoint, "shutdown", "--json").json == {
        "v": 1, "ok": True, "op": 17, "services": [],
    }  # fmt: skip
