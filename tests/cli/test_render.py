"""Numbers and times as people read them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from supervisor_stack.cli import render
from tests.cli.shop import service

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0s"),
        (0, "0s"),
        (12.4, "12s"),
        (60, "1m"),
        (95, "1m 35s"),
        (3600, "1h"),
        (3605, "1h"),
        (7380, "2h 3m"),
        (273600, "3d 4h"),
        (86400 * 400, "400d"),
    ],
)
def test_a_time_has_its_two_largest_units(seconds: float, text: str) -> None:
    assert render.span(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (None, "-"),
        (0, "0B"),
        (999, "999B"),
        (1000, "1.0K"),
        (18 * 2**20, "18M"),
        (432_000_000, "412M"),
        (1_300_000_000, "1.2G"),
        (5 * 2**50, "5120T"),
    ],
)
def test_a_size_has_two_or_three_digits(number: int | None, text: str) -> None:
    assert render.size(number) == text


def test_an_age_counts_from_then_to_now() -> None:
    assert render.age("2026-11-22T05:45:36.000Z", NOW) == "14m 24s"
    assert render.age("", NOW) == "-"


@pytest.mark.parametrize(
    ("reason", "next_retry", "note"),
    [
        ("", None, ""),
        ("needs db", None, "needs db"),
        ("exit status 1", "2026-11-22T06:00:08.000Z", "exit status 1; retry in 8s"),
        ("", "2026-11-22T05:59:00.000Z", "retry in 0s"),
    ],
)
def test_a_note_says_why_and_when_next(reason: str, next_retry: str | None, note: str) -> None:
    assert render.note(service("web", "backoff", reason=reason, next_retry=next_retry), NOW) == note


@pytest.mark.parametrize(
    ("state", "ready", "tone"),
    [
        ("running", True, "good"),
        ("running", False, "busy"),  # a task
        ("reloading", False, "good"),
        ("starting", False, "busy"),
        ("waiting", False, "busy"),
        ("stopping", False, "busy"),
        ("backoff", False, "bad"),
        ("failed", False, "bad"),
        ("stopped", False, "idle"),
        ("exited", False, "idle"),
    ],
)
def test_a_state_is_as_alarming_as_it_is(state: str, ready: bool, tone: str) -> None:
    assert render.tone_of(service("web", state, ready=ready)) == tone


def test_a_service_that_runs_and_does_not_answer_is_alarming() -> None:
    assert render.tone_of(service("web", "running", ready=False, reason="connection refused")) == "bad"


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.034, "34ms"),
        (1.2344, "1.234s"),
        (362.1234, "6m 2.123s"),
        (119.9999, "2m 0.000s"),
        (90061.5, "25h 1m 1.500s"),
    ],
)
def test_moments_of_one_start_are_told_apart_however_late_it_was(seconds: float, told: str) -> None:
    assert render.offset(seconds) == told


@pytest.mark.parametrize("text", ["", "yesterday", "\0", "2026-02-30T00:00:00.000Z", "2026-11-22T05:45:36"])
def test_a_time_that_is_none_has_no_age(text: str) -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)

    assert render.age(text, now) == "-"
    assert render.note(service("web", next_retry=text or "?"), now).endswith("retry in -")


def test_a_size_that_nothing_has_is_shown_all_the_same() -> None:
    assert render.size(10**400) == render.size(2**64)
