"""A restart by a successor, and a crash that leaves somebody who serves on."""

from __future__ import annotations

from typing import Any

from supervisor_stack.core import actions as do
from supervisor_stack.core import events as ev
from supervisor_stack.core.state import State
from supervisor_stack.spec import Address, CheckReport, Hold, Reload, StartLimit
from tests.core.histories import ADDRESS, CHECK, HELD, HOLD, History, service

OTHER = Address(host="127.0.0.1", port=81)


def running(**keys: Any) -> History:
    history = History(service("web", **HELD, **keys))
    history.ask("start", "web")
    history.up("web")
    return history


def running_with_check(**keys: Any) -> History:
    """As nginx: what it listens at is known from its test."""
    hold = Hold(lend="nginx", handover=True, retire_signal="QUIT")
    history = History(service("web", check=CHECK, hold=hold, reload=Reload(signal="HUP"), **keys))
    history.ask("start", "web")
    history.checked("web", report=CheckReport(addresses=(ADDRESS,), hold=(ADDRESS,)))
    history.up("web")
    return history


def test_a_restart_of_a_held_service_begins_a_successor_and_leaves_the_present_run_alone() -> None:
    history = running()

    history.ask("restart", "web")

    spawn = history.orders[-1]
    assert spawn == do.Spawn(service="web", run=2, addresses=(ADDRESS,), hold=(ADDRESS,), beside=True)
    assert (history["web"].state, history["web"].run, history["web"].ready) == (State.RELOADING, 1, True)
    assert history.asked() == []


def test_the_successor_takes_over_when_it_is_ready_and_only_then_the_old_run_is_asked_to_leave() -> None:
    history = running()
    op = history.ask("restart", "web")
    history.spawned("web", 2000, run=2)
    assert op not in history.finished

    orders = history.ready("web", run=2)

    assert (history["web"].state, history["web"].run, history["web"].pid) == (State.RUNNING, 2, 2000)
    retire = do.Retire(service="web", run=1, stop="TERM", orphans="QUIT", timeout=10.0)
    assert retire in orders
    assert history.finished[op] == {"web": ""}


def test_the_end_of_the_old_run_is_no_news_of_the_service() -> None:
    history = running()
    history.ask("restart", "web")
    history.up_as("web", 2)

    history.exited("web", 0, run=1)
    history.tell(ev.GenerationGone(service="web", old=1))

    assert (history["web"].state, history["web"].others) == (State.RUNNING, ())
    assert history["web"].exits[-1].reason == "replaced by run 2"


def test_a_successor_that_ends_is_given_up_and_the_present_run_goes_on() -> None:
    history = running()
    op = history.ask("restart", "web")
    history.spawned("web", run=2)

    orders = history.exited("web", 1, run=2, last_words=("ImportError: no such thing",))

    web = history["web"]
    assert (web.state, web.run, web.pid, web.ready) == (State.RUNNING, 1, 1000, True)
    assert web.rejected == "exit status 1: ImportError: no such thing"
    assert history.finished[op] == {"web": "exit status 1: ImportError: no such thing"}
    assert [order.run for order in orders if isinstance(order, do.Retire)] == [2]


def test_a_successor_that_does_not_get_ready_in_time_is_given_up() -> None:
    history = running(start_timeout=5.0)
    op = history.ask("restart", "web")
    history.spawned("web", run=2)
    history.tell(ev.ProbeFailed(service="web", run=2, answer="answered 503"))

    history.later(5.0)

    assert history.finished[op] == {"web": "not ready within 5 s: answered 503"}
    assert (history["web"].state, history["web"].run) == (State.RUNNING, 1)


def test_a_successor_that_can_never_get_ready_is_not_waited_for() -> None:
    history = running()
    history.ask("restart", "web")
    history.spawned("web", run=2)

    orders = history.tell(ev.ProbeFailed(service="web", run=2, answer="no application", hopeless=True))

    assert do.AskToLeave(service="web", run=2, signal="TERM") in orders
    history.exited("web", 0, run=2, last_words=("ImportError: no such thing",))
    assert history["web"].rejected == "no application: ImportError: no such thing"


def test_files_that_fail_their_test_cost_nothing() -> None:
    history = running_with_check()
    op = history.ask("restart", "web")

    history.checked("web", run=2, ok=False, summary="test failed", evidence=("[emerg] no",))

    assert history["web"].state is State.RUNNING
    assert history.finished[op] == {"web": "test failed"}
    assert len(history.ordered(do.Spawn)) == 1


