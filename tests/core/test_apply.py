"""A changed configuration is applied: only what differs is touched, as the plan says."""

from __future__ import annotations

from typing import TypeVar

import msgspec
import pytest

from supervisor_stack.core import actions as do
from supervisor_stack.core import events as ev
from supervisor_stack.core.graph import Graph
from supervisor_stack.core.plan import Plan
from supervisor_stack.core.state import State
from supervisor_stack.errors import RefusedError
from supervisor_stack.spec import Address, Backoff, CheckReport, Hold, Log, ProbeSpec, ServiceSpec, Watch
from tests.core.histories import ADDRESS, CHECK, HELD, History, service

Changed = TypeVar("Changed", ServiceSpec, ProbeSpec)


def changed(spec: Changed, **keys: object) -> Changed:
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

    assert history.apply(DB, APP, WEB) == Plan(())
    assert history.orders == []


def test_a_new_service_starts_after_what_it_needs() -> None:
    history = running()

    plan = history.apply(DB, APP, WEB, service("worker", "db"))

    assert plan.named("added") == plan.with_effect("start") == ("worker",)
    assert history.spawns() == ["worker"]
    assert history.asked() == []


def test_a_removed_service_stops_and_is_forgotten() -> None:
    history = running()

    plan = history.apply(DB, APP)

    assert plan.named("removed") == plan.with_effect("stop") == ("web",)
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

    assert plan.named("changed") == plan.with_effect("restart") == ("app",)
    assert history.asked() == [("app", "TERM")]
    history.exited("app", 0)
    history.up("app")
    assert (history["app"].run, history["app"].failures) == (2, 0)


def test_a_changed_policy_is_taken_up_without_a_new_run() -> None:
    history = running()

    plan = history.apply(DB, changed(APP, backoff=Backoff(initial=9.0)), WEB)

    assert plan.named("changed") == plan.with_effect("none") == ("app",)
    assert history.orders == []
    assert history["app"].spec.backoff.initial == 9.0


def test_where_a_log_goes_needs_a_new_run_and_how_it_is_rotated_does_not() -> None:
    history = running()

    plan = history.apply(DB, changed(APP, log=Log(max_bytes=1000, keep=1)), WEB)
    assert plan.with_effect("none") == ("app",)
    assert history.orders == []
    plan = history.apply(DB, changed(APP, log=Log(to="null")), WEB)
    assert plan.with_effect("restart") == ("app",)


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
    history = running()

    plan = history.apply(DB, changed(APP, requires=()), WEB)

    assert plan.with_effect("none") == ("app",)
    assert history.orders == []
    assert history.stack.graph.before["app"] == ()


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


# How an operation ends that applies a configuration.


def test_it_waits_for_what_starts_stops_and_restarts_and_for_nobody_else() -> None:
    history = running()

    history.apply(DB, changed(APP, argv=("app", "--new")), service("worker"))
    op = history.op

    assert history.finished.get(op, {}) == {}
    history.exited("web", 0)
    history.up("worker")
    history.exited("app", 0)
    assert history.finished[op] == {"web": "", "worker": ""}
    history.up("app")
    assert history.finished[op] == {"web": "", "worker": "", "app": ""}


def test_a_removed_service_that_is_down_already_ends_it_at_once() -> None:
    history = History(DB)

    history.apply()

    assert history.finished[history.op] == {"db": ""}
    assert history.archive == {"db": None}


def test_a_new_command_that_does_not_work_fails_it_and_is_tried_on() -> None:
    history = running()
    history.apply(DB, changed(APP, argv=("app", "--wrong")), WEB)
    history.exited("app", 0)

    history.spawned("app")
    history.exited("app", 2)
    history.spawned("app")
    history.exited("app", 2)

    assert history.finished[history.op] == {"app": "exit status 2"}
    assert history["app"].state is State.BACKOFF


# A second one, while the first one is on its way, or has not come through.


def test_a_second_one_in_the_middle_of_a_restart_finds_nothing_to_do() -> None:
    history = running()
    new = changed(APP, argv=("app", "--new"))
    history.apply(DB, new, WEB)

    assert history.apply(DB, new, WEB) == Plan(())
    history.exited("app", 0)
    history.up("app")
    assert history.apply(DB, new, WEB) == Plan(())
    assert history["app"].run == 2


