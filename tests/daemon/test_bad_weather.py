"""What people and machines do to a daemon that nobody planned for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import zmq

from supervisor_stack.control.messages import MAX_REQUEST
from tests.servers import wait_until
from tests.stack import RunningStack, is_alive

SLEEP = "[services.app]\ncommand = ['/bin/sleep', '1000']\n"


@pytest.mark.parametrize("name", ["SIGALRM", "SIGVTALRM", "SIGIO", "SIGPIPE"])
def test_a_signal_that_is_not_for_stackd_ends_nothing(tmp_path: Path, name: str) -> None:
    with RunningStack(tmp_path, SLEEP) as stack:
        stack.until_up()
        pid = stack.pid_of("app")

        os.kill(stack.pid, signal.Signals[name])

        assert stack.pid_of("app") == pid


def test_services_do_not_inherit_ignored_signals(tmp_path: Path) -> None:
    with RunningStack(tmp_path, SLEEP) as stack:
        stack.until_up()
        status = Path(f"/proc/{stack.pid_of('app')}/status").read_text()

        assert "SigIgn:\t0000000000000000" in status
        assert "SigBlk:\t0000000000000000" in status


def test_a_reader_of_the_log_who_stops_reading_stops_nothing_else(tmp_path: Path) -> None:
    toml = SLEEP + "backoff = {initial = 0}\nstart_limit = {burst = 100000, interval = 60}\n"
    read, write = os.pipe()
    stack = RunningStack(tmp_path, toml)
    stack.stderr = write
    with stack:
        stack.until_up()
        for run in range(2, 202):  # 100 KB of log, and a pipe holds 64
            stack.kill("app")
            stack.until_run("app", run)
        assert stack.service("app").restarts == 200
        os.close(write)
        os.close(read)


def test_stackd_without_standard_streams_gives_services_none_of_its_own(tmp_path: Path) -> None:
    stack = RunningStack(tmp_path, SLEEP + "log = {to = 'inherit'}\n")
    argv = [sys.executable, "-m", "supervisor_stack.cli.stackd", "-c", str(stack.config)]
    started = subprocess.Popen(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *argv], env=stack.env)
    with stack.attached_to(started):
        stack.until_up()
        pid = stack.pid_of("app")

        assert {str(Path(f"/proc/{pid}/fd/{fd}").readlink()) for fd in (1, 2)} == {"/dev/null"}


def test_a_service_that_inherits_has_both_streams_of_stackd(tmp_path: Path) -> None:
    script = "echo to stdout; echo to stderr >&2; exec sleep 1000"
    stack = RunningStack(
        tmp_path, f"[services.app]\ncommand = ['sh', '-c', '{script}']\nlog = {{to = 'inherit'}}\n"
    )
    argv = [sys.executable, "-m", "supervisor_stack.cli.stackd", "-c", str(stack.config)]
    out, err = tmp_path / "out", tmp_path / "err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        started = subprocess.Popen(argv, env=stack.env, stdout=stdout, stderr=stderr)
        with stack.attached_to(started):
            wait_until(lambda: "to stderr\n" in err.read_text(), "it has written")

    assert out.read_text() == "to stdout\n"
    assert "to stdout" not in err.read_text()


def test_a_frame_of_300_megabytes_is_not_taken_in(tmp_path: Path) -> None:
    with RunningStack(tmp_path, SLEEP) as stack, zmq.Context() as context:
        stack.until_up()
        before = memory(stack)
        with context.socket(zmq.DEALER) as dealer:
            dealer.linger = 0
            dealer.connect(f"ipc://{stack.run_dir}/control.sock")
            dealer.send_multipart([b"stack/1", bytes(300 * 2**20)])
            with context.socket(zmq.DEALER) as other:
                other.linger = 0
                other.connect(f"ipc://{stack.run_dir}/control.sock")
                other.send_multipart([b"stack/1", b'{"type": "status"}'])
                assert other.poll(10_000)

        assert stack.status().stack.state == "running"
        assert memory(stack) - before < 20 * 2**20
        assert MAX_REQUEST < 2**20


def memory(stack: RunningStack) -> int:
    """The most that stackd ever had in memory (VmHWM), in bytes."""
    for line in Path(f"/proc/{stack.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmHWM")


def test_a_watched_file_that_changes_gives_one_new_run(tmp_path: Path) -> None:
    watched = tmp_path / "settings"
    watched.write_text("1")
    watch = f"watch = {{paths = ['{watched}'], action = 'restart', debounce = '50ms'}}\n"
    with RunningStack(tmp_path, SLEEP + watch) as stack:
        stack.until_up()
        watched.write_text("2")
        stack.until_run("app", 2)
        watched.write_text("3")
        stack.until_run("app", 3)

        # Two changes, two runs: the third run did not find the second change once more.
        stack.kill("app")
        assert stack.until_run("app", 4).run == 4


def test_a_watched_file_that_is_not_there_is_no_change_until_it_comes(tmp_path: Path) -> None:
    watched = tmp_path / "later" / "settings"
    watch = f"watch = {{paths = ['{watched}'], action = 'restart', debounce = '50ms'}}\n"
    with RunningStack(tmp_path, SLEEP + watch) as stack:
        stack.until_up()
        watched.parent.mkdir()
        stack.until_run("app", 2)
        watched.write_text("1")

        assert stack.until_run("app", 3).run == 3


def test_hundreds_of_orphans_that_end_at_once_are_all_reaped(tmp_path: Path) -> None:
    script = "for n in $(seq 600); do (setsid sleep 1000 &) ; done; echo made; exec sleep 1000"
    with RunningStack(tmp_path, f"[services.app]\ncommand = ['sh', '-c', {script!r}]\n") as stack:
        stack.until_up()
        wait_until(lambda: len(stack.descendants()) == 601, "all orphans are there")
        orphans = [process.pid for process in stack.descendants()]

        stack.kill("app")
        stack.until_run("app", 2)

        assert not [pid for pid in orphans if is_alive(pid)]
