"""A changed specification: only what differs is touched."""

from __future__ import annotations

import msgspec

from supervisor_stack.core.plan import Plan, compare
from supervisor_stack.core.state import State
from supervisor_stack.spec import Backoff, Log, ServiceSpec
from tests.core.histories import History, service


def changed(spec: ServiceSpec, **keys: object) -> ServiceSpec:
    return msgspec.structs.replace(spec, **keys)


DB, APP, WEB = service("db"), service("app", "db"), service("web", "app")


def running() -> History:
    history = History(DB, APP, WEB)
    history.ask("start")
    history.up("db", "app", "web")
    history.orders.clear()
    return history


def test_the_same_again_touches_nothing() -> None:
    history = running()

    assert history.apply(DB, APP, WEB) == Plan((), (), (), ())
    assert history.orders == []


def test_a_new_service_starts_after_what_it_needs() -> None:
    history = running()

    plan = history.apply(DB, APP, WEB, service("worker", "db"))

    assert plan.added == ("worker",)
    assert history.spawns() == ["worker"]
    assert history.asked() == []


def test_a_removed_service_stops_and_is_forgotten() -> None:
    history = running()

    plan = history.apply(DB, APP)

    assert plan.removed == ("web",)
    assert history.asked() == [("web", "TERM")]
    history.exited("web", 0)
    assert set(history.states()) == {"db", "app"}
    assert history.stack.state == "running"


def test_removed_services_go_down_in_their_old_order() -> None:
    history = running()

    history.apply(DB)
    assert history.asked() == [("web", "TERM")]
    history.exited("web", 0)

    assert history.asked() == [("web", "TERM"), ("app", "TERM")]
    history.exited("app", 0)
    assert set(history.states()) == {"db"}


def test_a_changed_command_gets_a_new_run_and_nobody_else_does() -> None:
    history = running()

    plan = history.apply(DB, changed(APP, argv=("app", "--new")), WEB)

    assert plan.changed == ("app",)
    assert history.asked() == [("app", "TERM")]
    history.exited("app", 0)
    history.up("app")
    assert (history["app"].run, history["app"].failures) == (2, 0)


def test_a_changed_policy_is_taken_up_without_a_new_run() -> None:
    history = running()

    plan = history.apply(DB, changed(APP, backoff=Backoff(initial=9.0)), WEB)

    assert plan.retuned == ("app",)
    assert history.orders == []
    assert history["app"].spec.backoff.initial == 9.0


def test_where_a_log_goes_needs_a_new_run_and_how_it_is_rotated_does_not() -> None:
    history = running()

    assert history.apply(DB, changed(APP, log=Log(max_bytes=1000, keep=1)), WEB).retuned == ("app",)
    assert history.orders == []
    assert history.apply(DB, changed(APP, log=Log(to="null")), WEB).changed == ("app",)


def test_a_stopped_service_that_changes_stays_stopped() -> None:
    history = History(DB)

    history.apply(changed(DB, argv=("db", "--new")))

    assert history["db"].state is State.STOPPED


def test_a_service_that_is_removed_and_comes_back_at_once_is_wanted_again() -> None:
    history = running()
    history.apply(DB, APP)

    history.apply(DB, APP, WEB)
    history.exited("web", 0)
    history.up("web")

    assert history["web"].run == 2


def test_changes_of_the_order_count_for_what_starts_later() -> None:
    plan = compare({"app": APP}, [changed(APP, requires=())])

    assert plan.retuned == ("app",)


def test_a_change_does_not_start_what_was_just_told_to_stop() -> None:
    history = running()
    history.ask("stop", "web")

    history.apply(DB, APP, changed(WEB, argv=("web", "--new")))
    history.exited("web", 0)

    assert history["web"].state is State.STOPPED


def test_an_operation_on_a_service_that_is_removed_comes_to_its_end() -> None:
    history = running()
    op = history.ask("stop", "web")

    history.apply(DB, APP)
    history.exited("web", 0)

    assert history.finished[op] == {"web": ""}
