"""Services that hang, stops that are refused, and starts that take their time."""

from __future__ import annotations

from typing import Any

from supervisor_stack.core import actions as do
from supervisor_stack.core import events as ev
from supervisor_stack.core.state import State
from supervisor_stack.spec import ProbeSpec
from tests.core.histories import HELD, History, service

ALIVE = ProbeSpec(type="redis", failures=3)


def running(**keys: Any) -> History:
    history = History(service("app", alive=ALIVE, **keys))
    history.ask("start", "app")
    history.up("app")
    return history


def missed(history: History, times: int) -> None:
    for _ in range(times):
        run = history["app"].run
        history.tell(ev.AliveMissed(service="app", run=run, answer="no answer within 5 s"))


def test_a_service_is_watched_from_when_it_is_ready() -> None:
    history = running()

    assert history.orders[-1] == do.WatchAlive(service="app", run=1)


def test_fewer_misses_than_failures_are_told_and_nothing_else() -> None:
    history = running()

    missed(history, 2)

    assert (history["app"].state, history["app"].ready) == (State.RUNNING, True)
    assert history["app"].reason == "alive probe missed 2 of 3: no answer within 5 s"


def test_misses_that_do_not_follow_each_other_do_not_add_up() -> None:
    history = running()
    missed(history, 2)
    history.tell(ev.AliveAnswered(service="app", run=1))
    assert history["app"].reason == ""

    missed(history, 2)

    assert history["app"].state is State.RUNNING


def test_a_hung_service_is_asked_to_leave_and_comes_back() -> None:
    history = running()

    missed(history, 3)

    assert history.asked() == [("app", "TERM")]
    history.exited("app", 0)
    assert history["app"].exits[-1].reason == "hung: no answer within 5 s (3 alive probes in a row)"
    history.up("app")
    assert (history["app"].run, history["app"].restarts) == (2, 1)


def test_a_hung_service_that_does_not_leave_is_killed_even_if_a_stop_may_not() -> None:
    history = running(kill=False, stop_timeout=5.0)
    missed(history, 3)

    orders = history.later(5.0)

    assert orders == [do.Sweep(service="app", run=1)]


def test_a_hung_service_that_can_hand_over_is_replaced_by_a_successor() -> None:
    history = running(**HELD)

    missed(history, 3)

    assert history["app"].state is State.RELOADING
    assert history.asked() == []
    history.up_as("app", 2)
    assert (history["app"].run, history["app"].restarts) == (2, 1)
    assert history["app"].exits[-1].reason.startswith("hung: no answer within 5 s")


def test_a_service_that_wakes_up_before_its_successor_fails_goes_on() -> None:
    history = running(**HELD)
    missed(history, 3)
    history.spawned("app", run=2)
    history.tell(ev.AliveAnswered(service="app", run=1))

    history.exited("app", 1, run=2)

    assert (history["app"].state, history["app"].run) == (State.RUNNING, 1)


def test_a_hung_service_whose_successor_fails_is_ended() -> None:
    history = running(**HELD)
    missed(history, 3)
    history.spawned("app", run=2)

    history.exited("app", 1, run=2)

    assert (history["app"].state, history["app"].run) == (State.STOPPING, 1)


def test_a_stop_that_may_not_kill_tells_so_and_asks_again() -> None:
    history = running(kill=False, stop_timeout=5.0)
    op = history.ask("stop", "app")

    orders = history.later(5.0)

    assert orders == [do.AskToLeave(service="app", run=1, signal="TERM")]
    assert "not killed" in history.finished[op]["app"]
    assert history["app"].state is State.STOPPING
    assert history.later(5.0) == orders
    history.exited("app", 0)
    assert history["app"].state is State.STOPPED


def test_a_server_that_writes_out_its_memory_is_given_the_time_that_it_asks_for() -> None:
    history = running(stop_timeout=5.0)
    history.ask("stop", "app")

    history.tell(ev.StatusReceived(service="app", run=1, status="flushing", extend=30.0))

    assert history.later(5.0) == []
    assert history["app"].reason == "flushing"
    assert history.later(25.0) == [do.Sweep(service="app", run=1)]


def refusing() -> tuple[History, int]:
    history = running(kill=False, stop_refusal="can't exit", stop_timeout=60.0)
    op = history.ask("stop", "app")
    evidence = ("Error trying to save the DB, can't exit.",)
    history.tell(ev.StopRefused(service="app", run=1, evidence=evidence))
    return history, op


def test_a_refused_stop_ends_with_the_words_of_the_server() -> None:
    history, op = refusing()

    told = history.finished[op]["app"]

    assert told == "it refuses to stop: Error trying to save the DB, can't exit."
    assert do.WatchStop(service="app", run=1) in history.orders


def test_a_stop_after_a_refused_one_asks_again() -> None:
    history, _ = refusing()

    op = history.ask("stop", "app")

    assert history.asked() == [("app", "TERM")] * 2
    assert op not in history.finished
    history.exited("app", 0)
    assert history.finished[op] == {"app": ""}


def test_a_start_after_a_refused_stop_finds_it_running() -> None:
    history, _ = refusing()

    op = history.ask("start", "app")
    history.ready("app")

    assert history.finished[op] == {"app": ""}
    assert (history["app"].state, history["app"].run) == (State.RUNNING, 1)


def test_a_start_that_comes_nearer_is_followed_and_not_ended() -> None:
    history = History(service("app", start_timeout=10.0))
    history.ask("start", "app")
    history.spawned("app")
    history.later(9.0)

    history.tell(ev.ProbeFailed(service="app", run=1, answer="loading, 50 s left", progress=True))

    assert history.later(9.0) == []
    assert history["app"].state is State.STARTING
    history.later(1.0)
    assert history["app"].state is State.STOPPING


def test_a_server_that_a_stop_could_hang_while_it_starts_is_told_when_it_is_ready() -> None:
    history = History(service("app", stop_when_ready=True))
    history.ask("start", "app")
    history.spawned("app")

    op = history.ask("stop", "app")
    assert history.asked() == []
    assert "when it is ready" in history["app"].reason
    history.ready("app")

    assert history.asked() == [("app", "TERM")]
    history.exited("app", 0)
    assert history.finished[op] == {"app": ""}


def test_an_exit_by_which_the_server_asks_for_a_restart_is_no_failure() -> None:
    history = running(wish_exits={16: "SQL RESTART"})

    history.exited("app", 16)

    app = history["app"]
    assert (app.state, app.failures, app.exits[-1].reason) == (
        State.STARTING,
        0,
        "exit status 16: SQL RESTART",
    )


def test_a_process_that_the_kernel_killed_for_want_of_memory_is_told_as_such() -> None:
    history = running()

    history.exited("app", -9, out_of_memory=True, kernel="Out of memory: Killed process 1000 (app)")

    app = history["app"]
    assert app.exits[-1].reason == "killed by SIGKILL: out of memory (the kernel's OOM killer)"
    assert app.detail == ("Out of memory: Killed process 1000 (app)",)
