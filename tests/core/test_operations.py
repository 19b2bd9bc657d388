"""What whoever has asked for something is told, and when."""

from __future__ import annotations

import pytest

from supervisor_stack.core.state import STEADY, State
from supervisor_stack.errors import RefusedError
from supervisor_stack.spec import Reload
from tests.core.histories import History, service

PLAIN = {"ready": None}
RELOAD = Reload(signal="HUP")


def test_what_only_lives_has_to_do_so_for_a_moment_before_its_start_is_called_done() -> None:
    history = History(service("app", **PLAIN), service("web", "app", **PLAIN))
    op = history.ask("start")
    history.spawned("app")
    history.spawned("web")  # who needs it does not wait for that

    assert op not in history.finished
    history.later(STEADY)
    assert history.finished[op] == {"app": "", "web": ""}
    again = history.ask("start")
    assert history.finished[again] == {"app": "", "web": ""}


@pytest.mark.parametrize("verb", ["start", "restart"])
def test_what_ends_at_once_has_not_been_started(verb: str) -> None:
    history = History(service("app", **PLAIN))
    op = history.ask(verb)
    for _ in range(2):  # the first failure is tried again at once
        history.spawned("app")
        history.later(STEADY / 2)
        history.exited("app", 3, last_words=("no such table",))

    assert history["app"].state is State.BACKOFF
    assert history.finished[op] == {"app": "exit status 3: no such table"}


def test_a_second_try_that_lives_is_a_start() -> None:
    history = History(service("app", **PLAIN))
    op = history.ask("start")
    history.spawned("app")
    history.exited("app", 3)
    history.spawned("app")
    history.later(STEADY / 2)
    assert op not in history.finished

    history.later(STEADY / 2)

    assert history.finished[op] == {"app": ""}


def test_what_goes_into_the_background_at_once_is_told_so() -> None:
    history = History(service("app", **PLAIN))
    history.ask("start")
    history.spawned("app")
    history.exited("app", 0, leftovers=1)

    assert "put itself into the background" in history["app"].reason


def test_reload_of_all_is_of_those_that_can() -> None:
    history = History(service("db"), service("app", reload=RELOAD), service("off", reload=RELOAD))
    history.ask("start", "db", "app")
    history.up("db", "app")

    op = history.ask("reload")
    assert history["app"].state is State.RELOADING
    history.later(1000)

    assert history.finished[op].keys() == {"app"}
    with pytest.raises(RefusedError, match="cannot reload db"):
        history.ask("reload", "db", "app")


def test_reload_of_all_is_refused_where_none_can() -> None:
    history = History(service("db", no_reload="it reads its files when it starts"), service("app"))
    history.ask("start", "db")
    history.up("db")

    with pytest.raises(RefusedError) as caught:
        history.ask("reload")

    assert caught.value.message == "cannot reload all: no service can be reloaded now"
    assert "cannot reload db: it reads its files when it starts" in caught.value.detail


def test_services_are_told_in_the_order_in_which_they_were_written_down() -> None:
    history = History(service("web"), service("db"), service("app"))

    begun = history.stack.start(7, ["app", "db", "web"], history.now)

    assert begun.services == ("web", "db", "app")


def test_a_stack_that_was_down_is_starting_again() -> None:
    history = History(service("db"), service("app", "db"))
    history.ask("start")
    history.up("db", "app")
    assert history.stack.state == "running"
    history.ask("stop")
    history.exited("app", 0)
    history.exited("db", 0)
    assert history.stack.state == "stopped"

    history.ask("start", "db")

    assert history.stack.state == "starting"
