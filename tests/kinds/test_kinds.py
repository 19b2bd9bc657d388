"""What holds for every kind."""

from __future__ import annotations

import signal

import pytest

from supervisor_stack.kinds import KINDS
from supervisor_stack.kinds.base import Kind
from tests.kinds.given import given

EVERY_KIND = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def test_the_kinds_are_those_of_the_configuration_file() -> None:
    assert list(KINDS) == ["mysqld", "redis", "uwsgi", "nginx", "command"]


@EVERY_KIND
def test_a_kind_has_the_name_that_it_is_found_by(kind: Kind) -> None:
    assert KINDS[kind.name] is kind


@EVERY_KIND
def test_signals_of_a_kind_exist(kind: Kind) -> None:
    names = [kind.stop_signal, *([kind.reload.signal] if kind.reload else [])]

    assert [name for name in names if f"SIG{name}" not in signal.Signals.__members__] == []


@EVERY_KIND
def test_a_kind_either_reloads_or_says_why_not(kind: Kind) -> None:
    assert (kind.reload is None) == bool(kind.no_reload)


@EVERY_KIND
def test_equal_files_make_equal_facts(kind: Kind) -> None:
    # A spec is compared with the one before it, to see whether the service has to be started anew.
    files = {"/etc/server.conf": ""}

    assert kind.learn(given("/etc/server.conf", files)) == kind.learn(given("/etc/server.conf", files))


def test_a_command_is_run_as_it_is_written() -> None:
    facts = KINDS["command"].learn(given("", {}, "-A", "br_api", binary="/usr/bin/celery"))

    assert facts.argv == ("/usr/bin/celery", "-A", "br_api")
    assert facts.ready is None
