"""stackd is killed at the worst places of its code, and the next one brings everything to its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from supervisor_stack.control.client import Operation
from supervisor_stack.control.messages import Restart, Start, Stop
from supervisor_stack.errors import StackError
from tests.daemon.dying import dying, end, orphans_come_to_us
from tests.daemon.unprivileged import unprivileged
from tests.daemon.waiting import can_wait, loopback
from tests.kinds.nginx_site import write_site
from tests.servers import free_port, wait_until
from tests.stack import RunningStack, is_alive

APP = "[services.app]\ncommand = ['sleep', '1000']\n"
START, STOP, RESTART = Start(services=("app",)), Stop(services=("app",)), Restart(services=("app",))

# What is asked for, the place where stackd dies of it, and the state that it comes to all the same.
DEATHS: dict[str, tuple[Operation, str, str, str]] = {
    "a start is written down, and nothing made": (RESTART, "before", "process:Processes.spawn", "running"),
    "a process is made, and not written down": (RESTART, "after", "process:Processes.spawn", "running"),
    "a stop is written down, and not told": (STOP, "before", "runs:Run.ask_to_leave", "stopped"),
    "a stop is told": (STOP, "after", "runs:Run.ask_to_leave", "stopped"),
    "an end is not taken in": (STOP, "before", "runs:Runs.exited", "stopped"),
    "an end is told": (RESTART, "after", "runs:Runs.exited", "running"),
    "a stop is done, and its sockets are held": (STOP, "before", "held:HeldSockets.release", "stopped"),
    "nothing is written down of a stop": (STOP, "before", "memory:Memory.__call__", "running"),
}


def die_of(stack: RunningStack, request: Operation, when: str, place: str, count: int = 1) -> None:
    """The next stackd takes over, is asked for something, and dies of it."""
    stack.die()
    with dying(stack, when, place, count):
        stack.come_back()
        with suppress(StackError):
            stack.operate(request)


def alive(stack: RunningStack) -> list[int]:
    """The processes that carry the marks of the stack, by their environment."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            marks = process.environ()
            if marks.get("STACKD_STACK") == str(stack.run_dir) and is_alive(process.pid):
                found.append(process.pid)
    return found


@pytest.mark.parametrize(("request_", "when", "place", "state"), DEATHS.values(), ids=DEATHS.keys())
def test_whatever_was_half_way_comes_to_its_end(
    tmp_path: Path, request_: Operation, when: str, place: str, state: str
) -> None:
    address = loopback()
    with RunningStack(tmp_path, APP + f"hold = ['{address}']\n") as stack:
        stack.until_up()
        # Calls of memory at the adoption itself: one for the record that is recalled.
        die_of(stack, request_, when, place, count=2 if place.startswith("memory") else 1)

        stack.come_back()

        stack.until_state("app", state)
        pid = stack.service("app").pid
        wait_until(lambda: alive(stack) == ([pid] if pid else []), "nothing else is there")
        assert can_wait(address) == (state == "running")
        assert stack.service("app").detail.held == ((str(address),) if state == "running" else ())  # type: ignore[union-attr]


@contextmanager
def child_without_its_parent(folder: Path, begin: str) -> Iterator[tuple[RunningStack, int, int]]:
    """A stack without a stackd, whose service has left a child that it began so: the stack, both pids."""
    command = f"['sh', '-c', '{begin} & exec sleep 1000']"
    with orphans_come_to_us(), RunningStack(folder, f"[services.app]\ncommand = {command}\n") as stack:
        stack.until_up()
        main = stack.pid_of("app")
        wait_until(lambda: len(alive(stack)) == 2, "its child is there")
        (child,) = set(alive(stack)) - {main}
        stack.die()
        end(main)
        yield stack, main, child


def test_what_an_earlier_run_left_is_cleared_whoever_dies_meanwhile(tmp_path: Path) -> None:
    with child_without_its_parent(tmp_path, "sleep 1000") as (stack, _, child):
        with dying(stack, "before", "runs:Runs.sweep"), suppress(StackError, AssertionError):
            stack.come_back()

        stack.come_back()
        stack.until_run("app", 2)

        assert not is_alive(child)


def test_a_descendant_with_its_own_session_is_not_taken_for_the_dead_main_process(tmp_path: Path) -> None:
    with child_without_its_parent(tmp_path, "setsid sleep 1000") as (stack, main, child):
        stack.come_back()

        assert stack.until_run("app", 2).pid not in (main, child)
        assert not is_alive(child)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look at processes of others")
