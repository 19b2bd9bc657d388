"""Order is readiness: who starts and stops when."""

from __future__ import annotations

import pytest

from supervisor_stack.core import actions as do
from supervisor_stack.core import events as ev
from supervisor_stack.core.state import State
from supervisor_stack.errors import RefusedError, UnknownServiceError
from tests.core.histories import CHECK, History, service


def chain() -> History:
    return History(service("db"), service("cache"), service("app", "db", "cache"), service("web", "app"))


def running_chain() -> History:
    history = chain()
    history.ask("start")
    history.up("db", "cache", "app", "web")
    return history


def test_what_needs_nobody_starts_at_once_and_together() -> None:
    history = chain()

    history.ask("start")

    assert history.spawns() == ["cache", "db"]


def test_a_dependent_starts_when_all_that_it_needs_is_ready_and_not_before() -> None:
    history = chain()
    history.ask("start")

    history.spawned("db")
    history.spawned("cache")
    assert history.spawns() == ["cache", "db"]
    history.ready("db")
    assert history.spawns() == ["cache", "db"]
    assert history["app"].reason == "needs cache"
    history.ready("cache")
    assert history.spawns() == ["cache", "db", "app"]


def test_a_start_takes_along_what_the_service_needs_and_nothing_else() -> None:
    history = chain()

    history.ask("start", "app")
    history.up("cache", "db", "app")

    assert history.spawns() == ["cache", "db", "app"]
    assert history["web"].state is State.STOPPED


def test_everything_stops_in_reverse_order_and_waits() -> None:
    history = running_chain()

    history.ask("stop")

    assert history.asked() == [("web", "TERM")]
    history.exited("web", 0)
    assert history.asked() == [("web", "TERM"), ("app", "TERM")]
    history.exited("app", 0)
    assert history.asked()[2:] == [("cache", "TERM"), ("db", "TERM")]


def test_a_service_counts_as_down_when_its_last_process_is_gone() -> None:
    history = running_chain()
    history.ask("stop")

    history.exited("web", 0, leftovers=2)
    assert history["web"].state is State.KILLING
    assert history.asked() == [("web", "TERM")]
    history.gone("web")

    assert history["web"].state is State.STOPPED
    assert history.asked()[-1] == ("app", "TERM")


def test_a_stop_of_what_others_need_is_refused_and_stops_nothing() -> None:
    history = running_chain()

    with pytest.raises(RefusedError, match="cannot stop db: needed by app, web"):
        history.ask("stop", "db")

    assert history.asked() == []


def test_a_cascading_stop_takes_the_dependents_first() -> None:
    history = running_chain()

    op = history.ask("stop", "db", cascade=True)
    for name in ("web", "app", "db"):
        history.exited(name, 0)

    assert [name for name, _ in history.asked()] == ["web", "app", "db"]
    assert history.finished[op] == {"web": "", "app": "", "db": ""}
    assert history["cache"].state is State.RUNNING


def test_a_stop_wins_over_a_start_under_way() -> None:
    history = chain()
    start = history.ask("start", "db")
    history.spawned("db")

    stop = history.ask("stop", "db")
    assert history.asked() == [("db", "TERM")]
    history.ready("db")
    history.exited("db", -15)

    assert history["db"].state is State.STOPPED
    assert history.finished == {start: {"db": "it was stopped meanwhile"}, stop: {"db": ""}}


def test_a_stop_before_the_process_exists_reaches_it_as_soon_as_it_does() -> None:
    history = chain()
    history.ask("start", "db")

    history.ask("stop", "db")
    assert history["db"].state is State.STOPPING
    history.spawned("db")

    assert history.asked() == [("db", "TERM")]


def test_a_stop_during_the_configuration_test_ends_the_test() -> None:
    history = History(service("web", check=CHECK))
    history.ask("start")

    history.ask("stop")
    assert do.StopCheck(service="web") in history.orders
    history.checked("web", ok=False, summary="was stopped")

    assert history["web"].state is State.STOPPED
    assert history.spawns() == []


def test_a_restart_leaves_the_dependents_alone() -> None:
    history = running_chain()

    op = history.ask("restart", "db")
    history.exited("db", 0)
    history.up("db")

    assert history.asked() == [("db", "TERM")]
    assert history["db"].run == 2
    assert history.finished[op] == {"db": ""}


def test_a_cascading_restart_goes_down_and_up_in_order() -> None:
    history = running_chain()

    op = history.ask("restart", "db", cascade=True)
    for name in ("web", "app", "db"):
        history.exited(name, 0)
    assert history.spawns()[4:] == ["db"]
    history.up("db", "app", "web")

    assert [name for name, _ in history.asked()] == ["web", "app", "db"]
    assert history.spawns()[4:] == ["db", "app", "web"]
    assert history.finished[op] == {"db": "", "app": "", "web": ""}


def test_a_wanted_service_is_waited_for_but_may_fail() -> None:
    history = History(service("cache", restart="never"), service("app", wants=("cache",)))
    history.ask("start", "app")

    assert history.spawns() == ["cache"]
    history.exited("cache", 1)

    assert history["cache"].state is State.FAILED
    assert history.spawns() == ["cache", "app"]


def test_after_orders_but_does_not_pull() -> None:
    history = History(service("cache"), service("app", after=("cache",)))
    history.ask("start", "app")
    assert history.spawns() == ["app"]

    history = History(service("cache"), service("app", after=("cache",)))
    history.ask("start")
    assert history.spawns() == ["cache"]


