"""stackd dies, and another one goes on with what was written down."""

from __future__ import annotations

import msgspec
import pytest

from supervisor_stack.core import actions as do
from supervisor_stack.core.stack import Stack
from supervisor_stack.core.state import State
from supervisor_stack.spec import Backoff, CheckReport, Reload
from tests.core.histories import ADDRESS, CHECK, HELD, PROBE, History, service


def ran(name: str = "a", **keys: object) -> History:
    """A service that has become ready, known to the next stackd as such."""
    history = History(service(name, **keys))
    history.ask("start", name)
    history.up(name)
    return history


def test_what_runs_goes_on_with_the_same_run_and_is_not_made_again() -> None:
    history = ran(alive=PROBE)
    history.exited("a")
    history.up("a")
    before = history["a"]

    orders = history.die(a={2})

    assert orders == [do.WatchAlive(service="a", run=2)]
    assert history["a"] == msgspec.structs.replace(before, adopted=True)
    assert (before.run, before.restarts, before.failures) == (2, 1, 1)


def test_the_next_run_is_not_adopted() -> None:
    history = ran()
    history.die(a={1})

    history.exited("a", code=None)
    history.up("a")

    assert (history["a"].run, history["a"].adopted) == (2, False)


def test_what_died_meanwhile_is_started_again() -> None:
    history = ran()

    history.die()

    assert history.spawns() == ["a", "a"]
    assert history["a"].restarts == 1
    assert history["a"].exits[0].reason == "ended, exit status unknown (an earlier stackd had started it)"


def test_the_end_of_an_adopted_process_counts_as_a_failure_where_only_those_are_restarted() -> None:
    history = ran(restart="on-failure")
    history.die(a={1})

    history.exited("a", code=None)

    assert history.spawns() == ["a", "a"]


def test_a_task_of_which_the_end_was_not_seen_runs_again() -> None:
    history = History(service("a", type="task", restart="on-failure", ready=None))
    history.ask("start", "a")
    history.spawned("a")

    history.die()

    assert history.spawns() == ["a", "a"]


def test_a_process_that_was_made_and_not_written_down_is_asked_whether_it_is_ready() -> None:
    history = History(service("a"))
    history.ask("start", "a")

    assert history.die(a={1}) == [do.StartProbe(service="a", run=1)]
    history.ready("a")
    assert history["a"].state is State.RUNNING


def test_a_process_that_was_ordered_and_not_made_is_made_once() -> None:
    history = History(service("a"))
    history.ask("start", "a")

    history.die()

    assert history.spawns() == ["a", "a"]
    assert history["a"].run == 2


def test_a_start_under_way_gets_its_whole_time_again() -> None:
    history = History(service("a", start_timeout=60.0))
    history.ask("start", "a")
    history.spawned("a")
    history.now += 59.0

    history.die(a={1})
    history.later(59.0)

    assert history["a"].state is State.STARTING


def test_dependents_wait_for_what_died_meanwhile() -> None:
    history = History(service("db"), service("app", "db"))
    history.ask("start", "db", "app")
    history.up("db")

    history.die()  # db was ready, and app was about to be made

    assert history.states() == {"app": State.WAITING, "db": State.STARTING}


def test_a_stop_under_way_is_ordered_again_and_comes_to_its_end() -> None:
    history = ran(stop_timeout=10.0)
    history.ask("stop", "a")

    assert history.die(a={1}) == [do.AskToLeave(service="a", run=1, signal="TERM")]
    history.exited("a", code=None)

    assert (history["a"].state, history["a"].reason) == (State.STOPPED, "")


def test_a_stop_that_was_done_while_nobody_looked_is_done() -> None:
    history = ran()
    history.ask("stop", "a")

    history.die()

    assert history["a"].state is State.STOPPED


def test_what_was_stopped_stays_stopped() -> None:
    history = ran()
    history.ask("stop", "a")
    history.exited("a", code=0)

    history.die()

    assert history["a"].state is State.STOPPED


def test_a_kill_under_way_is_ordered_again() -> None:
    history = ran(stop_timeout=10.0)
    history.ask("stop", "a")
    history.later(10.0)

    assert history.die(a={1}) == [do.Sweep(service="a", run=1)]


def test_backoff_goes_on_to_its_deadline() -> None:
    history = History(service("a", backoff=Backoff(initial=5.0)))
    history.ask("start", "a")
    for _ in range(2):
        history.spawned("a")
        history.exited("a")

    history.die()
    assert history["a"].state is State.BACKOFF
    history.later(4.9)
    assert history["a"].state is State.BACKOFF
    history.later(0.1)

    assert (history["a"].state, history["a"].failures) == (State.STARTING, 2)


def test_a_reload_begins_anew_with_its_test() -> None:
    history = ran(check=CHECK, reload=Reload(signal="HUP"))
    history.checked("a")
    history.up("a")
    history.ask("reload", "a")
    history.checked("a")  # the signal was sent, and the verdict not seen

    assert history.die(a={1}) == [do.RunCheck(service="a", run=1)]
    assert history["a"].state is State.RELOADING


