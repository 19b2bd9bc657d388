"""SIGHUP: the changed configuration is applied, and a bad one changes nothing."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.servers import wait_until
from tests.stack import HEAD, RunningStack

ONE = "[services.one]\ncommand = ['/bin/sleep', '1000']\n"
TWO = "[services.two]\ncommand = ['/bin/sleep', '2000']\n"


def hang_up(stack: RunningStack, toml: str) -> None:
    stack.config.write_text(HEAD.format(run=stack.run_dir, log=stack.log_dir) + toml)
    os.kill(stack.pid, signal.SIGHUP)


def names(stack: RunningStack) -> set[str]:
    return {service.name for service in stack.status().services}


def test_services_come_and_go_and_the_others_stay(tmp_path: Path) -> None:
    with RunningStack(tmp_path, ONE) as stack:
        stack.until_up()
        pid = stack.pid_of("one")

        hang_up(stack, ONE + TWO)
        stack.until(lambda: "two" in names(stack) and stack.service("two").ready, "two runs")
        assert stack.pid_of("one") == pid
        hang_up(stack, TWO)
        wait_until(lambda: names(stack) == {"two"}, "one is gone")

        assert [process.cmdline() for process in stack.descendants()] == [["/bin/sleep", "2000"]]


def test_a_changed_command_gets_a_new_run(tmp_path: Path) -> None:
    with RunningStack(tmp_path, ONE + TWO) as stack:
        stack.until_up()
        pid = stack.pid_of("two")

        hang_up(stack, ONE.replace("1000", "1001") + TWO)
        stack.until_run("one", 2)

        assert stack.service("one").restarts == 0
        assert stack.pid_of("two") == pid
        assert ["/bin/sleep", "1001"] in [process.cmdline() for process in stack.descendants()]


def test_a_bad_file_changes_nothing_and_is_told_in_the_log(tmp_path: Path) -> None:
    with RunningStack(tmp_path, ONE) as stack:
        stack.until_up()
        pid = stack.pid_of("one")

        hang_up(stack, ONE.replace("command", "comand"))
        wait_until(lambda: "nothing was changed" in stack.output.read_text(), "the mistake is told")

        assert "services.one.comand" in stack.output.read_text()
        assert stack.pid_of("one") == pid
        assert stack.status().stack.state == "running"
