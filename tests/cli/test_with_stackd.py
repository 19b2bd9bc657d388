"""stackctl and a real stackd: what a person does in a day."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.shop import DEADLINE, Ran, stackctl
from tests.stack import RunningStack

SERVICES = """
[services.db]
command = ["sh", "-c", "echo db is up; exec sleep 1000"]

[services.web]
command = ["sleep", "1000"]
requires = ["db"]

[services.migrate]
type = "task"
command = ["sh", "-c", "echo no such table >&2; exit 3"]
restart = "never"
autostart = false
"""


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[RunningStack]:
    with RunningStack(tmp_path, SERVICES) as stack:
        stack.until_up()
        yield stack


def test_a_task_at_work_is_no_failure(tmp_path: Path) -> None:
    task = "[services.migrate]\ntype = 'task'\ncommand = ['sleep', '1000']\n"
    with RunningStack(tmp_path, task) as stack:
        assert ask(stack, "wait", "migrate", "--for", "running").code == 0

        assert "\n◌  migrate  active (running) " in ask(stack, "status").out


@pytest.mark.parametrize("words", [("start", "web"), ("wait", "web"), ("restart", "all")])
def test_who_waits_for_one_second_waits_no_longer_for_a_stackd_that_says_nothing(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(path))
        silent.listen()

        ran = stackctl("--socket", f"ipc://{path}", *words, "--timeout", "1")

    assert (ran.code, ran.err) == (
        124,
        f"stackctl: cannot get an answer from ipc://{path}: stackd did not answer within 1 s\n",
    )


def ask(stack: RunningStack, *words: str) -> Ran:
    return stackctl("-c", stack.config, *words)


def test_what_is_needed_is_stopped_after_those_who_need_it(stack: RunningStack) -> None:
    refused = ask(stack, "stop", "db")
    assert refused.code == 1
    assert refused.err.startswith("stackctl: cannot stop db: needed by web\n")

    stopped = ask(stack, "stop", "--cascade", "db")
    assert stopped.code == 0
    states = [line.split() for line in stopped.err.splitlines()]
    assert states.index(["web", "stopped"]) < states.index(["db", "stopped"])
    assert ask(stack, "is-active", "web").code == 3

    assert ask(stack, "start", "web").code == 0
    assert ask(stack, "status").code == 0


def test_what_was_so_already_is_not_said_to_be_done(stack: RunningStack) -> None:
    assert ask(stack, "start", "web", "db").err.splitlines()[-1] == "db, web were up already"
    assert ask(stack, "stop", "web").err.splitlines()[-1].startswith("web stopped in ")
    assert ask(stack, "stop", "web").err.splitlines()[-1] == "web was down already"
    last = ask(stack, "start", "web", "db").err.splitlines()[-1]
    assert last.startswith("web started in ")
    assert last.endswith("s; db was up already")


def test_a_failure_comes_with_the_last_words_of_the_service(stack: RunningStack) -> None:
    failed = ask(stack, "start", "migrate", "--json")

    assert failed.code == 1
    assert failed.json["error"]["message"] == "cannot start migrate: exit status 3: no such table"
    assert ask(stack, "wait", "migrate").code == 3
    assert ask(stack, "reset", "migrate").code == 0


def test_a_restart_is_a_new_process(stack: RunningStack) -> None:
    before = stack.pid_of("web")

    assert ask(stack, "restart", "web").code == 0

    assert stack.pid_of("web") != before
    told = ask(stack, "events", "-n", "1").out
    assert "web  starting -> running" in told


def test_the_details_have_what_the_service_printed(stack: RunningStack) -> None:
    assert "    db is up\n" in ask(stack, "status", "db").out
    assert ask(stack, "logs", "db") == (0, "db is up\n", "")


def test_after_shutdown_another_stackd_may_come(stack: RunningStack) -> None:
    assert ask(stack, "shutdown").code == 0

    assert ask(stack, "status").code == 4
    assert stack.process
    assert stack.process.wait(DEADLINE) == 0