def test_a_task_that_is_done_lets_its_dependents_start() -> None:
    history = History(service("migrate", type="task", ready=None), service("app", "migrate"))
    op = history.ask("start")

    history.spawned("migrate")
    assert history.spawns() == ["migrate"]
    history.exited("migrate", 0)
    history.up("app")

    assert history["migrate"].state is State.EXITED
    assert history.finished[op] == {"migrate": "", "app": ""}


def test_a_task_that_is_done_is_not_run_again_by_a_start_of_others() -> None:
    history = History(service("migrate", type="task", ready=None), service("app", "migrate"))
    history.ask("start")
    history.spawned("migrate")
    history.exited("migrate", 0)
    history.up("app")

    history.ask("stop", "app")
    history.exited("app", 0)
    history.ask("start", "app")

    assert history.spawns() == ["migrate", "app", "app"]


def test_a_dependent_of_what_failed_for_good_says_so_and_comes_when_it_is_back() -> None:
    history = History(service("db", restart="never"), service("app", "db"))
    op = history.ask("start")
    history.exited("db", 1, last_words=("Can't open the file",))

    reason = "needs db (db is failed: exit status 1: Can't open the file)"
    assert history["app"].reason == reason
    assert history.finished[op]["app"] == reason
    assert history.stack.state == "degraded"
    history.ask("start", "db")
    history.up("db", "app")

    assert history.stack.state == "running"


def test_a_dependent_of_what_fails_and_is_tried_again_says_so_at_once_and_comes_after_all() -> None:
    history = History(service("db"), service("app", "db"), service("web", "app"))
    op = history.ask("start", "web")
    for _ in range(2):  # the first failure is tried again at once
        history.exited("db", 1, last_words=("Can't open the file",))

    assert history["db"].state is State.BACKOFF
    reason = "needs db (db fails: exit status 1: Can't open the file)"
    assert history["app"].reason == reason
    assert history.finished[op]["web"] == f"needs app (app is waiting: {reason})"
    history.later(1)
    assert history["app"].reason == "needs db"
    history.up("db", "app", "web")

    assert history.stack.state == "running"


def test_a_start_is_not_given_up_for_a_failure_that_was_before_it() -> None:
    history = History(service("db"), service("app", "db"))
    history.ask("start", "app")
    for _ in range(2):
        history.exited("db", 1)

    op = history.ask("start", "app")  # by hand: db is tried at once
    assert op not in history.finished
    history.up("db", "app")

    assert history.finished[op]["app"] == ""


def test_an_unknown_service_is_refused_before_anything_happens() -> None:
    history = chain()

    with pytest.raises(UnknownServiceError, match="no service `ngnix`"):
        history.ask("start", "db", "ngnix")

    assert history.orders == []


def test_nothing_starts_while_the_stack_shuts_down() -> None:
    history = running_chain()
    history.shut_down()

    with pytest.raises(RefusedError, match="shutting down"):
        history.ask("start", "db")


def test_the_stack_is_finished_when_the_last_service_is_down() -> None:
    history = running_chain()
    history.shut_down()
    for name in ("web", "app", "cache", "db"):
        assert not history.stack.is_finished
        history.exited(name, 0)

    assert history.stack.is_finished


def test_the_state_of_the_stack_follows_its_services() -> None:
    history = History(service("db"), service("app", "db"))
    seen = [history.stack.state]
    history.ask("start")
    seen.append(history.stack.state)
    history.up("db", "app")
    seen.append(history.stack.state)
    history.exited("db", 1)
    seen.append(history.stack.state)
    history.up("db")
    seen.append(history.stack.state)
    history.ask("stop", "app")
    seen.append(history.stack.state)
    history.exited("app", 0)
    seen.append(history.stack.state)
    history.ask("stop", "db")
    seen.append(history.stack.state)
    history.exited("db", 0)
    seen.append(history.stack.state)

    assert seen == ["stopped", "starting", "running", "degraded", "running"] + ["running"] * 2 + [
        "stopping",
        "stopped",
    ]


def test_a_stop_goes_on_when_who_had_to_go_first_is_wanted_again() -> None:
    history = History(service("a"), service("b", after=("a",)), service("c", "b"))
    history.ask("start")
    history.up("a", "b", "c")
    stop = history.ask("stop")
    assert history.asked() == [("c", "TERM")]

    history.ask("start", "b")

    assert ("a", "TERM") in history.asked()
    history.exited("a", 0)
    assert history.finished[stop]["a"] == ""


def test_a_start_of_what_waits_for_a_failed_service_tries_that_one_again_and_waits() -> None:
    history = History(service("a", restart="never"), service("b", "a"))
    history.ask("start")
    history.exited("a", 1)

    op = history.ask("start", "b")
    assert op not in history.finished
    history.up("a", "b")

    assert history.finished[op] == {"b": ""}


def test_a_spawn_that_fails_after_the_stop_was_asked_does_not_start_again() -> None:
    history = History(service("a"), service("b", "a"))
    history.ask("start")
    history.up("a", "b")
    history.exited("a", 1)

    history.ask("stop", "a", cascade=True)
    history.tell(ev.SpawnFailed(service="a", run=2, reason="no memory"))
    history.exited("b", 0)

    assert history.states() == {"a": State.STOPPED, "b": State.STOPPED}
    history.later(100.0)
    assert history["a"].state is State.STOPPED
