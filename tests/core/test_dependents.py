"""What the crash of a service means for those who require it, and starting together over held sockets."""

from __future__ import annotations

from supervisor_stack.core.state import State
from supervisor_stack.spec import Hold
from tests.core.histories import ADDRESS, History, service


def chain(policy: str) -> History:
    history = History(
        service("db"),
        service("app", "db", on_dependency_crash=policy),
        service("web", "app"),
    )
    history.ask("start")
    history.up("db", "app", "web")
    return history


def test_dependents_go_on_through_a_blip() -> None:
    history = chain("hold")

    history.exited("db", -9)

    assert history.asked() == []
    assert history.stack.state == "degraded"
    history.up("db")
    assert history.stack.state == "running"
    assert history.spawns() == ["db", "app", "web", "db"]


def test_a_dependent_that_wishes_so_stops_before_the_crashed_service_begins_anew() -> None:
    history = chain("restart")

    history.exited("db", -9)

    assert history.asked() == [("app", "TERM")]
    assert history["db"].state is State.WAITING
    assert history["db"].reason == "waits until app has stopped"
    history.exited("app", 0)
    assert history.spawns()[-1] == "db"


def test_it_returns_when_what_it_requires_is_ready_again() -> None:
    history = chain("restart")
    history.exited("db", -9)
    history.exited("app", 0)
    assert history["app"].reason == "needs db"

    history.up("db", "app")

    assert history.states() == dict.fromkeys(("db", "app", "web"), State.RUNNING)
    assert history["web"].run == 1


def test_it_returns_also_when_what_it_requires_needs_several_attempts() -> None:
    history = chain("restart")
    history.exited("db", -9)
    history.exited("app", 0)

    history.exited("db", 1)
    history.later(1.0)
    history.up("db", "app")

    assert history["app"].state is State.RUNNING


def test_the_wish_reaches_those_behind_who_have_it_too() -> None:
    history = History(
        service("db"),
        service("app", "db", on_dependency_crash="restart"),
        service("web", "app", on_dependency_crash="restart"),
    )
    history.ask("start")
    history.up("db", "app", "web")

    history.exited("db", -9)

    assert history.asked() == [("web", "TERM")]
    history.exited("web", 0)
    assert history.asked()[1:] == [("app", "TERM")]
    history.exited("app", 0)
    history.up("db", "app", "web")
    assert history.stack.state == "running"


def test_a_restart_by_hand_is_no_crash() -> None:
    history = chain("restart")

    history.ask("restart", "db", hard=True)
    history.exited("db", 0)
    history.up("db")

    assert history["app"].run == 1


def parallel(hold: Hold | None) -> History:
    history = History(
        service("db", hold=hold, addresses=(ADDRESS,)),
        service("app", "db"),
        parallel=True,
    )
    history.ask("start")
    return history


def test_who_requires_a_held_service_starts_with_it() -> None:
    history = parallel(Hold(lend="systemd", addresses=(ADDRESS,)))
    assert history.spawns() == ["db"]

    history.spawned("db")

    assert history.spawns() == ["db", "app"]
    assert history.stack.state == "starting"


def test_who_requires_a_service_without_held_sockets_waits_until_it_is_ready() -> None:
    history = parallel(None)

    history.spawned("db")
    assert history.spawns() == ["db"]
    history.ready("db")

    assert history.spawns() == ["db", "app"]


def test_in_strict_order_a_held_service_is_waited_for_as_well() -> None:
    history = History(
        service("db", hold=Hold(lend="systemd", addresses=(ADDRESS,)), addresses=(ADDRESS,)),
        service("app", "db"),
    )
    history.ask("start")

    history.spawned("db")

    assert history.spawns() == ["db"]
