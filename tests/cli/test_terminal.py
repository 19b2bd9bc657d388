"""What a person sees on a terminal."""

from __future__ import annotations

import sys

import pytest

from supervisor_stack.control.messages import Accepted, Finished, Progress
from supervisor_stack.control.parts import Outcome
from tests.cli import terminal
from tests.cli.shop import Shop, notice, service, stackctl
from tests.cli.terminal import ESCAPE, plain, stackctl_on_terminal
from tests.peer import Peer, Vanish

REASON = "exit status 1: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)"


@pytest.fixture
def shop() -> Shop:
    return Shop(service("db"), service("nginx", "failed", reason=REASON), state="degraded")


def test_a_wide_terminal_shows_what_a_pipe_gets(peer: Peer) -> None:
    ran = stackctl_on_terminal("--socket", peer.endpoint)

    assert plain(ran.out) == stackctl("--socket", peer.endpoint).out
    assert ran.code == 1


def test_states_have_colours_on_a_terminal(peer: Peer) -> None:
    lines = stackctl_on_terminal("--socket", peer.endpoint).out.splitlines()

    assert "\x1b[32m●" in lines[2]
    assert "\x1b[31m✗" in lines[3]
    assert "\x1b[31mfailed (failed)\x1b[0m" in lines[3]


@pytest.mark.parametrize(
    ("words", "changes"),
    [(("--no-color",), {}), ((), {"NO_COLOR": "1"}), ((), {"TERM": "dumb"})],
    ids=["--no-color", "NO_COLOR", "TERM=dumb"],
)
def test_colours_can_be_refused(peer: Peer, words: tuple[str, ...], changes: dict[str, str]) -> None:
    ran = stackctl_on_terminal("--socket", peer.endpoint, "status", *words, changes=changes)

    assert not ESCAPE.search(ran.out)
    assert "✗  nginx" in ran.out


@pytest.mark.parametrize(
    ("columns", "titles"),
    [
        (200, "SERVICE  STATE             READY  SINCE  PID   CPU  MEM  RST  NOTE"),
        (80, "SERVICE  STATE             READY  PID   CPU  MEM  NOTE"),
        (40, "SERVICE  STATE    NOTE"),
    ],
)
def test_columns_go_when_the_terminal_is_narrow(peer: Peer, columns: int, titles: str) -> None:
    lines = plain(stackctl_on_terminal("--socket", peer.endpoint, columns=columns).out).splitlines()

    assert lines[1].strip() == titles


@pytest.mark.parametrize("columns", [20, 40, 60, 100])
def test_lines_never_wrap(peer: Peer, columns: int) -> None:
    lines = plain(stackctl_on_terminal("--socket", peer.endpoint, columns=columns).out).splitlines()

    assert len(lines) == 4
    assert max(map(len, lines)) <= columns


def test_a_note_without_room_is_cut_visibly(peer: Peer) -> None:
    lines = plain(stackctl_on_terminal("--socket", peer.endpoint, columns=90).out).splitlines()

    assert lines[3].endswith("exit status 1: [emerg] bind() t…")


LOADED = """
import sys
from supervisor_stack.cli.stackctl import main
main(sys.argv[1:])
print(*sys.modules)
"""


def test_only_as_much_of_rich_is_loaded_for_a_table_as_it_takes(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "STACKCTL", (sys.executable, "-c", LOADED))

    loaded = stackctl_on_terminal("--socket", peer.endpoint).out.split()

    assert "rich.style" in loaded
    heavy = {"rich.console", "rich.table", "rich.live", "supervisor_stack.cli.logs", "subprocess", "asyncio"}
    assert not heavy & set(loaded)


def test_long_lines_are_broken_between_words(peer: Peer, shop: Shop) -> None:
    shop.notices = (notice(1, "nginx", "running", "backoff", reason=REASON),)

    told = plain(stackctl_on_terminal("--socket", peer.endpoint, "events", columns=60).out).splitlines()
    error = plain(stackctl_on_terminal("--socket", "ipc:///no/x.sock", "start", "all", columns=60).out)

    assert told[0] == "2026-11-22T05:45:36.123Z  nginx  running -> backoff  Spawned"
    assert told[1].startswith("    exit status 1: [emerg] bind() ")
    assert max(map(len, told)) <= 60
    assert error.splitlines()[:2] == [
        "stackctl: cannot reach stackd at ipc:///no/x.sock: it is not",
        "    running",
    ]
    assert stackctl("--socket", peer.endpoint, "events").out.count("\n") == 1


def test_an_operation_about_no_service_leaves_no_empty_line(peer: Peer, shop: Shop) -> None:
    shop.operation = (Accepted(op=1, services=()), Finished(op=1, ok=True, outcomes=()), Vanish())

    ran = stackctl_on_terminal("--socket", peer.endpoint, "shutdown", "--keep-services")

    assert plain(ran.out) == "stackd has left, and its services go on\n"


def test_an_operation_is_redrawn_in_place(peer: Peer, shop: Shop) -> None:
    shop.operation = (
        Accepted(op=1, services=("db", "nginx")),
        Progress(op=1, service="nginx", state="waiting", reason="needs db [really]"),
        Progress(op=1, service="db", state="running"),
        Finished(
            op=1,
            ok=False,
            outcomes=(
                Outcome(service="db", state="running"),
                Outcome(service="nginx", state="failed", error="exit status 1", detail=(REASON,)),
            ),
        ),
    )

    ran = stackctl_on_terminal("--socket", peer.endpoint, "start", "all")

    last_drawing = plain(ran.out.rpartition("\x1b[1A")[2]).splitlines()
    assert [line.split()[:3] for line in last_drawing[:2]] == [
        ["●", "db", "running"],
        ["✗", "nginx", "failed"],
    ]
    assert last_drawing[2:4] == ["stackctl: cannot start nginx: exit status 1", f"  {REASON}"]
    assert last_drawing[4] == f"  see: stackctl --socket {peer.endpoint} logs nginx -n 50"
    assert last_drawing[-1].startswith("1 of 2 started in 0.")
    assert last_drawing[-1].endswith("s, failed: nginx")
    assert ran.code == 1


def test_the_cursor_is_shown_again_when_stackd_dies_during_an_operation(peer: Peer, shop: Shop) -> None:
    shop.operation = (Accepted(op=1, services=("db",)), Vanish())

    ran = stackctl_on_terminal("--socket", peer.endpoint, "stop", "db")

    assert ran.out.rfind("\x1b[?25h") > ran.out.rfind("\x1b[?25l")
    assert ran.code == 7
