"""A reload is tested before and verified after, and the old state stays until then."""

from __future__ import annotations

import pytest

from supervisor_stack.core import actions as do
from supervisor_stack.core import events as ev
from supervisor_stack.core.state import State
from supervisor_stack.errors import RefusedError
from supervisor_stack.spec import Address, CheckReport, ProbeSpec, Reload, ServiceSpec, Watch
from tests.core.histories import CHECK, History, service

PORT_80 = CheckReport(files=("/a.conf",), addresses=(Address(host="127.0.0.1", port=80),))
PORT_81 = CheckReport(files=("/b.conf",), addresses=(Address(host="127.0.0.1", port=81),))
WATCH_A = do.WatchFiles(service="web", files=("/a.conf",), debounce=0.3)
EMERG = ('nginx: [emerg] unknown directive "lisen" in /a.conf:12',)


def web(**keys: object) -> ServiceSpec:
    keys.setdefault("watch", Watch())
    return service("web", check=CHECK, reload=Reload(signal="HUP"), ready=ProbeSpec(type="http"), **keys)


def running(**keys: object) -> History:
    history = History(web(**keys))
    history.ask("start")
    history.checked("web", report=PORT_80)
    history.up("web")
    return history


def test_a_cheap_test_comes_before_the_start_and_its_report_is_used() -> None:
    history = History(web())
    history.ask("start")
    assert history.orders == [do.RunCheck(service="web", run=1)]

    history.checked("web", report=PORT_80)
    history.spawned("web")

    assert history.orders[1:] == [
        WATCH_A,  # before it reads them
        do.Spawn(service="web", run=1, addresses=PORT_80.addresses),
        do.StartProbe(service="web", run=1, address=PORT_80.addresses[0]),
    ]


def test_a_broken_file_at_the_start_fails_without_a_loop_and_heals_with_the_file() -> None:
    history = History(web(config="/a.conf"))
    op = history.ask("start")
    history.checked("web", ok=False, final=True, summary="configuration test failed", evidence=EMERG)
    assert history["web"].state is State.FAILED
    assert history.finished[op] == {"web": "configuration test failed"}
    assert WATCH_A in history.orders

    history.tell(ev.FilesChanged(service="web", paths=("/a.conf",)))
    history.checked("web", report=PORT_80)
    history.up("web")

    assert history["web"].state is State.RUNNING


def test_a_reload_is_tested_then_signalled_then_verified() -> None:
    history = running()

    op = history.ask("reload", "web")
    assert history.orders[-1] == do.RunCheck(service="web", run=1)
    orders = history.checked("web", report=PORT_81)
    assert do.StartReload(service="web", run=1, address=PORT_81.addresses[0]) in orders
    assert op not in history.finished
    history.tell(ev.ReloadVerified(service="web", run=1))

    assert history.finished[op] == {"web": ""}
    assert history["web"].state is State.RUNNING


def test_a_bad_file_signals_nothing_and_stays_in_sight_until_a_good_one_comes() -> None:
    history = running()
    op = history.ask("reload", "web")

    orders = history.checked("web", ok=False, summary="configuration test failed", evidence=EMERG)
    assert orders == [WATCH_A]
    assert history.finished[op] == {"web": "configuration test failed"}
    assert (history["web"].state, history["web"].ready) == (State.RUNNING, True)
    assert (history["web"].rejected, history["web"].rejected_detail) == ("configuration test failed", EMERG)

    history.tell(ev.FilesChanged(service="web", paths=("/a.conf",)))
    history.checked("web", report=PORT_80)
    history.tell(ev.ReloadVerified(service="web", run=1))

    assert history["web"].rejected == ""


def test_a_changed_file_goes_the_same_way_as_a_request() -> None:
    history = running()

    history.tell(ev.FilesChanged(service="web", paths=("/a.conf",)))

    assert history.orders[-1] == do.RunCheck(service="web", run=1)
    assert history["web"].state is State.RELOADING


def test_a_change_during_a_reload_gives_one_more_reload_after_it() -> None:
    history = running()
    history.ask("reload", "web")
    for _ in range(5):
        history.tell(ev.FilesChanged(service="web", paths=("/a.conf",)))
    history.checked("web", report=PORT_80)

    orders = history.tell(ev.ReloadVerified(service="web", run=1))
    assert orders == [do.RunCheck(service="web", run=1)]
    history.checked("web", report=PORT_80)
    orders = history.tell(ev.ReloadVerified(service="web", run=1))

    assert orders == []
    assert history["web"].state is State.RUNNING


def test_a_reload_that_did_not_take_effect_is_told_and_what_answers_stays_ready() -> None:
    history = running()
    op = history.ask("reload", "web")
    history.checked("web", report=PORT_81)

    history.tell(ev.ReloadFailed(service="web", run=1, reason="bind() failed", evidence=("bind",)))

    assert history.finished[op] == {"web": "bind() failed"}
    assert history["web"].ready


