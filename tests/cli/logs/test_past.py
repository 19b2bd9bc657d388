"""The order of the last lines of several logs."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from pathlib import Path

from supervisor_stack.cli.logs.files import open_log
from supervisor_stack.cli.logs.past import Line, history, last, newest_first
from supervisor_stack.cli.logs.times import Clock

NOON = datetime(2026, 11, 26, 12).timestamp()  # noqa: DTZ001  # the logs below are in local time


def complain(error: OSError) -> None:
    raise error


def lines(text: str, written: float = NOON) -> list[tuple[float | None, str]]:
    """The lines of a log, in order, with what is known of their times, in seconds after noon."""
    reversed_ = newest_first(text.encode().splitlines()[::-1], written, Clock())
    return [(None if each.time is None else each.time - NOON, each.text.decode()) for each in reversed_][::-1]


def order(*logs: str, count: int = 100, written: float = NOON + 59) -> list[str]:
    """All lines of some logs in the order in which they are shown."""
    named = [
        [(number, line) for line in newest_first(log.encode().splitlines()[::-1], written, Clock())]
        for number, log in enumerate(logs)
    ]
    return [f"{number} {line.text.decode()}" for number, line in last(named, count)]


def test_lines_of_several_logs_are_merged_by_their_times() -> None:
    nginx = "2026/11/26 12:00:01 [error] a\n2026/11/26 12:00:04 [error] b"
    redis = "1:M 26 Nov 2026 12:00:00.500 * c\n1:M 26 Nov 2026 12:00:02.000 * d"

    assert order(nginx, redis) == [
        "1 1:M 26 Nov 2026 12:00:00.500 * c",
        "0 2026/11/26 12:00:01 [error] a",
        "1 1:M 26 Nov 2026 12:00:02.000 * d",
        "0 2026/11/26 12:00:04 [error] b",
    ]


def test_the_last_lines_are_those_of_all_logs_together() -> None:
    busy = "\n".join(f"2026/11/26 12:00:{second:02} [error] busy" for second in range(10, 20))
    quiet = "2026/11/26 12:00:00 [error] quiet\n2026/11/26 12:00:18 [error] quiet"

    assert order(quiet, busy, count=3) == [
        "0 2026/11/26 12:00:18 [error] quiet",
        "1 2026/11/26 12:00:18 [error] busy",
        "1 2026/11/26 12:00:19 [error] busy",
    ]


def test_at_the_same_time_the_first_log_comes_first_and_each_keeps_its_order() -> None:
    one, two = (
        f"2026/11/26 12:00:00 [error] {name} 1\n2026/11/26 12:00:00 [error] {name} 2" for name in "ab"
    )

    assert [line[-3:] for line in order(one, two)] == ["a 1", "a 2", "b 1", "b 2"]


def test_a_line_that_goes_back_in_time_stays_where_it_was_written() -> None:
    """uWSGI tells when a request came, and writes the line when it is done."""
    uwsgi = "2026-11-26 12:00:05 a\n2026-11-26 12:00:01 slow\n2026-11-26 12:00:06 b"

    assert [line[2:] for line in order(uwsgi)] == uwsgi.splitlines()


def test_a_traceback_stays_together() -> None:
    app = (
        "2026-11-26 12:00:01,000 ERROR app: oh\nTraceback (most recent call last):\n  File x\n    1/0\n"
        "ZeroDivisionError: division by zero\n\nDuring handling:\n2026-11-26 12:00:09,000 INFO next"
    )
    nginx = "\n".join(f"2026/11/26 12:00:0{second} [error] n" for second in range(1, 9))

    merged = order(app, nginx)

    own = [line for line in merged if line.startswith("0")]
    assert own == [f"0 {line}" for line in app.splitlines()]
    assert merged[: len(own) - 1] == own[:-1]
    assert lines(app)[:7] == [(1.0, line) for line in app.splitlines()[:7]]


def test_what_a_quiet_log_said_last_without_a_time_was_said_when_it_was_written() -> None:
    """A uWSGI that had its last request at noon dies at 12:00:30."""
    text = (
        "2026-11-26 12:00:00,000 ERROR app: oh\nTraceback (most recent call last):\n  File x\nKeyError: 1\n"
        "!!! uWSGI process 4711 got Segmentation Fault !!!\n*** backtrace of 4711 ***"
    )
    nginx = "2026/11/26 12:00:10 [error] n"

    told = lines(text, written=NOON + 30)

    assert [time for time, _ in told] == [0, 0, 0, 0, None, None]
    assert order(text, nginx, written=NOON + 30)[4:] == [
        "1 2026/11/26 12:00:10 [error] n",
        "0 !!! uWSGI process 4711 got Segmentation Fault !!!",
        "0 *** backtrace of 4711 ***",
    ]


def test_a_traceback_that_ended_a_quiet_log_is_still_of_its_head() -> None:
    text = "2026-11-26 12:00:00,000 ERROR app: oh\nTraceback (most recent call last):\n  File x\nKeyError: 1"

    assert [time for time, _ in lines(text, written=NOON + 30)] == [0, 0, 0, 0]


def test_what_was_written_at_once_belongs_to_the_line_before() -> None:
    assert [time for time, _ in lines("2026-11-26 12:00:00 a\nb\nc", written=NOON + 1)] == [0, 0, 0]


def test_a_log_without_any_time_is_as_old_as_its_file() -> None:
    assert lines("a\nb") == [(None, "a"), (None, "b")]
    nginx = "2026/11/26 12:00:10 [error] before\n2026/11/26 12:00:30 [error] after"

    assert order("a\nb", nginx, written=NOON + 20) == [
        "1 2026/11/26 12:00:10 [error] before",
        "0 a",
        "0 b",
        "1 2026/11/26 12:00:30 [error] after",
    ]


def test_the_beginning_of_a_log_without_a_time_is_as_old_as_its_first_time() -> None:
    assert lines("a\n2026-11-26 12:00:00 b", written=NOON + 1) == [
        (None, "a"),
        (0.0, "2026-11-26 12:00:00 b"),
    ]


def test_the_head_of_many_lines_without_a_time_is_not_looked_for_for_ever() -> None:
    def endless() -> object:
        while True:
            yield b"x" * 1000

    found = list(islice(newest_first(endless(), NOON, Clock()), 5000))  # type: ignore[arg-type]

    assert found == [Line(NOON, None, b"x" * 1000)] * 5000


def test_older_files_go_on_where_the_newest_begins(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    for suffix, second in (("", 3), (".1", 2), (".2", 1)):
        Path(f"{log}{suffix}").write_text(f"2026-11-26 12:00:0{second} a\n    b\n")

    with open_log(str(log)) as file:
        found = [line.text.decode() for line in history(str(log), file, log.stat().st_size, complain)]

    assert [line for line in found[::-1] if line[0] == "2"] == [
        f"2026-11-26 12:00:0{each} a" for each in "123"
    ]
    assert len(found) == 6


def test_a_log_that_is_rotated_while_it_is_read_is_read_once(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    log.write_text("b\n")
    Path(f"{log}.1").write_text("a\n")

    with open_log(str(log)) as file:
        read = history(str(log), file, 2, complain)
        first = next(read)
        Path(f"{log}.1").rename(f"{log}.2")
        log.rename(f"{log}.1")
        log.write_text("c\n")

        assert [first.text, *(line.text for line in read)] == [b"b", b"a"]