def test_a_run_number_is_never_given_twice() -> None:
    history = running()
    history.ask("restart", "web")
    history.spawned("web", run=2)
    history.exited("web", run=2)

    history.ask("restart", "web")

    assert history.orders[-1].run == 3  # type: ignore[attr-defined]


def test_a_reload_that_cannot_be_tested_is_made_by_a_successor() -> None:
    history = running(reload=Reload(signal="HUP", by_successor=True))

    op = history.ask("reload", "web")
    history.up_as("web", 2)

    assert history.finished[op] == {"web": ""}
    assert history["web"].run == 2


def test_a_reload_by_a_successor_that_fails_is_told_and_costs_nothing() -> None:
    history = running(reload=Reload(signal="HUP", by_successor=True))

    op = history.ask("reload", "web")
    history.spawned("web", run=2)
    history.exited("web", 22, run=2)

    assert history.finished[op] == {"web": "exit status 22"}
    assert (history["web"].state, history["web"].run) == (State.RUNNING, 1)


def test_the_sockets_of_both_runs_are_held_until_one_is_gone() -> None:
    history = running_with_check()
    history.ask("restart", "web")
    history.checked("web", run=2, report=CheckReport(addresses=(OTHER,), hold=(OTHER,)))
    spawn = history.orders[-1]
    assert isinstance(spawn, do.Spawn)
    assert (spawn.hold, spawn.beside) == ((OTHER,), True)

    orders = history.up_as("web", 2)

    assert do.HoldSockets(service="web", addresses=(OTHER,)) in orders


def test_a_successor_that_is_going_to_listen_where_nothing_can_be_held_has_to_wait_for_the_end() -> None:
    history = running_with_check()
    history.ask("restart", "web")

    history.checked("web", run=2, report=CheckReport(addresses=(ADDRESS, OTHER), hold=(ADDRESS,)))

    assert history["web"].state is State.STOPPING
    assert history.asked() == [("web", "TERM")]


def test_a_hard_restart_ends_the_present_run_first() -> None:
    history = running()

    history.ask("restart", "web", hard=True)

    assert history["web"].state is State.STOPPING
    history.exited("web", 0)
    assert history.spawns() == ["web", "web"]


def test_a_restart_of_a_service_that_is_not_held_ends_it_first() -> None:
    history = History(service("web", hold=HOLD, addresses=(ADDRESS, OTHER)))
    history.ask("start", "web")
    history.up("web")

    history.ask("restart", "web")

    assert history["web"].state is State.STOPPING


def test_a_stop_while_a_successor_is_on_its_way_ends_both() -> None:
    history = running()
    history.ask("restart", "web")
    history.spawned("web", run=2)

    op = history.ask("stop", "web")

    assert history.asked() == [("web", "TERM")]
    assert [order.run for order in history.ordered(do.Retire)] == [2]  # type: ignore[attr-defined]
    history.exited("web", 0)
    assert history["web"].state is State.STOPPING
    history.tell(ev.GenerationGone(service="web", old=2))
    assert history["web"].state is State.STOPPED
    assert history.finished[op] == {"web": ""}


def with_front() -> History:
    history = History(service("web", **HELD), service("front", "web"))
    history.ask("start")
    history.up("web", "front")
    return history


def test_a_successor_is_dismissed_when_the_present_run_dies_while_a_stop_waits() -> None:
    history = with_front()
    history.ask("restart", "web")
    history.spawned("web", 2000, run=2)
    op = history.ask("stop", "web", cascade=True)

    history.exited("web", -9)

    assert history["web"].successor is None
    assert [order.run for order in history.ordered(do.Retire)] == [2]  # type: ignore[attr-defined]
    assert history["web"].state is State.KILLING
    history.gone("web")
    assert history["web"].state is State.STOPPED
    history.exited("front", 0)
    assert history.finished[op] == {"web": "", "front": ""}


def test_a_restart_that_waits_ends_with_the_run_that_it_was_for() -> None:
    history = with_database()
    history.ask("restart", "db")
    op = history.ask("restart", "web")
    assert history["web"].renew

    history.exited("web", -9)
    history.exited("db", 0)
    history.up("db", "web")

    assert history.finished[op] == {"web": ""}
    assert (history["web"].run, history["web"].renew) == (2, False)


def test_workers_serve_on_while_a_run_that_can_never_get_ready_is_ended() -> None:
    history = running()
    history.exited("web", -9, leftovers=4)
    history.spawned("web")
    history.tell(ev.ProbeFailed(service="web", run=2, answer="no application", hopeless=True))

    history.exited("web", 0)

    assert history.ordered(do.Sweep) == []
    assert history["web"].others == (1,)


