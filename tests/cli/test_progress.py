"""How the progress of an operation is drawn on terminals of all sizes, and how failures are told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from rich.cells import cell_len

from supervisor_stack.cli.failure import Deed, listed, told, told_together
from supervisor_stack.cli.live import Board
from supervisor_stack.cli.options import Options
from supervisor_stack.cli.tty import Pen
from supervisor_stack.control.messages import Accepted, Finished, Progress
from supervisor_stack.control.parts import Outcome
from tests.cli.shop import Shop, stackctl
from tests.cli.terminal import ESCAPE, plain, stackctl_on_terminal
from tests.peer import Peer

REFUSED = "waits for mysql at 127.0.0.1:3306: connection refused"


class Clock:
    """Seconds, as a test wants them."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def board(*services: str) -> tuple[Board, Clock]:
    clock = Clock()
    return Board(services, Pen(plain=True), clock), clock


def starting(service: str, **fields: object) -> Progress:
    usual: dict[str, object] = {"op": 1, "service": service, "state": "starting", "reason": REFUSED}
    return Progress(**usual | fields)  # type: ignore[arg-type]


def over(service: str, state: str = "running", error: str = "") -> Progress:
    outcome = Outcome(service=service, state=state, error=error)
    return Progress(op=1, service=service, state=state, outcome=outcome)


def test_a_service_says_what_it_waits_for_for_how_long_and_what_comes_of_it() -> None:
    shown, clock = board("mysqld")
    shown.take_in(starting("mysqld", lasted=1.5, left=58.5, then="given up"))
    clock.now += 2

    assert shown.lines(120, 50) == [f"◌ mysqld  starting    3.5s  {REFUSED}, given up in 56s"]


def test_a_stop_says_when_it_is_killed() -> None:
    shown, clock = board("worker")
    stop = "asked to stop by SIGTERM"
    shown.take_in(starting("worker", state="stopping", reason=stop, left=10.0, then="killed"))
    clock.now += 2

    assert shown.lines(80, 50) == ["◌ worker  stopping    2.0s  asked to stop by SIGTERM, killed in 8s"]
    assert shown.lines(40, 50) == [
        "◌ worker  stopping    2.0s",
        "    asked to stop by SIGT…, killed in 8s",
    ]


def test_what_is_done_says_how_long_it_took() -> None:
    shown, clock = board("db", "web")
    clock.now += 2.5
    shown.take_in(over("db"))
    shown.take_in(over("web", "failed", "exit status 1"))
    clock.now += 60

    assert shown.lines(80, 50) == [
        "● db   running     2.5s",
        "✗ web  failed      2.5s  exit status 1",
    ]


def test_what_nothing_was_said_of_is_asked() -> None:
    shown, _ = board("db")

    assert shown.lines(80, 50) == ["◌ db  asked       0.0s"]


def test_what_runs_and_has_to_stop_is_not_done_yet() -> None:
    shown, _ = board("db")
    shown.take_in(starting("db", state="running", reason="waits for web to stop"))

    assert shown.lines(80, 50) == ["◌ db  running     0.0s  waits for web to stop"]


def test_of_a_thousand_those_under_way_are_shown_and_the_rest_is_counted() -> None:
    names = [f"w{number:04}" for number in range(1000)]
    shown, _ = board(*names)
    for name in names[:500]:
        shown.take_in(over(name))
    for name in names[700:710]:
        shown.take_in(starting(name, reason=""))

    lines = shown.lines(80, 24)

    assert len(lines) == 23
    assert [line.split()[1] for line in lines[:11]] == [*names[700:710], "w0500"]
    assert lines[-1] == "978 more: 500 done, 478 asked"


def test_when_all_is_done_there_is_only_a_count() -> None:
    names = [f"w{number:04}" for number in range(1000)]
    shown, _ = board(*names)
    for name in names:
        shown.take_in(over(name))

    assert shown.lines(80, 24) == ["1000 services: 1000 done"]


def test_failures_come_first_when_there_is_not_room_for_all() -> None:
    names = [f"w{number:04}" for number in range(1000)]
    shown, _ = board(*names)
    shown.take_in(over("w0999", "failed", "exit status 1"))

    lines = shown.lines(80, 10)

    assert lines[0] == "✗ w0999  failed      0.0s  exit status 1"
    assert lines[-1] == "992 more: 992 asked"


@pytest.mark.parametrize("width", [20, 40, 80, 200])
@pytest.mark.parametrize("height", [3, 10, 50])
def test_it_is_never_larger_than_the_terminal(width: int, height: int) -> None:
    names = [f"a-service-with-a-rather-long-name-{number}" for number in range(60)]
    shown, _ = board(*names)
    for name in names:
        shown.take_in(starting(name, reason="接続が拒否されました" * 9, left=9.0, then="given up"))

    lines = shown.lines(width, height)

    assert len(lines) < height
    assert width < 40 or max(map(cell_len, lines)) <= width


# Failures.


def options(**fields: object) -> Options:
    return Options(verb="start", config="/srv/a site/stackd.toml", **fields)


