"""Text that fits a terminal: tables that lose columns, cut notes and names, wrapped sentences."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from rich.cells import cell_len

from supervisor_stack.cli.render import status_table
from supervisor_stack.cli.table import Column, Row, Table
from supervisor_stack.cli.tty import Pen, columns, cut, cut_middle, fit, table_lines, wrap
from supervisor_stack.control.parts import ServiceStatus
from tests.cli.shop import service

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
WIDE = "接続が拒否されました"
LONG = "exit status 1: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)"
PLAIN = Pen(plain=True)


def shown(width: int, *services: ServiceStatus) -> list[str]:
    return list(table_lines(status_table(services, NOW), width, PLAIN))


def titles(width: int, *services: ServiceStatus) -> list[str]:
    return shown(width, *services)[0].split()


def test_a_table_without_rows_is_its_titles() -> None:
    assert list(Table((Column("A"), Column("B")), ()).lines()) == ["A  B"]


def test_columns_to_the_right_are_padded_on_their_left() -> None:
    table = Table(
        (Column("N", right=True), Column("WORD")), (Row("good", ("1", "a")), Row("bad", ("22", "b")))
    )

    assert list(table.lines()) == [" N  WORD", " 1  a", "22  b"]
    assert list(table_lines(table, 80, PLAIN)) == [" N  WORD", " 1  a", "22  b"]


@pytest.mark.parametrize("width", [1, 10, 20, 40, 41, 60, 80, 119, 200])
@pytest.mark.parametrize(
    "services",
    [
        (service("db"),),
        (service("db"), service("nginx", "failed", reason=LONG)),
        (service("a-service-with-a-very-long-name-that-nobody-would-choose-1", "backoff", reason=LONG * 5),),
        (service("web", "backoff", reason=WIDE * 9, next_retry="2026-11-22T06:00:08.000Z"),),
        (service("データベース"), service("web", reason=WIDE)),
        (service("web", "failed", reason="a\ttab, a \x1b[31mcolour and\na line"),),
        tuple(service(f"worker-{number}", reason=LONG if number % 7 else "") for number in range(1000)),
    ],
    ids=["short", "note", "name", "wide", "wide names", "control", "thousand"],
)
def test_a_table_has_a_line_for_each_service_and_none_is_too_wide(
    services: tuple[ServiceStatus, ...], width: int
) -> None:
    lines = shown(width, *services)

    assert len(lines) == 1 + len(services)
    assert max(map(cell_len, lines)) <= width
    assert not any(character < " " for line in lines for character in line)


def test_at_40_columns_there_are_still_state_and_reason() -> None:
    lines = shown(40, service("db"), service("nginx", "failed", reason=LONG))

    assert lines == [
        "   SERVICE  STATE    NOTE",
        "●  db       running",
        "✗  nginx    failed   exit status 1: [em…",
    ]


@pytest.mark.parametrize(
    ("width", "left"),
    [
        (200, "SERVICE STATE READY SINCE PID CPU MEM RST NOTE"),
        (97, "SERVICE STATE READY SINCE PID CPU MEM RST NOTE"),
        (96, "SERVICE STATE READY PID CPU MEM RST NOTE"),
        (85, "SERVICE STATE READY PID CPU MEM NOTE"),
        (78, "SERVICE STATE READY PID MEM NOTE"),
        (69, "SERVICE STATE READY PID NOTE"),
        (48, "SERVICE STATE READY NOTE"),
        (40, "SERVICE STATE NOTE"),
    ],
)
def test_columns_go_in_order_and_a_long_note_keeps_a_third(width: int, left: str) -> None:
    services = (service("db"), service("nginx", "failed", reason=LONG))

    assert " ".join(titles(width, *services)) == left


def test_a_long_note_costs_no_column_where_there_is_room_for_a_third_of_it() -> None:
    lines = shown(120, service("nginx", "failed", reason=LONG.replace(" ", "_")))

    assert "SINCE" in lines[0]
    assert lines[1].endswith("…")
    assert cell_len(lines[1]) == 120


def test_names_that_are_too_long_keep_both_ends() -> None:
    name = "worker-for-the-mails-of-customers-"

    lines = shown(40, service(f"{name}1"), service(f"{name}2"))

    assert [line.split()[1][-2:] for line in lines[1:]] == ["-1", "-2"]
    assert lines[1] != lines[2]


def test_a_column_may_get_shorter_before_others_go() -> None:
    table = fit(status_table((service("db"),), NOW), 45)

    assert [column.title for column in table.columns][1:4] == ["SERVICE", "STATE", "READY"]
    assert table.rows[0].cells[2] == "running"


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("short", 5, "short"),
        ("longer", 5, "long…"),
        ("a b c d", 5, "a b…"),
        (WIDE, 7, "接続が…"),
        (WIDE, 6, "接続…"),
        ("word", 1, "…"),
        ("word", 0, ""),
    ],
)
def test_what_is_cut_says_so(text: str, width: int, expected: str) -> None:
    assert cut(text, width) == expected


@pytest.mark.parametrize(("width", "expected"), [(10, "worker-123"), (9, "work…-123"), (4, "wo…3"), (1, "…")])
def test_a_name_is_cut_in_the_middle(width: int, expected: str) -> None:
    assert cut_middle("worker-123", width) == expected


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("one two three", 7, ["one two", "three"]),
        ("one two three", 80, ["one two three"]),
        ("/a/very/long/path", 8, ["/a/very/", "long/pat", "h"]),
        ("    at line 3", 12, ["    at line", "    3"]),
        ("", 10, [""]),
        (WIDE, 9, ["接続が拒", "否されま", "した"]),
    ],
)
def test_a_sentence_is_wrapped_at_blanks_and_a_word_only_where_it_must(
    text: str, width: int, expected: list[str]
) -> None:
    assert list(wrap(text, width)) == expected


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("one two three four", 13, ["one two three", "  four"]),
        ("  one two three", 9, ["  one two", "    three"]),
        ("a  b   c d", 8, ["a  b   c", "  d"]),
        ("a  b   c d", 80, ["a  b   c d"]),
        ("one two three", 4, ["one", " two", " thr", "ee"]),
    ],
)
def test_what_a_break_moves_stands_further_to_the_right(text: str, width: int, expected: list[str]) -> None:
    assert list(wrap(text, width, hang=2)) == expected


def test_the_width_is_that_of_the_environment_where_it_says_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/null") as no_terminal:  # noqa: PTH123
        monkeypatch.setenv("COLUMNS", "44")
        assert columns(no_terminal) == 44
        monkeypatch.setenv("COLUMNS", "wide")
        assert columns(no_terminal) == 80


@pytest.mark.parametrize("terminal", ["dumb", "unknown", ""])
def test_a_terminal_without_colours_gets_none(monkeypatch: pytest.MonkeyPatch, terminal: str) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert Pen(plain=False)("x", "bad") == "\x1b[31mx\x1b[0m"

    monkeypatch.setenv("TERM", terminal)
    assert Pen(plain=False)("x", "bad") == "x"
