"""The kept copy of a configuration: what it is for, and how a service comes off it again."""

from __future__ import annotations

from typing import Any

from supervisor_stack.core import actions as do
from supervisor_stack.core import events as ev
from supervisor_stack.core.state import State
from supervisor_stack.spec import Check, CheckReport, Hold, Reload
from tests.core.histories import ADDRESS, CHECK, HELD, History, service

KEPT_AT = "2026-11-22 10:31:02"
REPORT = CheckReport(addresses=(ADDRESS,), hold=(ADDRESS,))


def kept(history: History) -> History:
    history.tell(ev.ConfigKept(service="web", at=KEPT_AT))
    return history


def nginx(**keys: Any) -> History:
    hold = Hold(lend="nginx", handover=True)
    spec = service("web", check=CHECK, hold=hold, copy="nginx", reload=Reload(signal="HUP"), **keys)
    history = History(spec)
    history.ask("start", "web")
    history.checked("web", report=REPORT)
    history.up("web")
    return history


def on_copy() -> History:
    history = kept(nginx())
    history.exited("web", -9)
    history.checked("web", ok=False, final=True, summary="test failed", evidence=("[emerg] no",))
    history.up("web")
    return history


def test_a_configuration_is_kept_when_a_start_has_proved_it_good() -> None:
    history = nginx()

    assert do.KeepConfig(service="web", run=1) in history.orders


def test_a_configuration_is_kept_when_a_reload_has_proved_it_good() -> None:
    history = nginx()
    history.ask("reload", "web")
    history.checked("web", report=REPORT)

    orders = history.tell(ev.ReloadVerified(service="web", run=1))

    assert do.KeepConfig(service="web", run=1) in orders


def test_files_that_fail_their_test_at_the_worst_moment_are_replaced_by_the_copy() -> None:
    history = on_copy()

    spawn = history.ordered(do.Spawn)[-1]
    assert isinstance(spawn, do.Spawn)
    assert spawn.copy
    assert spawn.hold == (ADDRESS,)
    assert history["web"].state is State.RUNNING
    told = f"runs on the copy of its configuration of {KEPT_AT}: test failed"
    assert (history["web"].rejected, history["web"].rejected_detail) == (told, ("[emerg] no",))


def test_the_copy_itself_is_not_kept_again() -> None:
    history = on_copy()

    assert len(history.ordered(do.KeepConfig)) == 1


def test_without_a_copy_files_that_fail_their_test_are_the_end() -> None:
    history = nginx()

    history.exited("web", -9)
    history.checked("web", ok=False, final=True, summary="test failed")

    assert history["web"].state is State.FAILED


def test_the_broken_files_are_watched_also_without_a_watch() -> None:
    history = on_copy()

    assert isinstance(history.ordered(do.WatchFiles)[-1], do.WatchFiles)


def test_when_the_files_pass_again_a_successor_takes_them_up() -> None:
    history = on_copy()

    history.tell(ev.FilesChanged(service="web", paths=("/x",)))
    history.checked("web", run=3, report=REPORT)
    spawn = history.orders[-1]
    assert isinstance(spawn, do.Spawn)
    assert not spawn.copy
    history.up_as("web", 3)

    assert (history["web"].copy, history["web"].rejected) == (None, "")


def test_files_that_are_still_broken_leave_it_on_the_copy() -> None:
    history = on_copy()

    history.tell(ev.FilesChanged(service="web", paths=("/x",)))
    history.checked("web", run=3, ok=False, final=True, summary="still no good")

    assert (history["web"].state, history["web"].run) == (State.RUNNING, 2)
    assert "still no good" in history["web"].rejected
    assert history["web"].copy


def test_a_server_without_a_test_that_falls_over_changed_files_gets_the_copy() -> None:
    history = kept(started(service("web", copy="redis")))
    history.exited("web", -9)

    history.exited("web", 1, changed=True, last_words=("*** FATAL CONFIG FILE ERROR ***",))

    history.later(1.0)
    spawn = history.ordered(do.Spawn)[-1]
    assert isinstance(spawn, do.Spawn)
    assert spawn.copy


def test_files_that_pass_their_test_and_make_it_fall_give_way_to_the_copy() -> None:
    history = kept(nginx())
    history.exited("web", -9)
    history.checked("web", report=REPORT)
    history.exited("web", 1, changed=True)

    history.later(1.0)
    history.checked("web", report=REPORT)

    assert history.ordered(do.Spawn)[-1].copy  # type: ignore[attr-defined]


def test_a_server_that_can_never_get_ready_on_changed_files_gets_the_copy() -> None:
    history = kept(started(service("web", copy="uwsgi")))
    history.exited("web", -9)
    history.spawned("web")
    history.tell(ev.ProbeFailed(service="web", run=2, answer="no application", hopeless=True))

    history.exited("web", 0, changed=True)

    history.later(1.0)
    assert history.ordered(do.Spawn)[-1].copy  # type: ignore[attr-defined]


def test_a_server_that_fails_on_files_that_nobody_changed_does_not_get_the_copy() -> None:
    history = kept(started(service("web", copy="redis")))
    history.exited("web", -9)

    history.exited("web", 1, changed=False)

    history.later(1.0)
    assert not history.ordered(do.Spawn)[-1].copy  # type: ignore[attr-defined]


def test_a_final_exit_over_changed_files_is_not_final_while_there_is_a_copy() -> None:
    history = kept(started(service("web", copy="mysqld", final_exits={7: "unknown variable"})))
    history.exited("web", -9)

    history.exited("web", 7, changed=True)

    assert history["web"].state is State.BACKOFF


def test_a_start_by_hand_tries_the_files_again() -> None:
    history = on_copy()

    history.ask("restart", "web", hard=True)
    history.exited("web", 0)
    history.checked("web", report=REPORT)

    assert not history.orders[-1].copy  # type: ignore[attr-defined]


def test_a_database_on_the_copy_restarts_when_its_test_says_that_the_files_are_good() -> None:
    spec = service("web", copy="mysqld", check=Check(argv=("web", "--help")))
    history = kept(started(spec))
    history.exited("web", -9)
    history.exited("web", 7, changed=True)
    history.later(1.0)
    history.up("web")

    history.tell(ev.FilesChanged(service="web", paths=("/x",)))
    assert history["web"].state is State.RELOADING
    history.checked("web")

    assert history["web"].state is State.STOPPING
    history.exited("web", 0)
    assert not history.ordered(do.Spawn)[-1].copy


def test_a_held_application_on_the_copy_is_renewed_without_a_gap() -> None:
    history = kept(started(service("web", copy="uwsgi", **HELD)))
    history.exited("web", -9)
    history.exited("web", 1, changed=True)
    history.later(1.0)
    history.up("web")

    history.tell(ev.FilesChanged(service="web", paths=("/x",)))

    assert history["web"].successor
    assert not history.ordered(do.Spawn)[-1].copy  # type: ignore[attr-defined]


def started(spec: Any) -> History:
    history = History(spec)
    history.ask("start", "web")
    history.up("web")
    return history


def test_a_restart_that_ends_on_the_copy_has_not_done_what_it_was_asked_for() -> None:
    history = kept(nginx())
    op = history.ask("restart", "web", hard=True)
    history.exited("web", 0)
    history.checked("web", ok=False, final=True, summary="test failed")
    history.up("web")

    told = f"runs on the copy of its configuration of {KEPT_AT}: test failed"
    assert history.finished[op] == {"web": told}
    assert history.finished[history.ask("start", "web")] == {"web": ""}
