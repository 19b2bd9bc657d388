"""`status --watch`: on a terminal, in a pipe and as lines of JSON."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from supervisor_stack.control.messages import Status
from tests.cli.sessions import session
from tests.cli.shop import DEADLINE, STACKCTL, Shop, environment, following, notice, service, stackctl
from tests.cli.terminal import ESCAPE, plain
from tests.peer import Peer, Vanish
from tests.servers import wait_until

FIGURES = ("--interval", "0.2")


def change(peer: Peer, shop: Shop, seq: int, name: str, state: str, **fields: object) -> None:
    """A service becomes another, and that is published."""
    shop.services = shop.services | {name: service(name, state, **fields)}
    shop.notices = (*shop.notices, notice(seq, name, "running", state))
    peer.do(shop.notices[-1])


def table(lines: Iterator[str], count: int) -> list[str]:
    return [next(lines).rstrip("\n") for _ in range(count)]


def frames(shown: str) -> list[list[str]]:
    """The screens that were drawn, as lines; the first one is what was there before."""
    return [plain(frame).replace("\r", "\n").split("\n") for frame in shown.split("\x1b[H")]


@contextmanager
def watching(peer: Peer, *words: str) -> Iterator[Iterator[str]]:
    """The lines of stdout while it watches."""
    with following("--socket", peer.endpoint, "status", "--watch", *words) as process:
        assert process.stdout
        yield iter(process.stdout)


def test_a_pipe_gets_a_table_for_each_change_and_none_for_figures(peer: Peer, shop: Shop) -> None:
    with watching(peer, *FIGURES) as lines:
        first = table(lines, 4)
        shop.services = shop.services | {"db": service("db", cpu_percent=99.0, memory_bytes=1)}
        asked = len(peer.requests)
        wait_until(
            lambda: sum(isinstance(each, Status) for each in peer.requests[asked:]) >= 3,
            "it has looked again",
        )
        change(peer, shop, 1, "web", "backoff", reason="exit status 1")
        second = table(lines, 5)

    assert first == stackctl_table(first)
    assert second[0] == ""
    assert second[1].startswith("shop  running")
    assert second[4].startswith("✗  web")
    assert second[4].endswith("exit status 1")


def stackctl_table(lines: list[str]) -> list[str]:
    """The lines, checked to be those of a table of db and web."""
    assert [line.split()[:2] for line in lines[1:]] == [["SERVICE", "STATE"], ["●", "db"], ["●", "web"]]
    return lines


def test_with_json_each_change_is_a_line_as_status_prints_it(peer: Peer, shop: Shop) -> None:
    with watching(peer, "--json") as lines:
        first = next(lines)
        change(peer, shop, 1, "web", "stopped")
        second = json.loads(next(lines))
        change(peer, shop, 2, "web", "running")
        third = next(lines)

    assert first == third == stackctl("--socket", peer.endpoint, "status", "--json").out
    assert [(each["name"], each["state"]) for each in second["services"]] == [
        ("db", "running"),
        ("web", "stopped"),
    ]
    assert second["ok"] is True


def test_only_the_named_services_are_watched(peer: Peer) -> None:
    with watching(peer, "web") as lines:
        told = table(lines, 3)

    assert told[2].startswith("●  web")


def test_an_unknown_service_is_4(peer: Peer) -> None:
    ran = stackctl("--socket", peer.endpoint, "status", "--watch", "wbe")

    assert ran == (4, "", "stackctl: no service `wbe`; did you mean web?\n")


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_terminal_is_redrawn_and_given_back(peer: Peer, shop: Shop, columns: int) -> None:
    with session("--socket", peer.endpoint, "status", "--watch", columns=columns) as shown:
        began = shown.until("●")
        change(peer, shop, 1, "web", "backoff", reason="exit status 1")
        shown.until("exit status 1", began)
        shown.process.send_signal(signal.SIGINT)
        code = shown.end()

    assert code == 130
    assert shown.shown.startswith("\x1b[?1049h")
    assert shown.shown.rindex("\x1b[?1049l") > shown.shown.rindex("exit status 1")
    assert shown.shown.rfind("\x1b[?25h") > shown.shown.rfind("\x1b[?25l")
    assert "Traceback" not in shown.shown
    assert max(map(len, frames(shown.shown)[-1])) <= columns


def test_figures_are_read_anew_without_a_change(peer: Peer, shop: Shop) -> None:
    with session("--socket", peer.endpoint, "status", "--watch", *FIGURES) as shown:
        began = shown.until("1.2%")
        shop.services = {"db": service("db", cpu_percent=77.7)}
        shown.until("77.7%", began)


def test_what_is_not_well_is_shown_first_when_the_terminal_is_too_low(peer: Peer, shop: Shop) -> None:
    shop.services = {f"w{number}": service(f"w{number}") for number in range(100)}
    shop.services["w99"] = service("w99", "failed", reason="disk full")

    with session("--socket", peer.endpoint, "status", "--watch", rows=10) as shown:
        shown.until("93 more")

    words = [line.split()[:2] for line in frames(shown.shown)[-1] if line]
    rows = [each for each in words if each[0] in "●✗"]
    assert rows[:2] == [["✗", "w99"], ["●", "w0"]]
    assert len(rows) == 7


def test_a_dumb_terminal_gets_tables(peer: Peer, shop: Shop) -> None:
    with session("--socket", peer.endpoint, "status", "--watch", changes={"TERM": "dumb"}) as shown:
        began = shown.until("●  web")
        change(peer, shop, 1, "web", "stopped")
        shown.until("○  web", began)

    assert not ESCAPE.search(shown.shown)


def test_the_terminal_is_given_back_when_stackd_dies(peer: Peer) -> None:
    with session("--socket", peer.endpoint, "status", "--watch") as shown:
        shown.until("web")
        peer.do(Vanish())
        code = shown.end()

    assert code == 4
    assert shown.shown.index("stackctl: cannot") > shown.shown.rindex("\x1b[?1049l")


def test_a_stackd_that_dies_is_the_last_line_of_json(peer: Peer) -> None:
    command = [*STACKCTL, "--socket", peer.endpoint, "status", "--watch", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stdout
        assert json.loads(process.stdout.readline())["ok"] is True
        peer.do(Vanish())
        out, _ = process.communicate(timeout=DEADLINE)

    assert json.loads(out)["ok"] is False
    assert process.returncode == 4


def test_nobody_is_4(tmp_path: Path) -> None:
    assert stackctl("--socket", f"ipc://{tmp_path}/none.sock", "status", "--watch").code == 4