def test_a_failure_comes_with_all_that_helps() -> None:
    again = (datetime.now(UTC) + timedelta(seconds=8.4)).isoformat()
    outcome = Outcome(
        service="uwsgi",
        state="backoff",
        error="exit status 1: no module",
        detail=("Traceback",),
        probe="connection refused",
        next_retry=again,
    )

    error = told(outcome, Deed(options()))

    assert error.message == "cannot start uwsgi: exit status 1: no module"
    assert error.detail == (
        "Traceback",
        "last answer of its ready probe: connection refused",
        "stackd goes on trying; next in 8s",
        "see: stackctl -c '/srv/a site/stackd.toml' logs uwsgi -n 50",
        "see: stackctl -c '/srv/a site/stackd.toml' explain uwsgi",
    )


@pytest.mark.parametrize(
    ("verb", "next_"), [("stop", "status db"), ("shutdown", "status db"), ("reload", "check")]
)
def test_the_next_command_is_for_what_was_asked(verb: str, next_: str) -> None:
    outcome = Outcome(service="db", state="running", error="it refuses")

    assert told(outcome, Deed(Options(verb=verb))).detail == (f"see: stackctl {next_}",)


def test_failures_for_the_same_cause_are_one() -> None:
    because = "needs db (db is failed: disk full)"
    waiting = [Outcome(service=f"w{number}", state="waiting", error=because) for number in range(100)]
    other = Outcome(service="x", state="waiting", error="needs y")

    errors = list(told_together([*waiting, other], Deed(options())))

    assert [error.message for error in errors] == [
        f"cannot start w0, w1, w2 and 97 more: {because}",
        "cannot start x: needs y",
    ]


@pytest.mark.parametrize(("names", "text"), [("abc", "a, b, c"), ("abcd", "a, b, c and 1 more"), ("", "")])
def test_a_list_is_never_long(names: str, text: str) -> None:
    assert listed(names) == text


@pytest.fixture
def failing(shop: Shop) -> Callable[[int], None]:
    """Makes so many of the services fail, and the last one only wait for them."""

    def fail(count: int) -> None:
        names = [f"w{number}" for number in range(count)]
        outcomes = [
            Outcome(service=name, state="failed", error=f"exit status {number}", detail=("out",))
            for number, name in enumerate(names)
        ]
        last = Outcome(service="web", state="waiting", error="needs w0")
        shop.operation = (
            Accepted(op=1, services=(*names, "web")),
            *(over(each.service, each.state, each.error) for each in outcomes),
            over("web", "waiting", "needs w0"),
            Finished(op=1, ok=False, outcomes=(*outcomes, last)),
        )

    return fail


def test_the_cause_is_told_before_the_end_and_only_once(peer: Peer, failing: Callable[[int], None]) -> None:
    failing(1)

    told = stackctl("--socket", peer.endpoint, "start", "all").err.splitlines()

    causes = [line for line in told if line.startswith("stackctl: ")]
    assert causes == ["stackctl: cannot start w0: exit status 0", "stackctl: cannot start web: needs w0"]
    assert told.index(causes[0]) < told.index("web  waiting")


def test_of_many_failures_the_first_are_told_in_full(peer: Peer, failing: Callable[[int], None]) -> None:
    failing(30)

    ran = stackctl("--socket", peer.endpoint, "start", "all")

    assert ran.err.count("cannot start w") == 10
    assert ran.err.splitlines()[-2] == f"21 more causes; see: stackctl --socket {peer.endpoint} status"
    assert ran.err.splitlines()[-1].startswith("0 of 31 started in ")
    assert ran.err.splitlines()[-1].endswith("failed: w0, w1, w2 and 28 more")


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_failure_stands_above_what_is_redrawn(
    peer: Peer, failing: Callable[[int], None], columns: int
) -> None:
    failing(1)

    ran = stackctl_on_terminal("--socket", peer.endpoint, "start", "all", columns=columns)

    shown = plain(ran.out)
    assert shown.count("stackctl: cannot start w0: exit status 0\n") == 1
    assert shown.index("cannot start w0") < shown.rindex("✗ w0")
    assert ran.code == 1


@pytest.mark.parametrize(
    ("words", "changes", "is_drawn"),
    [((), {"TERM": "dumb"}, False), ((), {"NO_COLOR": "1"}, True), (("--no-color",), {}, True)],
    ids=["dumb", "NO_COLOR", "--no-color"],
)
def test_a_terminal_that_cannot_be_redrawn_gets_lines_and_one_without_colours_has_none(
    peer: Peer, shop: Shop, words: tuple[str, ...], changes: dict[str, str], is_drawn: bool
) -> None:
    shop.operation = (
        Accepted(op=1, services=("db",)),
        starting("db"),
        over("db"),
        Finished(op=1, ok=True, outcomes=(Outcome(service="db", state="running"),)),
    )

    ran = stackctl_on_terminal("--socket", peer.endpoint, "start", "db", *words, changes=changes)

    assert bool(ESCAPE.search(ran.out)) is is_drawn
    assert "\x1b[3" not in ran.out
    assert ("● db" in ran.out) is is_drawn
    assert plain(ran.out).splitlines()[-1].startswith("db started in 0.")