def test_a_second_one_while_a_successor_begins_finds_nothing_to_do() -> None:
    history = held()
    history.apply(service("web", **HELD, env={"A": "1"}))

    assert history.apply(service("web", **HELD, env={"A": "1"})) == Plan(())
    history.up_as("web", 2)
    assert history["web"].state is State.RUNNING
    assert history.apply(service("web", **HELD, env={"A": "1"})) == Plan(())


def test_a_removed_service_on_its_way_out_is_no_difference_any_more() -> None:
    history = running()
    history.apply(DB, APP)

    assert history.apply(DB, APP) == Plan(())


def held() -> History:
    """One service whose runs hand over to each other, running."""
    history = History(service("web", **HELD))
    history.ask("start", "web")
    history.up("web")
    return history


def test_what_did_not_come_up_beside_the_present_run_is_tried_again() -> None:
    history = held()
    new = service("web", **HELD, env={"A": "1"})
    history.apply(new)
    history.spawned("web", 2000, run=2)
    history.exited("web", 1, run=2)
    assert history.finished[history.op] == {"web": "exit status 1"}
    assert (history["web"].run, history["web"].pid) == (1, 1000)

    plan = history.apply(new)

    (change,) = plan.changes
    assert [key.key for key in change.keys] == ["env.A"]
    assert change.why.startswith("restarts: its present run was made before env.A changed; the new run takes")
    history.up_as("web", 3)
    assert history.finished[history.op] == {"web": ""}
    assert history.apply(new) == Plan(())


def test_that_it_did_not_come_up_outlives_stackd() -> None:
    history = held()
    new = service("web", **HELD, env={"A": "1"})
    history.apply(new)
    history.spawned("web", 2000, run=2)
    history.exited("web", 1, run=2)

    orders = history.die(web={1})

    assert history["web"].state is State.RELOADING
    assert any(isinstance(order, do.Spawn) and order.run == 3 for order in orders)


def test_to_go_back_to_what_still_runs_restarts_nothing() -> None:
    history = held()
    history.apply(service("web", **HELD, env={"A": "1"}))
    history.spawned("web", 2000, run=2)
    history.exited("web", 1, run=2)

    plan = history.apply(service("web", **HELD))

    assert plan.changes[0].why == "nothing restarts: its present run was made with env.A as it is now"
    assert history["web"].state is State.RUNNING
    assert history["web"].runs_as is None


def test_to_go_back_while_the_successor_begins_replaces_that_too() -> None:
    history = held()
    history.apply(service("web", **HELD, env={"A": "1"}))

    assert history.apply(service("web", **HELD)).with_effect("restart") == ("web",)
    history.up_as("web", 2)
    history.up_as("web", 3)
    assert history["web"].run == 3


# What comes back before it is gone.


def test_a_removed_service_that_comes_back_otherwise_gets_a_new_run() -> None:
    history = running()
    history.apply(DB)  # app waits for web to leave

    plan = history.apply(DB, changed(APP, argv=("app", "--new")))

    assert plan.named("added") == ("app",)
    history.exited("web", 0)
    history.exited("app", 0)
    history.up("app")
    assert (history["app"].run, history["app"].spec.argv) == (2, ("app", "--new"))
    assert history.finished[history.op] == {"app": ""}


def test_a_removed_service_that_comes_back_as_it_was_just_stays() -> None:
    history = running()
    history.apply(DB)

    history.apply(DB, APP)
    history.exited("web", 0)

    assert (history["app"].state, history["app"].run) == (State.RUNNING, 1)
    assert history.finished[history.op] == {"app": ""}


def test_a_removed_service_that_comes_back_without_autostart_goes_on_leaving() -> None:
    history = running()
    history.apply(DB, APP)

    history.apply(DB, APP, changed(WEB, autostart=False, argv=("web", "--new")))
    history.exited("web", 0)

    assert history["web"].state is State.STOPPED


# What failed before, and what is needed.


def test_a_failed_service_is_tried_when_its_command_changes() -> None:
    history = History(changed(DB, restart="never"))
    history.ask("start", "db")
    history.spawned("db")
    history.exited("db", 1)
    assert history["db"].state is State.FAILED

    plan = history.apply(changed(DB, restart="never", argv=("db", "--right")))

    assert plan.with_effect("start") == ("db",)
    assert history["db"].state is State.STARTING


