"""What is shown, in which order and how wide: without a screen."""

from __future__ import annotations

import pytest

from supervisor_stack.cli.table import GAP, Row
from supervisor_stack.cli.top.keys import KEYS, help_lines, hints
from supervisor_stack.cli.top.model import TITLES, Board, Grid, fitting, padded
from supervisor_stack.control.messages import StatusReply
from supervisor_stack.control.parts import Daemon, ServiceStatus, Stack
from tests.cli.shop import LONG_AGO, SINCE, service

ROW = Row(
    "good", ("●", "mysqld", "deactivating (stopping)", "yes", "3d 4h", "4711", "1.2%", "18M", "12", "x" * 99)
)


def reply(*services: ServiceStatus) -> StatusReply:
    daemon = Daemon(pid=812, version="0.1.0", since=SINCE)
    return StatusReply(
        stackd=daemon, stack=Stack(name="shop", state="running"), services=services, events="", seq=0
    )


@pytest.fixture
def board() -> Board:
    board = Board()
    services = (
        service("web", cpu_percent=1.0, memory_bytes=30, restarts=0),
        service("db", cpu_percent=3.0, memory_bytes=10, restarts=2),
        service("task", "stopped"),
        service("app", cpu_percent=2.0, memory_bytes=20, restarts=0),
    )
    board.take(reply(*services), whole=True)
    return board


def shown(board: Board) -> list[str]:
    return [each.name for each in board.shown]


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("name", ["app", "db", "task", "web"]),
        ("cpu", ["db", "app", "web", "task"]),
        ("memory", ["web", "app", "db", "task"]),
        ("restarts", ["db", "app", "task", "web"]),
    ],
)
def test_an_order_and_back(board: Board, order: str, names: list[str]) -> None:
    board.sort(order)
    assert shown(board) == names
    assert board.selected == names[0]
    assert board.headline(LONG_AGO).endswith(f"by {order}")

    board.sort(order)
    assert shown(board) == ["web", "db", "task", "app"]


def test_a_part_changes_what_it_tells_of_and_nothing_else(board: Board) -> None:
    board.select(3)
    board.take(reply(service("db", "failed")), whole=False)

    assert shown(board) == ["web", "db", "task", "app"]
    assert board.shown[1].state == "failed"
    assert (board.selected, board.index) == ("app", 3)


def test_what_is_gone_leaves_the_selection_to_its_neighbour(board: Board) -> None:
    board.select(1)
    board.take(reply(service("web"), service("app")), whole=True)

    assert (board.selected, board.index) == ("app", 1)


def test_nothing_is_selected_where_nothing_is_shown(board: Board) -> None:
    board.filter = "nothing like it"
    board.arrange()
    assert board.current is None

    board.filter = "STOPPED"
    board.arrange()
    assert board.current
    assert board.current.name == "task"
    assert board.headline(LONG_AGO).endswith("/STOPPED: 1 of 4")


def test_one_beyond_the_last_is_the_last(board: Board) -> None:
    board.select(10**6)
    assert board.selected == "app"
    board.select(-(10**6))
    assert board.selected == "web"


@pytest.mark.parametrize("width", range(1, 140))
def test_a_row_is_never_wider_than_there_is_room(width: int) -> None:
    grid = Grid()
    grid.widen([ROW])
    slots = grid.slots(width)

    line = GAP.join(padded(ROW.cells, slots))
    assert len(line) <= max(width, len(GAP.join(("●", "m"))))
    # A number is shown whole, or not at all.
    assert all(cell.strip() in ROW.cells for cell in padded(ROW.cells, slots)[2:-1])


def test_columns_go_in_the_order_of_status() -> None:
    grid = Grid()
    grid.widen([ROW])

    def titles(width: int) -> list[str]:
        return GAP.join(padded(TITLES, grid.slots(width))).split()

    assert titles(110) == ["SERVICE", "STATE", "READY", "SINCE", "PID", "CPU", "MEM", "RST", "NOTE"]
    assert titles(80) == ["SERVICE", "STATE", "READY", "PID", "CPU", "MEM", "NOTE"]
    assert titles(71) == ["SERVICE", "STATE", "READY", "PID", "MEM", "NOTE"]
    assert titles(70) == ["SERVICE", "STATE", "READY", "PID", "NOTE"]
    assert titles(40) == ["SERVICE", "STATE"]


def test_columns_do_not_jump_about() -> None:
    grid = Grid()
    grid.widen([ROW])
    before = grid.slots(110)

    grid.widen([Row("good", ("●", "a", "b", "c", "d", "1", "2", "3", "4", ""))])

    assert grid.slots(110) == before


def test_help_and_the_way_out_are_always_shown() -> None:
    assert fitting(hints(), 30) == "s start  ? help  q quit"
    assert fitting(hints(), 10) == "? help  q quit"
    assert fitting(hints(), 200).count(GAP) == len(hints()) - 1


def test_each_key_is_explained() -> None:
    assert len(help_lines()) > len(KEYS)
    keys = [name for key in KEYS for name in key.key.split(",")]
    assert len(set(keys)) == len(keys)