def test_a_successor_that_was_asked_is_asked_on() -> None:
    history = ran(**HELD)
    history.ask("restart", "a")
    history.spawned("a", 2000, run=2)

    orders = history.die(a={1, 2})
    history.ready("a", run=2)

    assert [order for order in orders if isinstance(order, do.StartProbe)] == [
        do.StartProbe(service="a", run=2, beside=True)
    ]
    assert (history["a"].run, history["a"].others, history["a"].adopted) == (2, (1,), True)


def test_a_successor_that_was_not_made_is_made() -> None:
    history = ran(**HELD)
    history.ask("restart", "a")

    history.die(a={1})

    assert history.spawns() == ["a", "a", "a"]
    assert (history["a"].run, history["a"].successor and history["a"].successor.run) == (1, 2)


def test_a_successor_that_died_meanwhile_leaves_the_present_run() -> None:
    history = ran(**HELD)
    history.ask("restart", "a")
    history.spawned("a", 2000, run=2)

    history.die(a={1})

    assert (history["a"].state, history["a"].run, history["a"].ready) == (State.RUNNING, 1, True)
    assert history["a"].rejected.startswith("ended, exit status unknown")


def test_what_served_while_the_next_run_started_is_retired_when_that_is_ready() -> None:
    history = ran(**HELD)
    history.exited("a", leftovers=2)
    history.spawned("a")

    history.die(a={2})
    assert not history.ordered(do.Retire)
    history.ready("a")

    assert [order.run for order in history.ordered(do.Retire) if isinstance(order, do.Retire)] == [1]


def test_a_service_that_is_not_in_the_configuration_any_more_is_stopped_and_forgotten() -> None:
    history = ran()
    history.specs = ()

    orders = history.die(a={1})
    assert do.AskToLeave(service="a", run=1, signal="TERM") in orders
    history.exited("a", code=None)

    assert history.stack.services == {}
    assert history.archive == {"a": None}


def test_a_changed_command_gets_a_new_run() -> None:
    history = ran()
    history.specs = (msgspec.structs.replace(service("a"), argv=("other",)),)

    history.die(a={1})
    history.exited("a", code=None)

    assert history.spawns() == ["a", "a"]
    assert history["a"].spec.argv == ("other",)


@pytest.mark.parametrize("state", ["failed", "exited"])
def test_what_came_to_its_end_stays_there(state: str) -> None:
    history = ran(restart="never" if state == "failed" else "on-failure")
    history.exited("a", code=1 if state == "failed" else 0)

    history.die()

    assert history["a"].state == state
    assert history.spawns() == ["a"]


def test_what_is_ordered_is_written_down_before() -> None:
    history = History(service("a"))
    actions = history.stack.start(1, ["a"], history.now).actions

    kinds = [type(action) for action in actions]
    assert kinds.index(do.Remember) < kinds.index(do.Spawn)


def test_what_a_shutdown_that_was_cut_short_has_stopped_starts_again_in_one_go() -> None:
    history = ran()
    history.shut_down()
    history.exited("a", code=0)
    record = history.archive["a"]
    assert record
    assert not record.wanted

    stack = Stack((), lambda: 0.0, history.now)
    stack.recall([record])
    actions = stack.apply(1, history.specs, history.now, (), ["a"])[1].actions

    # Whatever is written down first says already that it is wanted.
    written = [action.record for action in actions if isinstance(action, do.Remember)]
    assert [record and record.wanted for record in written] == [True]
    assert stack.services["a"].state is State.STARTING


def test_a_service_at_rest_lets_its_sockets_go_and_what_was_found_of_it() -> None:
    history = ran(**HELD)
    history.ask("stop", "a")
    history.exited("a", code=0)
    record = history.archive["a"]
    assert record
    history.archive["a"] = msgspec.structs.replace(record, others=(1,))

    orders = history.die()

    assert do.ReleaseSockets(service="a") in orders
    assert do.Sweep(service="a", run=1) in orders
    history.gone("a")
    assert history["a"].state is State.STOPPED


def test_what_is_left_of_a_database_goes_before_its_next_run() -> None:
    history = History(service("a", backoff=Backoff(initial=5.0)))
    history.ask("start", "a")
    for _ in range(2):
        history.spawned("a")
        history.exited("a")
    record = history.archive["a"]
    assert record
    history.archive["a"] = msgspec.structs.replace(record, others=(2,))

    assert do.Sweep(service="a", run=2) in history.die()
    history.gone("a")

    assert history["a"].state is State.STARTING


def test_where_an_adopted_service_listens_is_asked_of_its_test_when_nobody_knows() -> None:
    history = History(service("a", check=CHECK))
    history.ask("start", "a")
    history.checked("a", report=CheckReport(addresses=(ADDRESS,)))
    record = history.archive["a"]
    assert record
    history.archive["a"] = msgspec.structs.replace(record, report=None)

    assert history.die(a={1}) == [do.RunCheck(service="a", run=1)]
    orders = history.checked("a", report=CheckReport(addresses=(ADDRESS,)))

    assert orders == [do.StartProbe(service="a", run=1, address=ADDRESS)]
    assert history.spawns() == ["a"]
