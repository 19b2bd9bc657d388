"""The screen of a real stackd with real services, used by its keys."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.shop import stackctl
from tests.cli.top.bench import NEVER, Desk, Scenario, at_desk
from tests.stack import RunningStack

SERVICES = r"""
[services.db]
command = ["sh", "-c", "echo db is up; exec sleep 1000"]

[services.migrate]
type = "task"
command = ["sh", "-c", "echo no such table >&2; exit 3"]
restart = "never"
autostart = false

[services.web]
command = ["sh", "-c", "printf 'a \\033[31mred\\007 word\\n'; exec sleep 1000"]
requires = ["db"]
"""


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[RunningStack]:
    with RunningStack(tmp_path, SERVICES) as stack:
        stack.until_up()
        yield stack


def play(stack: RunningStack, scenario: Scenario, *, height: int = 30, interval: float = NEVER) -> None:
    at_desk(f"ipc://{stack.run_dir}/control.sock", scenario, size=(110, height), interval=interval)


def test_the_table_is_that_of_status(stack: RunningStack) -> None:
    async def scenario(desk: Desk) -> None:
        told = stackctl("-c", stack.config).out.splitlines()
        assert [line.split()[:7] for line in desk.lines()[1:5]] == [line.split()[:7] for line in told[1:5]]
        assert desk.lines()[0].startswith("test  running  up ")

    play(stack, scenario)


def test_a_restart_is_a_new_process(stack: RunningStack) -> None:
    before = stack.pid_of("web")

    async def scenario(desk: Desk) -> None:
        await desk.press("end", "r")
        await desk.until_shown("restart web: done")
        await desk.until(lambda: f" {stack.pid_of('web')} " in desk.row("web"), "the new pid is shown")
        await desk.press("escape")
        await desk.until_gone("restart web")

    play(stack, scenario)
    assert stack.pid_of("web") != before


def test_a_stop_asks_and_names_who_needs_it(stack: RunningStack) -> None:
    async def scenario(desk: Desk) -> None:
        await desk.press("x")
        await desk.until_shown("Stop db, and before it those who need it?", "  web")
        await desk.press("n")
        await desk.until_gone("Stop db")
        assert stack.service("db").state == "running"

        await desk.press("x")
        await desk.until_shown("c  stop all of these")
        await desk.press("y")  # not what it asks for
        await desk.press("c")
        await desk.until_shown("stop db: done")
        await desk.until(
            lambda: "(stopped)" in desk.row("web") and "(stopped)" in desk.row("db"), "both stop"
        )

        await desk.press("end", "s")
        await desk.until_shown("start web: done")
        await desk.until(lambda: "(running)" in desk.row("web") and "(running)" in desk.row("db"), "both run")

    play(stack, scenario)


def test_what_nobody_needs_is_stopped_by_one_more_key(stack: RunningStack) -> None:
    async def scenario(desk: Desk) -> None:
        await desk.press("end", "x")
        await desk.until_shown("Stop web?")
        await desk.press("y")
        await desk.until(lambda: "(stopped)" in desk.row("web"), "it stops")

    play(stack, scenario)


def test_an_error_is_shown_with_its_evidence(stack: RunningStack) -> None:
    async def scenario(desk: Desk) -> None:
        await desk.press("down", "s")
        await desk.until_shown("cannot start migrate: exit status 3: no such table")
        await desk.press("R")
        await desk.until_shown("cannot reload migrate: ", "  nothing was reloaded")
        await desk.until_gone("cannot start migrate")

    play(stack, scenario)


def test_a_crash_is_seen_before_the_next_look(stack: RunningStack) -> None:
    async def scenario(desk: Desk) -> None:
        await desk.press("e")
        old = stack.kill("web")
        await desk.until_shown("killed by SIGKILL")
        await desk.until(lambda: desk.row("web").split()[-1] == "1", "one restart is counted")
        assert str(old) not in desk.row("web")
        assert desk.lines()[-2].startswith("20")  # the last event, below the table

    play(stack, scenario)


def test_the_logs_are_those_of_the_selected_service(stack: RunningStack) -> None:
    async def scenario(desk: Desk) -> None:
        await desk.press("l")
        await desk.until_shown("-- logs of db --", "db is up")
        await desk.press("end")
        await desk.until_shown("-- logs of web --", r"a \x1b[31mred\x07 word")
        await desk.until_gone("db is up")
        with (stack.log_dir / "web.log").open("a") as log:
            log.write("one more line\n")
        await desk.until_shown("one more line")
        await desk.press("l")
        await desk.until_gone("one more line")

    play(stack, scenario)


def test_the_details_are_those_of_status(stack: RunningStack) -> None:
    async def scenario(desk: Desk) -> None:
        await desk.press("enter")
        await desk.until_shown("-- details of db --", "db (command)")
        shown = desk.text()
        for line in stackctl("-c", stack.config, "status", "db").out.splitlines():
            if line.strip().startswith(("PID:", "Command:", "Needed by:", "Probe:")):
                assert line in shown

        await desk.press("down")
        await desk.until_shown("-- details of migrate --", "migrate (command)")

    play(stack, scenario)


def test_what_happens_is_followed_by_the_details(stack: RunningStack) -> None:
    async def scenario(desk: Desk) -> None:
        await desk.press("end", "d")
        await desk.until_shown("web (command)")
        stack.kill("web")
        await desk.until_shown("run 1 ended 0s ago")

    play(stack, scenario, height=40)


def test_when_stackd_goes_and_comes_back(stack: RunningStack) -> None:
    async def scenario(desk: Desk) -> None:
        pid = stack.pid
        stack.die(signal.SIGKILL)
        await desk.press("l")
        await desk.until_shown("-- logs of db --", "\ncannot reach stackd")
        await desk.until_shown("not running; what is below is from before, trying again")
        assert "(running)" in desk.row("web")

        stack.come_back()
        await desk.until_gone("trying again")
        await desk.until_shown(f"stackd pid {stack.pid}")
        assert stack.pid != pid
        await desk.until_shown("db is up")  # the logs, which only stackd could name

        old = stack.kill("web")  # the events are heard again, too
        await desk.until(lambda: str(old) not in desk.row("web"), "the crash is seen")

    play(stack, scenario, interval=0.2)


def test_a_service_that_is_removed_leaves_the_table(stack: RunningStack) -> None:
    async def scenario(desk: Desk) -> None:
        await desk.press("end", "d")
        await desk.until_shown("details of web")
        text = stack.config.read_text()
        stack.config.write_text(text.partition("[services.web]")[0])
        assert stack.process
        stack.process.send_signal(signal.SIGHUP)
        await desk.until(lambda: not desk.row("web"), "web is gone")
        await desk.until_shown("details of migrate", "migrate (command)")

    play(stack, scenario)
