"""What stackd does next about a service, and whom a service waits for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from supervisor_stack.core import events as ev
from supervisor_stack.core.outlook import Outlook, outlook
from supervisor_stack.core.state import State
from supervisor_stack.spec import Backoff, ProbeSpec, Reload, Watch
from tests.core.histories import HELD, PROBE, History, service

Deed = Callable[[History], object]
NOTHING = "nothing until you ask"
TELL_AGAIN = Outlook("tells it again to stop", 110)
ONLY_TIME = {"backoff": Backoff(initial=5.0)}


def start(history: History) -> None:
    history.ask("start")


def run(history: History) -> None:
    history.ask("start")
    history.up("web")


def crash_twice(history: History) -> None:
    history.ask("start")
    history.exited("web")
    history.exited("web")


def crash_while_it_is_renewed(history: History) -> None:
    run(history)
    history.tell(ev.AliveMissed(service="web", run=1, answer="no"))


CASES: list[tuple[dict[str, Any], list[Deed], State, Outlook]] = [
    ({}, [], State.STOPPED, Outlook(NOTHING)),
    ({}, [start], State.STARTING, Outlook("gives up this start, unless it is ready by then", 160)),
    ({}, [run], State.RUNNING, Outlook()),
    (
        {"alive": ProbeSpec(type="tcp", failures=3)},
        [run, lambda history: history.tell(ev.AliveMissed(service="web", run=1, answer="no"))],
        State.RUNNING,
        Outlook("replaces it after 2 more without an answer"),
    ),
    (
        {"reload": Reload(signal="HUP")},
        [
            run,
            lambda history: history.ask("reload", "web"),
            lambda history: history.tell(ev.ReloadFailed(service="web", run=1, reason="no", ready=False)),
        ],
        State.RUNNING,
        Outlook("asks on until it is ready"),
    ),
    (
        {"type": "task", "ready": None},
        [start, lambda history: history.spawned("web")],
        State.RUNNING,
        Outlook("waits for its end"),
    ),
    (
        {"reload": Reload(signal="HUP", timeout=20)},
        [run, lambda history: history.ask("reload", "web")],
        State.RELOADING,
        Outlook("gives up the reload; it goes on as it is", 130),
    ),
    (
        HELD,
        [run, lambda history: history.ask("restart", "web")],
        State.RELOADING,
        Outlook("gives up the new run, unless it is ready by then; the present one goes on", 160),
    ),
    (
        {**HELD, "alive": ProbeSpec(type="tcp", failures=1)},
        [crash_while_it_is_renewed],
        State.RELOADING,
        Outlook("gives up the new run, unless it is ready by then; the hung one is ended", 160),
    ),
    (
        {},
        [run, lambda history: history.ask("stop", "web")],
        State.STOPPING,
        Outlook("ends it with SIGKILL", 110),
    ),
    ({"kill": False}, [run, lambda history: history.ask("stop", "web")], State.STOPPING, TELL_AGAIN),
    (
        {"kill": False, "alive": ProbeSpec(type="tcp", failures=1)},
        [crash_while_it_is_renewed],
        State.STOPPING,
        Outlook("ends it with SIGKILL", 110),
    ),
    (
        {"stop_when_ready": True},
        [start, lambda history: history.spawned("web"), lambda history: history.ask("stop", "web")],
        State.STARTING,
        Outlook("stops it when it is ready"),
    ),
    (
        {},
        [run, lambda history: history.exited("web", leftovers=1)],
        State.KILLING,
        Outlook("sends SIGKILL again", 110),
    ),
    (ONLY_TIME, [crash_twice], State.BACKOFF, Outlook("tries again", 105)),
    (
        {**ONLY_TIME, "watch": Watch()},
        [crash_twice],
        State.BACKOFF,
        Outlook("tries again, or when its files change", 105),
    ),
    ({"restart": "never"}, [start, lambda history: history.exited("web")], State.FAILED, Outlook(NOTHING)),
    (
        {"restart": "never", "watch": Watch()},
        [start, lambda history: history.exited("web")],
        State.FAILED,
        Outlook(f"{NOTHING}, or until its files change"),
    ),
    (
        {"restart": "on-failure"},
        [start, lambda history: history.exited("web", 0)],
        State.EXITED,
        Outlook(NOTHING),
    ),
]


@pytest.mark.parametrize(("keys", "deeds", "state", "expected"), CASES)
def test_what_is_done_next(keys: dict[str, Any], deeds: list[Deed], state: State, expected: Outlook) -> None:
    history = History(service("web", **keys))

    for deed in deeds:
        deed(history)

    assert history["web"].state is state
    assert outlook(history["web"]) == expected


def test_what_waits_for_others_is_told_so() -> None:
    history = History(service("db"), service("web", "db"))
    history.ask("start")

    assert outlook(history["web"]) == Outlook("starts it as soon as what it waits for is there")

    history.up("db", "web")
    history.ask("stop")
    assert outlook(history["db"]) == Outlook("stops it when those who need it have stopped")


def test_a_waiting_service_waits_for_what_is_not_ready() -> None:
    history = History(
        service("db"),
        service("cache"),
        service("late"),
        service("web", "db", wants=("cache",), after=("late",)),
    )
    history.ask("start", "web")
    history.up("cache")

    assert history.stack.waits_for("web") == ("db",), "nobody has asked for `late`"
    history.ask("start", "late")
    assert history.stack.waits_for("web") == ("db", "late")
    history.up("db", "late")
    assert history.stack.waits_for("web") == ()


def test_a_service_that_shall_leave_waits_for_those_who_need_it() -> None:
    history = History(service("db"), service("a", "db"), service("b", "db"))
    history.ask("start")
    history.up("db", "a", "b")
    history.ask("stop")

    assert history.stack.waits_for("db") == ("a", "b")
    history.exited("a", 0)
    assert history.stack.waits_for("db") == ("b",)
    assert history.stack.waits_for("b") == ()


def test_what_crashed_waits_for_those_who_are_renewed_with_it() -> None:
    history = History(service("db"), service("web", "db", on_dependency_crash="restart"))
    history.ask("start")
    history.up("db", "web")

    history.exited("db")

    assert history.stack.waits_for("db") == ("web",)


def test_a_run_that_is_to_be_renewed_waits_for_its_needs() -> None:
    history = History(service("db", ready=PROBE, **ONLY_TIME), service("web", "db", **HELD))
    history.ask("start")
    history.up("db", "web")
    history.exited("db")

    history.ask("restart", "web")

    assert history.stack.waits_for("web") == ("db",)
    assert outlook(history["web"]) == Outlook("begins a new run as soon as what it needs is ready")
