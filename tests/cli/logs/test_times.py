"""The times of lines, as the real servers wrote them: nginx 1.22, MariaDB 10.11, Redis 7.0, uWSGI 2.0.30,
Django 5.2, gunicorn and celery, all on 26 November 2026 in UTC. MySQL's are in the forms of its manual."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from supervisor_stack.cli.logs.times import FORMS, Clock

# A line each: form | time of that day | line.
CAPTURED = Path(__file__).with_name("captured.txt").read_bytes().splitlines()
SERVERS = [
    (form.decode(), clock.decode(), line)
    for form, clock, line in (each.split(b" | ", 2) for each in CAPTURED)
]

TIMELESS = [
    b"",
    b"spawned uWSGI worker 1 (pid: 25886, cores: 1)",
    b"compiled with version: 14.2.1 20250110 (Red Hat 14.2.1-10) on 24 February 2026 19:10:01",
    b"Traceback (most recent call last):",
    b'  File "/srv/site.py", line 9, in application',
    b"ZeroDivisionError: division by zero",
    b"Version: '10.11.19-MariaDB-0+deb12u1-log'  socket: '/run/mysqld.sock'  port: 21102  Debian 12",
    b"Time\t\t    Id Command\tArgument",
    b"\t\t     4 Query\tselect * from visits where at > '2026-11-26 20:47:34'",
    b"SET timestamp=1795726054;",
    b"# User@Host: root[root] @ localhost []",
    b'    at = "2026-11-26 20:46:43"',
    b"2026-02-31 20:46:43 0 [Note] there is no such day",
    b"2026-11-26 25:00:00 0 [Note] there is no such hour",
    b"9999-12-31T23:59:59-0500 in UTC that is the year 10000",
    b"0001-01-01T00:00:00+0100 and that the year 0",
    b"\xff\x00\xfe" * 50,
]


@pytest.fixture(autouse=True)
def in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The zone of the machine on which the lines were written."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def move_to(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()


def on_that_day(clock: str) -> float:
    return datetime.fromisoformat(f"2026-11-26T{clock}+00:00").timestamp()


@pytest.mark.parametrize(("line", "clock"), [(line, clock) for _, clock, line in SERVERS])
def test_the_time_of_a_line_is_what_its_server_wrote(line: bytes, clock: str) -> None:
    hour, _, fraction = clock.partition(".")
    expected = on_that_day(hour) + float(f"0.{fraction or 0}")

    assert Clock().time_of(line) == pytest.approx(expected, abs=1e-6)


def test_each_form_is_written_by_some_server() -> None:
    assert {form for form, _, _ in SERVERS} == set(FORMS)


@pytest.mark.parametrize("line", TIMELESS)
def test_a_line_without_a_time_has_none(line: bytes) -> None:
    assert Clock().time_of(line) is None


def test_a_log_of_several_forms_is_read_by_one_clock() -> None:
    clock = Clock()

    for _, when, line in SERVERS * 2:
        time = clock.time_of(line)
        assert time is not None
        assert int(time) == on_that_day(when.partition(".")[0])


def test_hours_below_ten_may_be_padded_with_a_blank() -> None:
    # The form is "%02d%02d%02d %2d:%02d:%02d" in sql/log.cc.
    assert Clock().time_of(b"2026-11-26  7:40:04 0 [Note] ready") == on_that_day("07:40:04")
    assert Clock().time_of(b"# Time: 261126  7:40:04") == on_that_day("07:40:04")
    assert Clock().time_of(b"*** Starting uWSGI 2.0.30 (64bit) on [Sun Nov  1 07:13:00 2026] ***") == (
        datetime(2026, 11, 1, 7, 13, tzinfo=UTC).timestamp()
    )


def test_what_visitors_say_later_in_a_line_is_no_time_of_it() -> None:
    line = b'127.0.0.1 - - [26/Nov/2026:20:46:42 +0000] "GET /?[01/Jan/2020:00:00:00 +0000] HTTP/1.1" 200 1'

    assert Clock().time_of(line) == on_that_day("20:46:42")


@pytest.mark.parametrize("junk", [b"[" * 100_000, b"{" * 100_000, b'"' * 100_000, b"0" * 100_000])
def test_junk_is_judged_by_its_beginning(junk: bytes) -> None:
    began = time.process_time()

    assert Clock().time_of(junk) is None

    assert time.process_time() - began < 0.1


def test_a_time_without_zone_is_local_and_one_with_a_zone_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    move_to("Europe/Berlin", monkeypatch)

    assert Clock().time_of(b"2026/11/26 21:46:42 [error] 1#1: oh") == on_that_day("20:46:42")
    assert Clock().time_of(b"1:M 26 Nov 2026 21:46:42.000 * oh") == on_that_day("20:46:42")
    assert Clock().time_of(b'::1 - - [26/Nov/2026:21:46:42 +0100] "GET /"') == on_that_day("20:46:42")
    assert Clock().time_of(b"2026-11-26T20:46:42Z 0 [Note] oh") == on_that_day("20:46:42")
    assert Clock().time_of(b"2026-11-26 16:46:42 -04:00 oh") == on_that_day("20:46:42")


def test_a_log_in_another_zone_is_known_by_when_its_last_line_was_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Django with TIME_ZONE = "UTC" on a server in Berlin."""
    move_to("Europe/Berlin", monkeypatch)
    clock, written = Clock(), on_that_day("20:47:06")

    last = clock.time_of(b"2026-11-26 20:47:05,550 ERROR app: oh")

    assert last is not None
    assert clock.settled(last, written) == on_that_day("20:47:05") + 0.55
    assert clock.time_of(b"2026-11-26 20:40:00,000 INFO app: well") == on_that_day("20:40:00")
    assert clock.time_of(b'::1 - - [26/Nov/2026:20:40:00 +0000] "GET /"') == on_that_day("20:40:00")


def test_a_line_that_was_written_at_no_special_distance_is_in_our_zone() -> None:
    clock, line = Clock(), b"2026-11-26 20:47:05,000 ERROR app: oh"
    time = clock.time_of(line)
    assert time == on_that_day("20:47:05")

    assert clock.settled(time, time + 1.5) == time
    assert clock.settled(time, time + 1234.0) == time
    assert clock.settled(time, time + 48 * 3600.0) == time


def test_a_line_that_names_its_zone_is_never_moved() -> None:
    clock = Clock()
    time = clock.time_of(b'::1 - - [26/Nov/2026:20:40:00 +0000] "GET /"')
    assert time

    assert clock.settled(time, time + 3600.0) == time
