"""What a service waits for, as it is told to whoever started an operation."""

from __future__ import annotations

from typing import Any

import pytest

from supervisor_stack.core import actions as do
from supervisor_stack.core import events as ev
from supervisor_stack.core.awaited import Awaited, listed
from supervisor_stack.spec import Address, Backoff, Check, Fifo, ProbeSpec
from tests.core.histories import History, service

MYSQL = ProbeSpec(type="mysql", address=Address(host="0.0.0.0", port=3306))
DIALED = "127.0.0.1:3306"


def starting(**fields: Any) -> History:
    """A service of which the process exists."""
    history = History(service("app", **fields))
    history.ask("start", "app")
    history.spawned("app")
    return history


def waits(history: History, name: str = "app") -> str:
    return history.stack.awaited(name).what


def test_those_that_it_needs() -> None:
    history = History(service("db", ready=MYSQL), service("app", "db"))
    history.ask("start", "app")

    assert history.stack.awaited("app") == Awaited("needs db")


def test_the_answer_of_its_protocol_until_it_is_given_up() -> None:
    history = starting(ready=MYSQL, start_timeout=60.0)
    began = history.now
    assert waits(history) == f"waits for mysql at {DIALED}"

    history.later(2.0)
    history.tell(ev.ProbeFailed(service="app", run=1, answer=f"{DIALED}: connection refused"))

    told = history.stack.awaited("app")
    assert told == Awaited(f"waits for mysql at {DIALED}: connection refused", began + 60.0, "given up")


def test_why_the_last_run_ended_is_no_answer_of_this_one() -> None:
    history = starting(ready=MYSQL)
    history.exited("app", last_words=("disk full",))
    history.spawned("app")

    assert history["app"].reason == "exit status 1: disk full"
    assert waits(history) == f"waits for mysql at {DIALED}"


@pytest.mark.parametrize(
    ("probe", "told", "what"),
    [
        (ProbeSpec(type="notify"), "", "waits for READY=1"),
        (ProbeSpec(type="notify"), "loading", "waits for READY=1: loading"),
        (ProbeSpec(type="exec", command=("pg_isready",)), "", "waits for pg_isready"),
        (
            ProbeSpec(type="exec", command=("pg_isready",)),
            "pg_isready: exit status 2",
            "waits for pg_isready: exit status 2",
        ),
        (ProbeSpec(type="uwsgi"), "it has no worker yet", "waits for uwsgi: it has no worker yet"),
        (None, "", ""),
    ],
)
def test_each_kind_of_probe_in_its_words(probe: ProbeSpec | None, told: str, what: str) -> None:
    history = History(service("app", ready=probe))
    history.ask("start", "app")
    if probe:
        history.spawned("app")
        if told:
            history.tell(ev.ProbeFailed(service="app", run=1, answer=told))
        assert waits(history) == what
    else:
        assert history.stack.awaited("app") == Awaited("")


def test_a_test_of_the_configuration() -> None:
    history = History(service("app", check=Check(argv=("app", "-t"), before_start=True)))
    history.ask("start", "app")

    assert waits(history) == "its configuration is tested"


@pytest.mark.parametrize(
    ("fields", "what", "then"),
    [
        ({}, "asked to stop by SIGTERM", "killed"),
        ({"stop_signal": "QUIT", "kill": False}, "asked to stop by SIGQUIT", "asked again"),
        ({"fifo": Fifo(path="/run/app/{run}")}, "asked to stop", "killed"),
    ],
)
def test_an_end_that_was_asked_for(fields: dict[str, Any], what: str, then: str) -> None:
    history = starting(stop_timeout=10.0, **fields)
    history.ready("app")
    history.ask("stop", "app")

    assert history.stack.awaited("app") == Awaited(what, history.now + 10.0, then)


def test_those_who_go_first() -> None:
    behind = [service(f"web{number}", "db") for number in range(5)]
    history = History(service("db"), *behind)
    history.ask("start")
    history.up("db", *(each.name for each in behind))
    history.ask("stop", "db", cascade=True)

    assert waits(history, "db") == "waits for web0, web1, web2 and 2 more to stop"


def test_the_next_try() -> None:
    history = starting(backoff=Backoff(initial=8.0))
    history.exited("app")
    history.spawned("app")
    history.exited("app")

    told = history.stack.awaited("app")
    assert (told.what, told.then) == ("exit status 1", "tried again")
    assert told.until == history["app"].deadline


def test_a_change_of_what_it_waits_for_is_told_to_those_who_wait_and_is_no_news() -> None:
    history = starting(ready=MYSQL)
    answer = ev.ProbeFailed(service="app", run=1, answer="connection refused")

    assert history.stack.handle(answer, history.now)[1:] == [do.TellAwaited(service="app")]
    assert do.TellAwaited(service="app") not in history.stack.handle(answer, history.now)


def test_a_failure_that_is_tried_again_says_when() -> None:
    history = History(service("app", backoff=Backoff(initial=8.0)))
    op = history.ask("start", "app")
    for _ in range(2):
        history.spawned("app", pid=1000)
        actions = history.stack.handle(
            ev.ProcessExited(service="app", run=history["app"].run, code=1), history.now
        )

    (finish,) = (action for action in actions if isinstance(action, do.Finish))
    assert (finish.op, finish.retry) == (op, history["app"].deadline)


def test_a_start_that_took_too_long_comes_with_its_last_words() -> None:
    history = starting(ready=MYSQL, start_timeout=5.0)
    history.later(5.0)
    history.exited("app", code=-15, last_words=("reading a big table",))

    assert history["app"].detail == ("reading a big table",)


@pytest.mark.parametrize(
    ("names", "text"), [("a", "a"), ("abc", "a, b, c"), ("abcd", "a, b, c and 1 more"), ("", "")]
)
def test_a_list_is_never_long(names: str, text: str) -> None:
    assert listed(names) == text