def test_what_a_run_leaves_that_never_was_ready_is_ended() -> None:
    history = running()
    history.exited("web", -9, leftovers=2)

    history.exited("web", 1, run=2, leftovers=2)

    assert [order.run for order in history.ordered(do.Retire)] == [2]  # type: ignore[attr-defined]


def test_a_wish_to_end_survives_the_failure_of_a_successor() -> None:
    history = with_front()
    history.ask("restart", "web")
    history.spawned("web", run=2)
    history.ask("restart", "web", hard=True, cascade=True)

    history.exited("web", 1, run=2)
    history.exited("front", 0)

    assert history["web"].state is State.STOPPING


def test_files_that_change_under_a_successor_that_fails_are_tried_again() -> None:
    history = running()
    history.ask("restart", "web")
    history.spawned("web", run=2)
    history.tell(ev.FilesChanged(service="web", paths=("/x",)))

    history.exited("web", 1, run=2)

    assert history["web"].successor
    assert history["web"].successor.run == 3


def test_requests_of_the_run_before_are_finished_also_when_a_stop_comes() -> None:
    history = running(stop_timeout=60.0)
    history.ask("restart", "web")
    history.up_as("web", 2)

    op = history.ask("stop", "web")
    history.exited("web", 0)

    assert history["web"].state is State.STOPPING
    assert history.ordered(do.Sweep) == []
    history.tell(ev.GenerationGone(service="web", old=1))
    assert history.finished[op] == {"web": ""}


def test_holding_what_a_run_listens_at_by_itself_takes_its_end_first() -> None:
    history = History(service("web", addresses=(ADDRESS,)))
    history.ask("start", "web")
    history.up("web")

    history.apply(service("web", **HELD))

    assert history["web"].state is State.STOPPING


def test_the_present_run_may_end_while_a_successor_is_on_its_way() -> None:
    history = running()
    op = history.ask("restart", "web")
    history.spawned("web", 2000, run=2)

    history.exited("web", -9, leftovers=2)

    web = history["web"]
    assert (web.state, web.run, web.pid, web.others) == (State.STARTING, 2, 2000, (1,))
    history.ready("web")
    assert history["web"].state is State.RUNNING
    assert history.finished[op] == {"web": ""}


def test_the_present_run_may_end_before_the_successor_has_a_process() -> None:
    history = running_with_check()
    history.ask("restart", "web")

    history.exited("web", -9)
    history.checked("web", report=CheckReport(addresses=(ADDRESS,), hold=(ADDRESS,)))
    history.up("web")

    assert (history["web"].state, history["web"].run) == (State.RUNNING, 2)


def test_a_restart_asked_for_during_a_reload_begins_after_it() -> None:
    history = running_with_check()
    history.ask("reload", "web")

    op = history.ask("restart", "web")

    assert history["web"].renew
    history.checked("web", report=CheckReport(addresses=(ADDRESS,), hold=(ADDRESS,)))
    history.tell(ev.ReloadVerified(service="web", run=1))
    assert (history["web"].state, history["web"].last_run) == (State.RELOADING, 2)
    assert op not in history.finished


def test_workers_that_have_lost_their_master_serve_on_until_the_next_run_is_ready() -> None:
    history = running()

    orders = history.exited("web", -9, leftovers=2)

    assert not any(isinstance(order, do.Sweep) for order in orders)
    assert (history["web"].state, history["web"].others) == (State.STARTING, (1,))
    probe = history.spawned("web")[-1]
    assert isinstance(probe, do.StartProbe)
    assert probe.beside
    assert history.ordered(do.Retire) == []
    history.ready("web")
    assert [order.run for order in history.ordered(do.Retire)] == [1]  # type: ignore[attr-defined]


def test_workers_without_a_master_do_not_outlive_the_last_attempt() -> None:
    history = running(start_limit=StartLimit(burst=1, interval=60.0))

    history.exited("web", -9, leftovers=2)

    assert history["web"].state is State.KILLING
    history.gone("web")
    assert history["web"].state is State.FAILED
    assert do.ReleaseSockets(service="web") in history.orders


def between_two_runs() -> History:
    """The workers of the first one serve on."""
    history = running()
    history.exited("web", -9, leftovers=2)
    history.exited("web", 1, run=2)
    assert (history["web"].state, history["web"].others) == (State.BACKOFF, (1,))
    return history