def test_a_stranger_who_writes_the_marks_into_his_environment_is_nobody(tmp_path: Path) -> None:
    with RunningStack(tmp_path, APP) as stack:
        stack.until_up()
        pid = stack.pid_of("app")
        marks = {"STACKD_SERVICE": "app", "STACKD_RUN": "5000000", "STACKD_STACK": str(stack.run_dir)}
        stack.die()
        argv = unprivileged("sleep", "998")
        with subprocess.Popen(argv, env=os.environ | marks, start_new_session=True) as stranger:
            wait_until(lambda: stranger.pid in alive(stack), "he has the marks")
            stack.come_back()

            assert (stack.pid_of("app"), stack.service("app").run) == (pid, 1)
            stack.operate(STOP)
            assert stranger.poll() is None
            stranger.kill()


def test_nginx_of_which_nothing_is_known_any_more_goes_on(tmp_path: Path) -> None:
    port = free_port()
    config = write_site(tmp_path, f"server {{ listen {port}; location / {{ return 200; }} }}")
    with RunningStack(tmp_path, f"[services.web]\nkind = 'nginx'\nconfig = '{config}'\n") as stack:
        stack.until_up()
        pid = stack.pid_of("web")
        stack.die()
        (stack.run_dir / "state" / "web.json").write_text("{")

        stack.come_back()

        stack.until_up()
        now = stack.service("web")
        assert (now.pid, now.run, now.adopted) == (pid, 1, True)
        assert now.detail
        assert now.detail.held == (f"0.0.0.0:{port}",)


def test_services_that_run_are_not_stopped_because_nobody_can_ask_for_them(tmp_path: Path) -> None:
    with RunningStack(tmp_path, APP) as stack:
        stack.until_up()
        pid = stack.pid_of("app")
        stack.die()
        socket = stack.run_dir / "control.sock"
        socket.unlink()
        (socket / "in the way").mkdir(parents=True)
        with stack.output.open("ab") as output:
            argv = [sys.executable, "-m", "supervisor_stack.cli.stackd", "-c", str(stack.config)]
            stack.attached_to(subprocess.Popen(argv, stdout=output, stderr=output, env=stack.env))
        stack.until_log("all services go on, and it is tried again")
        (socket / "in the way").rmdir()
        socket.rmdir()

        stack.__enter__()

        assert stack.pid_of("app") == pid


@pytest.mark.parametrize(
    ("damage", "is_found"),
    [
        # No number of a process: its marks tell.
        ({"pid": -1}, True),
        ({"pid": 0}, True),
        # Of another process, by what is written down: this one is left by a run that is gone.
        ({"pid": 2**40}, False),
        ({"start": -5}, False),
    ],
    ids=str,
)
def test_a_state_file_with_odd_numbers_is_no_reason_not_to_start(
    tmp_path: Path, damage: dict[str, int], is_found: bool
) -> None:
    with RunningStack(tmp_path, APP) as stack:
        stack.until_up()
        pid = stack.pid_of("app")
        stack.die()
        file = stack.run_dir / "state" / "app.json"
        saved = json.loads(file.read_text())
        saved["runs"]["1"] |= damage
        file.write_text(json.dumps(saved))

        stack.come_back()

        now = stack.until_run("app", 1 if is_found else 2)
        assert (now.pid == pid, is_alive(pid)) == (is_found, is_found)
        wait_until(lambda: alive(stack) == [now.pid], "it is the only one")


def test_an_endless_state_file_is_set_aside(tmp_path: Path) -> None:
    with RunningStack(tmp_path, APP) as stack:
        stack.until_up()
        pid = stack.pid_of("app")
        stack.die()
        (stack.run_dir / "state" / "app.json").write_text("[" * 200_000)

        stack.come_back()

        assert stack.pid_of("app") == pid


def test_usr2_is_heard_again_after_one_that_failed_in_an_odd_way(tmp_path: Path) -> None:
    stack = RunningStack(tmp_path, APP)
    stack.cwd = tmp_path / "here"
    stack.cwd.mkdir()
    with stack:
        stack.until_up()
        stack.cwd.rmdir()
        for count in (1, 2):
            os.kill(stack.pid, signal.SIGUSR2)
            wait_until(lambda count=count: failures(stack) == count, "it is told")  # type: ignore[misc]


def failures(stack: RunningStack) -> int:
    return stack.output.read_text().count("cannot replace stackd: [Errno 2]")
