"""When a start came how far, of all the ways in which a service can start."""

from __future__ import annotations

from typing import Any

from supervisor_stack.core import events as ev
from supervisor_stack.core.state import StartTimes, State
from supervisor_stack.spec import Backoff
from tests.core.histories import CHECK, HELD, History, service

SLOWLY: dict[str, Any] = {"backoff": Backoff(initial=5.0)}


def begun(*specs: Any) -> History:
    """At 100.0 s a start is asked for."""
    history = History(*specs)
    history.ask("start")
    return history


def running(**keys: Any) -> History:
    history = begun(service("web", **keys))
    history.up("web")
    return history


def test_what_was_never_asked_for_has_no_times() -> None:
    assert History(service("web"))["web"].times is None


def test_a_start_is_asked_for_begun_made_and_ready() -> None:
    history = begun(service("db"), service("web", "db"))
    history.later(1)
    history.spawned("db")
    history.later(2)

    history.ready("db")
    history.later(3)
    history.spawned("web")

    assert history["db"].times == StartTimes(asked=100, begun=100, spawned=101, ready=103, tries=1)
    assert history["web"].times == StartTimes(asked=100, begun=103, spawned=106, tries=1)


def test_a_start_begins_at_the_very_time_at_which_the_last_of_its_needs_is_ready() -> None:
    history = begun(service("db"), service("cache"), service("web", "db", "cache"))
    history.later(1)
    history.up("cache")
    history.later(1)
    history.up("db")

    web, db = history["web"].times, history["db"].times
    assert web
    assert db
    assert web.begun == db.ready == 102


def test_a_configuration_test_comes_after_the_begin_and_before_the_process() -> None:
    history = begun(service("web", check=CHECK))
    history.later(2)
    history.checked("web")
    history.spawned("web")

    assert history["web"].times == StartTimes(asked=100, begun=100, spawned=102, tries=1)


def test_without_a_probe_it_is_ready_when_its_process_is_made() -> None:
    history = begun(service("web", ready=None))
    history.later(1)
    history.spawned("web")

    assert history["web"].times == StartTimes(asked=100, begun=100, spawned=101, ready=101, tries=1)


def test_a_task_is_ready_when_it_is_done() -> None:
    history = begun(service("migrate", type="task", ready=None))
    history.spawned("migrate")
    history.later(4)
    history.exited("migrate", 0)

    assert history["migrate"].times == StartTimes(asked=100, begun=100, spawned=100, ready=104, tries=1)


def test_what_comes_later_does_not_change_when_it_was_ready() -> None:
    history = running()
    before = history["web"].times
    history.later(7)

    history.tell(ev.AliveMissed(service="web", run=1, answer="no"))
    history.ask("stop", "web")
    history.exited("web", 0)

    assert history["web"].state is State.STOPPED
    assert history["web"].times == before


def test_a_crash_makes_a_new_start() -> None:
    history = running()
    history.later(50)

    history.exited("web")

    assert history["web"].times == StartTimes(asked=150, begun=150, tries=1)


def test_tries_that_fail_belong_to_the_start_that_they_are_tries_of() -> None:
    history = begun(service("web", **SLOWLY))
    history.spawned("web")
    history.exited("web")  # the first failure is repaired at once
    history.spawned("web")
    history.exited("web")
    history.later(5)

    assert history["web"].times == StartTimes(asked=100, begun=105, tries=3)
    history.up("web")
    history.later(5)
    history.exited("web")
    history.later(10)
    assert history["web"].times == StartTimes(asked=120, begun=120, tries=1)


def test_a_start_by_hand_is_another_one() -> None:
    history = begun(service("web", **SLOWLY))
    history.exited("web")
    history.exited("web")
    history.later(1)

    history.ask("start", "web")

    assert history["web"].times == StartTimes(asked=101, begun=101, tries=1)


def test_a_run_beside_the_present_one_has_times_of_its_own_and_brings_them_along() -> None:
    history = running(**HELD)
    present = history["web"].times
    history.later(10)
    history.ask("restart", "web")
    history.later(1)
    history.spawned("web", 2000, run=2)
    assert history["web"].times == present
    history.later(2)

    history.ready("web", run=2)

    assert history["web"].times == StartTimes(asked=110, begun=110, spawned=111, ready=113, tries=1)


def test_a_run_that_was_to_be_beside_one_that_ended_goes_on_with_its_times() -> None:
    history = running(**HELD)
    history.later(10)
    history.ask("restart", "web")
    history.spawned("web", 2000, run=2)
    history.later(1)

    history.exited("web", run=1)

    assert history["web"].state is State.STARTING
    assert history["web"].times == StartTimes(asked=110, begun=110, spawned=110, tries=1)
    history.later(1)
    history.ready("web", run=2)
    assert history["web"].times == StartTimes(asked=110, begun=110, spawned=110, ready=112, tries=1)


def test_a_run_that_does_not_get_ready_leaves_the_times_of_the_present_one() -> None:
    history = running(**HELD)
    present = history["web"].times
    history.ask("restart", "web")
    history.spawned("web", 2000, run=2)

    history.exited("web", run=2)

    assert history["web"].times == present


def test_what_refused_to_stop_and_is_wanted_again_starts_without_a_new_process() -> None:
    history = running(stop_refusal="busy")
    history.ask("stop", "web")
    history.tell(ev.StopRefused(service="web", run=1, evidence=("busy",)))
    history.later(5)

    history.ask("start", "web")
    assert history["web"].times == StartTimes(asked=105, begun=105)
    history.later(1)
    history.ready("web")

    assert history["web"].times == StartTimes(asked=105, begun=105, ready=106)


def test_the_next_stackd_knows_how_the_start_went() -> None:
    history = running()
    before = history["web"].times
    history.later(100)

    history.die(web={1})

    assert history["web"].adopted
    assert history["web"].times == before


def test_what_the_next_stackd_did_not_see_is_not_made_up() -> None:
    history = begun(service("web"))
    history.later(1)
    history.die(web={1})
    history.later(1)

    history.ready("web")

    assert history["web"].times == StartTimes(asked=100, begun=100, ready=102, tries=1)