def test_a_stop_between_two_runs_lets_the_workers_of_the_first_finish() -> None:
    history = between_two_runs()

    op = history.ask("stop", "web")

    assert history["web"].state is State.STOPPING
    assert [order.run for order in history.ordered(do.Retire)] == [1]  # type: ignore[attr-defined]
    assert op not in history.finished
    history.tell(ev.GenerationGone(service="web", old=1))
    assert history["web"].state is State.STOPPED
    assert history.finished[op] == {"web": ""}


def test_workers_that_do_not_finish_are_killed_in_the_end() -> None:
    history = between_two_runs()
    op = history.ask("stop", "web")

    history.later(history["web"].spec.stop_timeout)

    assert history["web"].state is State.KILLING
    history.gone("web")
    assert history.finished[op] == {"web": ""}


def test_a_reset_does_not_make_a_stop_forget_that_the_run_is_over() -> None:
    history = between_two_runs()
    history.ask("stop", "web")
    history.stack.reset(["web"], history.now)

    history.tell(ev.GenerationGone(service="web", old=1))

    assert history["web"].state is State.STOPPED


def test_a_stop_while_the_next_run_starts_lets_the_workers_of_the_first_finish() -> None:
    history = running()
    history.exited("web", -9, leftovers=2)
    history.spawned("web")

    history.ask("stop", "web")

    assert [order.run for order in history.ordered(do.Retire)] == [1]  # type: ignore[attr-defined]
    history.exited("web", 0)
    history.tell(ev.GenerationGone(service="web", old=1))
    assert history["web"].state is State.STOPPED


def test_a_start_that_is_given_up_leaves_the_workers_that_serve() -> None:
    history = running()
    history.exited("web", -9, leftovers=2)
    history.spawned("web")

    history.later(history["web"].spec.start_timeout)

    assert history["web"].state is State.STOPPING
    assert history.ordered(do.Retire) == []


def test_the_sockets_of_workers_that_serve_stay_while_what_the_next_run_needs_is_gone() -> None:
    history = History(service("app", restart="never"), service("web", "app", **HELD))
    history.ask("start")
    history.up("app", "web")
    history.exited("app", 1)

    history.exited("web", -9, leftovers=2)
    assert (history["web"].state, history["web"].blocked) == (State.WAITING, True)
    assert do.ReleaseSockets(service="web") not in history.orders

    op = history.ask("stop", "web")
    history.tell(ev.GenerationGone(service="web", old=1))
    assert history.finished[op] == {"web": ""}


def test_leftovers_of_a_service_that_cannot_hand_over_go_before_the_next_run() -> None:
    hold = Hold(lend="systemd", addresses=(ADDRESS,))
    history = History(service("db", hold=hold, addresses=(ADDRESS,)))
    history.ask("start", "db")
    history.up("db")

    history.exited("db", -9, leftovers=1)

    assert history["db"].state is State.KILLING


def test_the_sockets_of_a_stopped_service_are_let_go_so_that_clients_are_refused() -> None:
    history = running()

    history.ask("stop", "web")
    history.exited("web", 0)

    assert history.orders[-1] == do.ReleaseSockets(service="web")


def test_a_verified_reload_tells_which_sockets_to_hold_from_now_on() -> None:
    history = running_with_check()
    history.ask("reload", "web")
    history.checked("web", report=CheckReport(addresses=(OTHER,), hold=(OTHER,)))

    orders = history.tell(ev.ReloadVerified(service="web", run=1))

    assert do.HoldSockets(service="web", addresses=(OTHER,)) in orders


def with_database() -> History:
    history = History(service("db", restart="never"), service("web", "db", **HELD))
    history.ask("start")
    history.up("db", "web")
    return history


def test_a_restart_of_all_begins_a_successor_when_what_it_needs_is_ready_again() -> None:
    history = with_database()

    op = history.ask("restart")

    assert history.asked() == [("db", "TERM")]
    assert (history["web"].state, history["web"].renew) == (State.RUNNING, True)
    history.exited("db", 0)
    history.up("db")
    assert history["web"].successor
    history.up_as("web", 2)
    assert history.finished[op] == {"db": "", "web": ""}


def test_a_restart_is_called_off_when_what_a_successor_needs_will_not_come() -> None:
    history = with_database()
    history.exited("db", 1)
    assert history["db"].state is State.FAILED

    history.tell(ev.RestartRequested(service="web"))

    web = history["web"]
    assert (web.state, web.run, web.ready, web.renew) == (State.RUNNING, 1, True, False)
    assert web.rejected.startswith("needs db (db is failed")