def test_what_starts_takes_what_it_needs_along() -> None:
    history = running()
    history.ask("stop", "web")
    history.exited("web", 0)

    plan = history.apply(DB, APP, WEB, service("worker", "web"))

    assert plan.named("unchanged") == ("web",)
    assert plan.with_effect("start") == ("web", "worker")
    assert history["web"].state is State.STARTING


def test_what_restarts_and_needs_something_new_takes_that_along() -> None:
    history = running()

    plan = history.apply(
        DB,
        changed(APP, argv=("app", "--new"), requires=("db", "redis")),
        WEB,
        service("redis", autostart=False),
    )

    assert plan.with_effect("start") == ("redis",)
    assert history["redis"].state is State.STARTING


# What is asked and what is watched.


def test_what_runs_and_needs_something_new_takes_that_along_or_it_could_not_come_back() -> None:
    history = running()

    plan = history.apply(DB, APP, changed(WEB, requires=("app", "cache")), service("cache", autostart=False))

    assert plan.with_effect("start") == ("cache",)
    assert history.spawns() == ["cache"]
    assert history["web"].state is State.RUNNING


def test_what_a_test_told_of_another_server_is_forgotten() -> None:
    nginx = service("web", kind="nginx", config="/etc/a.conf", check=CHECK, hold=Hold(lend="nginx"))
    history = History(nginx)
    history.ask("start")
    history.checked("web", report=CheckReport(addresses=(ADDRESS,), hold=(ADDRESS,)))
    history.up("web")
    history.apply(changed(nginx, start_timeout=5.0))
    assert history["web"].addresses == (ADDRESS,)

    history.apply(service("web"))

    assert history["web"].report is None
    assert history["web"].addresses == ()


def probed(**keys: object) -> History:
    """One service with an address, running."""
    history = History(changed(service("db", addresses=(ADDRESS,)), **keys))
    history.ask("start", "db")
    history.up("db")
    history.orders.clear()
    return history


ALIVE = ProbeSpec(type="tcp", address=ADDRESS)


def test_a_running_service_is_asked_by_its_new_alive_probe_and_old_misses_do_not_count() -> None:
    history = probed(alive=ALIVE)
    history.tell(ev.AliveMissed(service="db", run=1, answer="silence"))

    plan = history.apply(changed(history["db"].spec, alive=changed(ALIVE, interval=9.0)))

    assert plan.with_effect("none") == ("db",)
    assert history.orders == [do.WatchAlive(service="db", run=1, address=ADDRESS)]
    assert (history["db"].missed, history["db"].reason) == (0, "")


def test_an_alive_probe_that_is_taken_away_is_asked_no_more() -> None:
    history = probed(alive=ALIVE)

    history.apply(changed(history["db"].spec, alive=None))

    assert history.orders == [do.StopProbe(service="db")]


def test_an_alive_probe_that_asks_where_the_ready_probe_does_follows_it() -> None:
    elsewhere = Address(host="127.0.0.1", port=81)
    history = probed(alive=ProbeSpec(type="tcp"), ready=ProbeSpec(type="tcp", address=ADDRESS))

    history.apply(changed(history["db"].spec, ready=ProbeSpec(type="tcp", address=elsewhere)))

    assert history.orders == [do.WatchAlive(service="db", run=1, address=elsewhere)]


def test_a_starting_service_is_asked_by_its_new_ready_probe() -> None:
    history = History(DB)
    history.ask("start", "db")
    history.spawned("db")
    history.orders.clear()

    plan = history.apply(changed(DB, ready=ProbeSpec(type="tcp", address=ADDRESS)))

    assert plan.changes[0].why == "nothing restarts: ready.address, ready.type are taken up at once"
    assert history.orders == [do.StartProbe(service="db", run=1, address=ADDRESS)]


def test_a_starting_service_whose_ready_probe_is_taken_away_is_ready() -> None:
    history = History(DB)
    history.ask("start", "db")
    history.spawned("db")

    history.apply(changed(DB, ready=None))

    assert history["db"].state is State.RUNNING


