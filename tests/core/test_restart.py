"""What happens after a run ended: again at once, later, or not at all."""

from __future__ import annotations

import pytest

from supervisor_stack.core import actions as do
from supervisor_stack.core import events as ev
from supervisor_stack.core.restart import next_delay, within
from supervisor_stack.core.state import NEVER, State
from supervisor_stack.spec import Backoff, Reload, StartLimit
from tests.core.histories import History, service


def running(**keys: object) -> History:
    history = History(service("app", **keys))
    history.ask("start")
    history.up("app")
    return history


def test_a_first_crash_is_repaired_at_once() -> None:
    history = running()

    orders = history.exited("app", -11)

    assert orders[-1] == do.Spawn(service="app", run=2)
    assert history["app"].reason == "killed by SIGSEGV"
    assert history["app"].restarts == 1


def test_leftovers_are_swept_before_the_next_run() -> None:
    history = running()

    history.exited("app", -9, leftovers=2)
    assert history.spawns() == ["app"]
    assert history.orders[-1] == do.Sweep(service="app", run=1)
    history.gone("app")

    assert history.spawns() == ["app", "app"]


def test_delays_grow_up_to_the_maximum() -> None:
    backoff = Backoff(initial=1.0, factor=2.0, max=5.0)

    assert [next_delay(backoff, failures, 0.0) for failures in range(1, 7)] == [0.0, 1.0, 2.0, 4.0, 5.0, 5.0]


def test_jitter_adds_at_most_a_tenth() -> None:
    assert next_delay(Backoff(initial=1.0), 2, 0.999) == pytest.approx(1.1, abs=0.001)


def test_a_million_failures_do_not_overflow_the_delay() -> None:
    assert next_delay(Backoff(initial=1.0, factor=100.0, max=30.0), 1_000_000, 0.0) == 30.0


def test_failures_outside_of_the_interval_do_not_count() -> None:
    assert within((1.0, 50.0, 95.0), StartLimit(burst=3, interval=60.0), 100.0) == (50.0, 95.0, 100.0)


def test_a_second_crash_waits_and_then_comes_back() -> None:
    history = running(backoff=Backoff(initial=2.0))
    history.exited("app")
    history.spawned("app")

    history.exited("app")
    assert history["app"].state is State.BACKOFF
    assert history.stack.deadline == history.now + 2.0
    history.later(1.9)
    assert len(history.spawns()) == 2
    history.later(0.2)

    assert len(history.spawns()) == 3


def test_a_good_time_makes_the_next_crash_a_first_one() -> None:
    history = running(backoff=Backoff(initial=2.0, reset_after=10.0))
    history.exited("app")
    history.up("app")
    history.later(10.0)
    assert history["app"].failures == 0

    history.exited("app")

    assert history["app"].state is State.STARTING


def test_a_crash_within_the_good_time_counts_on() -> None:
    history = running(backoff=Backoff(initial=2.0, reset_after=10.0))
    history.exited("app")
    history.up("app")
    history.later(9.0)

    history.exited("app")

    assert history["app"].state is State.BACKOFF


def test_a_reload_does_not_lose_the_good_time() -> None:
    history = running(reload=Reload(signal="HUP"), backoff=Backoff(initial=2.0, reset_after=10.0))
    history.exited("app")
    history.up("app")
    history.ask("reload", "app")
    history.tell(ev.ReloadVerified(service="app", run=2))
    history.later(10.0)

    assert history["app"].failures == 0


def crash_until_failed(history: History) -> int:
    crashes = 0
    while history["app"].state is not State.FAILED:
        history.spawned("app")
        history.exited("app", last_words=("boom",))
        crashes += 1
        if history.stack.deadline is not NEVER and history["app"].state is State.BACKOFF:
            history.later(history.stack.deadline - history.now)
    return crashes


def test_too_many_failures_in_the_interval_end_the_trying() -> None:
    history = History(service("app", start_limit=StartLimit(burst=4, interval=60.0)))
    op = history.ask("start")

    assert crash_until_failed(history) == 4
    assert history["app"].reason == "gave up after 4 failures in 60 s: exit status 1: boom"
    assert history.stack.deadline == NEVER
    assert history.finished[op]["app"].startswith("exit status 1")


def test_a_start_by_hand_is_always_allowed_and_begins_to_count_anew() -> None:
    history = History(service("app", start_limit=StartLimit(burst=2, interval=60.0)))
    history.ask("start")
    crash_until_failed(history)

    history.ask("start", "app")

    assert history["app"].state is State.STARTING
    assert history["app"].failures == 0
    assert crash_until_failed(history) == 2


def test_commanded_stops_never_count_as_failures() -> None:
    history = running(start_limit=StartLimit(burst=2, interval=60.0))

    for _ in range(20):
        history.ask("restart", "app")
        history.exited("app", -15)
        history.up("app")

    assert history["app"].state is State.RUNNING
    assert (history["app"].failures, history["app"].restarts) == (0, 0)


def test_an_exit_code_that_a_restart_cannot_cure_fails_at_once() -> None:
    history = running(final_exits={7: "unknown option"})

    history.exited("app", 7, last_words=("unknown variable 'foo'",))

    assert history["app"].state is State.FAILED
    assert history["app"].reason == "exit status 7: unknown variable 'foo' (unknown option)"


