"""wait, signal, reset and version."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from supervisor_stack import __version__
from supervisor_stack.control.messages import AnyRequest, Failed, Reset, Signal
from supervisor_stack.control.states import STATES
from supervisor_stack.core.state import ACTIVE, State
from tests.cli.shop import DEADLINE, STACKCTL, Shop, environment, notice, service, stackctl
from tests.peer import Peer


def test_waiting_for_what_is_there_is_over_at_once(peer: Peer) -> None:
    assert stackctl("--socket", peer.endpoint, "wait", "all") == (0, "", "")


def test_waiting_ends_when_the_service_is_ready(peer: Peer, shop: Shop) -> None:
    shop.services = {"web": service("web", "starting")}
    shop.notices = (notice(1, "web", "waiting", "starting"),)
    command = [*STACKCTL, "--socket", peer.endpoint, "wait", "web", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        assert peer.asked.wait(DEADLINE)
        shop.services = {"web": service("web")}
        shop.notices = (*shop.notices, notice(2, "web", "starting", "running"))
        peer.do(shop.notices[-1])
        out, _ = process.communicate(timeout=DEADLINE)

    assert out == '{"v":1,"ok":true,"services":[{"service":"web","state":"running"}]}\n'
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("state", "wanted"),
    [("stopped", "stopped"), ("stopped", "inactive"), ("failed", "failed"), ("backoff", "activating")],
)
def test_waiting_for_a_state_by_either_of_its_names(peer: Peer, shop: Shop, state: str, wanted: str) -> None:
    shop.services = {"web": service("web", state)}

    assert stackctl("--socket", peer.endpoint, "wait", "--for", wanted, "web").code == 0


def test_waiting_knows_every_state() -> None:
    assert set(STATES) == {"ready", *State, *ACTIVE.values()}


def test_waiting_longer_than_told_is_124(peer: Peer, shop: Shop) -> None:
    shop.services = {"web": service("web", "waiting", reason="needs db")}

    ran = stackctl("--socket", peer.endpoint, "wait", "--timeout", "0.1", "web")

    assert ran == (
        124,
        "",
        "stackctl: cannot see web ready: not so within 0.1 s\n  web is activating (waiting): needs db.\n",
    )


def test_waiting_for_what_failed_for_good_is_3(peer: Peer, shop: Shop) -> None:
    shop.services = {"web": service("web", "failed", reason="exit status 1")}

    ran = stackctl("--socket", peer.endpoint, "wait", "web")

    assert ran == (
        3,
        "",
        "stackctl: cannot see web ready: it failed for good\n  web is failed (failed): exit status 1.\n",
    )


def test_a_task_that_is_done_is_ready(peer: Peer, shop: Shop) -> None:
    shop.services = {"migrate": service("migrate", "exited", ready=True)}

    assert stackctl("--socket", peer.endpoint, "wait", "migrate").code == 0


def test_waiting_for_nobody_is_4(tmp_path: Path) -> None:
    assert stackctl("--socket", f"ipc://{tmp_path}/none.sock", "wait", "web").code == 4


@pytest.mark.parametrize(
    ("words", "request_"),
    [
        (("signal", "HUP", "web"), Signal(id="1", service="web", signal="HUP")),
        (("signal", "sigusr1", "web"), Signal(id="1", service="web", signal="USR1")),
        (("signal", "9", "web"), Signal(id="1", service="web", signal="KILL")),
        (("reset", "web", "db"), Reset(id="1", services=("web", "db"))),
        (("reset", "all"), Reset(id="1")),
    ],
)
def test_a_quick_verb_becomes_the_request(peer: Peer, words: tuple[str, ...], request_: AnyRequest) -> None:
    assert stackctl("--socket", peer.endpoint, *words) == (0, "", "")
    assert peer.requests == [request_]


@pytest.mark.parametrize("words", [("signal", "HUP", "web"), ("reset", "web")])
def test_a_quick_verb_in_json_is_an_object(peer: Peer, words: tuple[str, ...]) -> None:
    assert stackctl("--socket", peer.endpoint, *words, "--json") == (0, '{"v":1,"ok":true}\n', "")


@pytest.mark.parametrize(
    ("signal", "service"), [("HUPP", "web"), ("0", "web"), ("99", "web"), ("web", "HUP")]
)
def test_no_such_signal_is_a_usage_error(peer: Peer, signal: str, service: str) -> None:
    ran = stackctl("--socket", peer.endpoint, "signal", signal, service)

    assert ran == (
        2,
        "",
        (
            f"stackctl: cannot signal {service}: no signal `{signal}`\n"
            "  write: stackctl signal SIG SERVICE; signals are named as kill -l does: HUP, USR1, …\n"
        ),
    )
    assert peer.requests == []


def test_a_signal_to_what_does_not_run_is_refused(peer: Peer, shop: Shop) -> None:
    shop.operation = (Failed(error="refused", message="cannot signal web: it is not running"),)

    ran = stackctl("--socket", peer.endpoint, "signal", "HUP", "web")

    assert ran == (1, "", "stackctl: cannot signal web: it is not running\n")


def test_both_versions_are_told(peer: Peer) -> None:
    ran = stackctl("--socket", peer.endpoint, "version")

    assert ran == (0, f"stackctl  {__version__}\nstackd    0.1.0 (pid 812)\n", "")


def test_the_own_version_is_told_without_stackd(tmp_path: Path) -> None:
    words = ("--socket", f"ipc://{tmp_path}/none.sock", "version")

    ran = stackctl(*words)
    assert (ran.code, ran.out) == (4, f"stackctl  {__version__}\n")
    assert ran.err.startswith(
        f"stackctl: cannot reach stackd at ipc://{tmp_path}/none.sock: it is not running\n"
    )


@pytest.mark.parametrize("words", [("--version",), ("status", "--version")])
def test_the_own_version_alone_asks_nobody(words: tuple[str, ...]) -> None:
    assert stackctl(*words) == (0, f"stackctl {__version__}\n", "")