def test_a_starting_service_that_is_to_tell_when_it_is_ready_has_to_be_told_where() -> None:
    history = History(changed(DB, ready=ProbeSpec(type="tcp", address=ADDRESS)))
    history.ask("start", "db")
    history.spawned("db")

    assert history.apply(DB).with_effect("restart") == ("db",)
    history.exited("db", 0)
    assert history.spawns() == ["db", "db"]


def test_a_successor_is_asked_by_the_new_ready_probe() -> None:
    history = held()
    history.ask("restart", "web")
    history.spawned("web", 2000, run=2)
    history.orders.clear()

    history.apply(service("web", **HELD | {"ready": ProbeSpec(type="http")}))

    assert history.orders == [do.StartProbe(service="web", run=2, beside=True)]


def test_the_new_files_are_watched_at_once_and_those_of_before_no_more() -> None:
    history = probed(watch=Watch(paths=("/etc/db.conf",)))

    history.apply(changed(history["db"].spec, watch=Watch(paths=("/etc/other.conf",), debounce=1.0)))
    assert history.orders == [do.WatchFiles(service="db", files=("/etc/other.conf",), debounce=1.0)]
    history.apply(changed(history["db"].spec, watch=None))
    assert history.orders[1:] == [do.WatchFiles(service="db", files=())]


def test_a_service_that_listens_elsewhere_by_its_own_file_is_not_asked_there_but_restarted() -> None:
    history = probed(alive=ALIVE, config="/etc/db.conf")
    elsewhere = Address(host="127.0.0.1", port=81)

    plan = history.apply(
        changed(history["db"].spec, addresses=(elsewhere,), alive=changed(ALIVE, address=elsewhere))
    )

    (change,) = plan.changes
    assert (change.effect, change.why) == ("restart", "restarts: config changed")
    assert change.keys[-1][:3] == ("config", "listens at [127.0.0.1:80]", "listens at [127.0.0.1:81]")


def test_a_run_that_could_not_be_beside_another_one_ends_before_the_next() -> None:
    alone = Hold(lend="address", addresses=(ADDRESS,))
    history = History(service("web", **HELD | {"hold": alone}))
    history.ask("start", "web")
    history.up("web")

    assert history.apply(service("web", **HELD)).changes[0].hard
    assert history["web"].state is State.STOPPING


def test_services_are_told_of_in_the_order_of_the_file_also_of_a_changed_one() -> None:
    history = History()
    history.apply(service("web", "db"), service("db"))
    assert list(history.states()) == ["web", "db"]

    history.apply(service("a"), service("db"), service("z"))

    assert list(history.states()) == ["a", "db", "z"]


def test_what_was_removed_and_is_on_its_way_out_is_not_started_again() -> None:
    history = History(service("a"), service("b"))
    history.ask("start", "a", "b")
    history.up("a", "b")
    history.apply(service("b"))

    for verb in ("start", "restart"):
        with pytest.raises(RefusedError, match=f"cannot {verb} a: not part of the configuration any more"):
            history.ask(verb, "a")
    history.ask("restart")
    history.exited("a", 0)

    assert set(history.states()) == {"b"}


def test_a_change_that_is_taken_back_while_its_run_comes_up_is_still_known() -> None:
    before, other = service("web", **HELD), changed(service("web", **HELD), argv=("web", "other"))
    history = History(before)
    history.ask("start", "web")
    history.up("web")
    history.apply(other)
    history.spawned("web", 2000, run=2)
    history.apply(before)
    history.ready("web", run=2)
    history.tell(ev.SpawnFailed(service="web", run=3, reason="no"))

    assert (history["web"].run, history["web"].state) == (2, State.RUNNING)
    assert [change.service for change in history.stack.plan([before]).changes] == ["web"]
    assert history.finished[3]["web"], "the run that was asked for did not come"


# The graph of a stack that gets smaller.


def test_a_graph_that_forgets_is_that_of_the_others() -> None:
    specs = [DB, APP, WEB, service("worker", "db", wants=("app",))]
    graph = Graph(specs)

    graph.forget("web")
    graph.forget("worker")

    assert vars(graph) == vars(Graph([DB, APP]))


def test_a_graph_may_forget_what_others_need() -> None:
    graph = Graph([DB, APP])

    graph.forget("db")

    assert vars(graph) == vars(Graph([changed(APP, requires=())]))