def test_a_reload_after_which_nobody_answers_is_probed_until_it_recovers() -> None:
    history = running()
    history.ask("reload", "web")
    history.checked("web", report=PORT_80)

    orders = history.tell(ev.ReloadFailed(service="web", run=1, reason="answered 500", ready=False))
    assert isinstance(orders[-1], do.StartProbe)
    assert history.stack.state == "degraded"
    history.ready("web")

    assert history.stack.state == "running"


def test_a_stop_wins_over_a_reload() -> None:
    history = running()
    reload = history.ask("reload", "web")

    history.ask("stop", "web")
    history.exited("web", 0)

    assert history["web"].state is State.STOPPED
    assert "ended during the reload" in history.finished[reload]["web"]


def test_a_crash_during_a_reload_is_a_crash() -> None:
    history = running()
    op = history.ask("reload", "web")

    history.exited("web", -9)

    assert "killed by SIGKILL" in history.finished[op]["web"]
    assert history["web"].state is State.STARTING


def test_a_reload_without_a_verdict_ends_at_its_deadline() -> None:
    history = running()
    op = history.ask("reload", "web")

    history.later(1000.0)

    assert history.finished[op] == {"web": "the reload came to no verdict"}
    assert history["web"].state is State.RUNNING


def test_what_cannot_reload_or_does_not_run_refuses() -> None:
    history = History(service("db", no_reload="it cannot re-read its configuration"), web())

    with pytest.raises(RefusedError, match="cannot reload db: it cannot re-read its configuration"):
        history.ask("reload", "db")
    with pytest.raises(RefusedError, match="cannot reload web: it is not running"):
        history.ask("reload", "web")


def test_a_watch_may_ask_for_a_new_run_instead() -> None:
    history = running(watch=Watch(paths=("/etc/app",), action="restart"))

    history.tell(ev.FilesChanged(service="web", paths=("/etc/app",)))

    assert history.asked() == [("web", "TERM")]
    history.exited("web", 0)
    history.checked("web", report=PORT_80)
    history.up("web")
    assert history["web"].run == 2
    assert history["web"].failures == 0


def test_a_failed_test_does_not_make_a_service_ready_that_does_not_answer() -> None:
    history = running()
    history.ask("reload", "web")
    history.checked("web", report=PORT_80)
    history.tell(ev.ReloadFailed(service="web", run=1, reason="answered 500", ready=False))

    history.ask("reload", "web")
    history.checked("web", ok=False, summary="configuration test failed")

    assert (history["web"].state, history["web"].ready) == (State.RUNNING, False)
    assert history.stack.state == "degraded"
    history.ready("web")
    assert history.stack.state == "running"


def test_an_answer_during_a_reload_counts() -> None:
    history = running()
    history.ask("reload", "web")
    history.checked("web", report=PORT_80)
    history.tell(ev.ReloadFailed(service="web", run=1, reason="answered 500", ready=False))
    history.ask("reload", "web")

    history.ready("web")
    history.checked("web", ok=False, summary="configuration test failed")

    assert history["web"].ready


def test_files_that_change_during_the_start_are_taken_up_after_it() -> None:
    history = History(web())
    history.ask("start")
    history.checked("web", report=PORT_80)
    history.spawned("web")
    history.tell(ev.FilesChanged(service="web", paths=("/a.conf",)))

    orders = history.ready("web")

    assert orders[-1] == do.RunCheck(service="web", run=1)
    assert history["web"].state is State.RELOADING


def test_a_test_that_could_not_be_run_is_tried_again() -> None:
    history = History(web())
    history.ask("start")

    history.checked("web", ok=False, summary="configuration test failed (no memory)")

    assert history.orders[-1] == do.RunCheck(service="web", run=2)
    assert history["web"].failures == 1


def test_a_start_of_what_runs_and_does_not_answer_says_so() -> None:
    history = running()
    history.ask("reload", "web")
    history.checked("web", report=PORT_80)
    history.tell(ev.ReloadFailed(service="web", run=1, reason="answered 500", ready=False))

    op = history.ask("start", "web")

    assert history.finished[op] == {"web": "it runs and does not answer: answered 500"}


def test_what_has_taken_up_its_files_still_runs_since_it_got_ready() -> None:
    history = History(service("web", reload=Reload(signal="HUP")))
    history.ask("start")
    history.up("web")
    ready = history.now
    history.later(5)
    history.ask("reload", "web")
    history.later(5)
    assert history["web"].stands_since == history["web"].since == ready + 5

    history.tell(ev.ReloadVerified(service="web", run=1))

    assert history["web"].stands_since == ready