@pytest.mark.parametrize(
    ("restart", "code", "state"),
    [
        ("always", 0, State.STARTING),
        ("always", 1, State.STARTING),
        ("on-failure", 0, State.EXITED),
        ("on-failure", 1, State.STARTING),
        ("never", 0, State.EXITED),
        ("never", 1, State.FAILED),
    ],
)
def test_the_restart_policy_decides(restart: str, code: int, state: State) -> None:
    history = running(restart=restart)

    history.exited("app", code)

    assert history["app"].state is state


def test_a_service_that_daemonizes_is_named_and_not_looped_over() -> None:
    history = History(service("app"))
    history.ask("start")
    history.spawned("app")

    history.exited("app", 0, leftovers=3)
    history.gone("app")

    assert history["app"].state is State.FAILED
    assert "background" in history["app"].reason


def test_a_service_that_never_gets_ready_is_stopped_gracefully_and_tried_again() -> None:
    history = History(service("app", start_timeout=5.0))
    history.ask("start")
    history.spawned("app")
    history.tell(_probe_failed("answered 503"))

    history.later(5.0)
    assert history.asked() == [("app", "TERM")]
    history.exited("app", -15)

    assert history["app"].reason == "not ready within 5 s: answered 503"
    assert len(history.spawns()) == 2


def _probe_failed(answer: str) -> ev.Event:
    return ev.ProbeFailed(service="app", run=1, answer=answer)


def test_a_service_may_ask_for_more_time() -> None:
    history = History(service("app", start_timeout=5.0))
    history.ask("start")
    history.spawned("app")

    history.tell(ev.StatusReceived(service="app", run=1, status="recovering", extend=60.0))
    history.later(59.0)
    assert history.asked() == []
    assert history["app"].reason == "recovering"
    history.later(1.0)

    assert history.asked() == [("app", "TERM")]


def test_a_service_that_does_not_stop_is_killed() -> None:
    history = running(stop_timeout=3.0)
    op = history.ask("stop", "app")

    history.later(3.0)
    assert history.orders[-1] == do.Sweep(service="app", run=1)
    history.exited("app", -9)

    assert history["app"].state is State.STOPPED
    assert history["app"].reason == "did not stop within 3 s of SIGTERM: killed"
    assert history.finished[op] == {"app": ""}


def test_what_even_sigkill_does_not_end_is_reported_and_not_started_beside() -> None:
    history = running(stop_timeout=3.0)
    op = history.ask("restart", "app")
    history.later(3.0)

    history.later(10.0)

    assert history["app"].state is State.KILLING
    assert "uninterruptible" in history.finished[op]["app"]
    assert len(history.spawns()) == 1
    history.exited("app", -9)
    assert len(history.spawns()) == 2


def test_a_fact_of_another_run_is_dropped() -> None:
    history = running()
    history.exited("app")
    history.spawned("app")

    history.exited("app", run=1)
    history.ready("app", run=1)

    assert history["app"].state is State.STARTING


def test_a_reset_clears_the_counters_and_gives_a_failed_service_another_chance() -> None:
    history = History(service("app", start_limit=StartLimit(burst=2, interval=60.0)))
    history.ask("start")
    crash_until_failed(history)

    history._take(history.stack.reset(["app"], history.now))

    assert history["app"].state is State.STARTING
    assert (history["app"].failures, history["app"].restarts, history["app"].exits) == (0, 0, ())


def test_dependents_go_on_when_what_they_need_crashes() -> None:
    history = History(service("db"), service("app", "db"))
    history.ask("start")
    history.up("db", "app")

    history.exited("db", -9)

    assert history["app"].state is State.RUNNING
    assert history.asked() == []


def test_a_dependent_that_crashes_meanwhile_waits_for_what_it_needs() -> None:
    history = History(service("db"), service("app", "db"))
    history.ask("start")
    history.up("db", "app")
    history.exited("db", -9)

    history.exited("app", 1)
    assert history["app"].state is State.WAITING
    history.up("db")

    assert history["app"].state is State.STARTING


def test_a_stop_signal_that_may_be_lost_is_repeated_until_the_time_is_up() -> None:
    history = running(stop_again=0.5, stop_timeout=1.2)
    history.ask("stop", "app")

    history.later(0.5)
    history.later(0.5)
    assert history.asked() == [("app", "TERM")] * 3
    history.later(0.2)

    assert history.orders[-1] == do.Sweep(service="app", run=1)


def test_a_hopeless_run_is_not_waited_for_and_its_own_words_say_why() -> None:
    history = History(service("app"))
    history.ask("start")
    history.spawned("app")

    history.tell(ev.ProbeFailed(service="app", run=1, answer="no application", hopeless=True))
    assert history.asked() == [("app", "TERM")]
    words = ("Traceback:", "ModuleNotFoundError: No module named 'br_api'", "spawned worker 1")
    history.exited("app", 0, last_words=words)

    assert history["app"].reason == "no application: ModuleNotFoundError: No module named 'br_api'"
    assert history["app"].failures == 1
