"""stackd ends in every way, and the next one goes on with its services."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import supervisor_stack
from supervisor_stack.control.messages import Shutdown, Stop
from tests.daemon.waiting import can_wait, loopback
from tests.servers import wait_until
from tests.stack import RunningStack, is_alive

THREE = """
[services.db]
command = ["sleep", "1000"]

[services.app]
command = ["sh", "-c", "echo here I am; exec sleep 1000"]
requires = ["db"]

[services.migrate]
command = ["true"]
type = "task"
"""
NOTIFYING = (
    "import os, socket, sys, time\n"
    "def tell(words):\n"
    "    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(words, os.environ['NOTIFY_SOCKET'])\n"
    "while not os.path.exists(sys.argv[1]): time.sleep(0.01)\n"
    "tell(b'READY=1')\n"
    "time.sleep(1000)\n"
)


def pids(stack: RunningStack) -> dict[str, int | None]:
    return {service.name: service.pid for service in stack.status().services}


def test_a_killed_stackd_is_followed_by_one_that_has_everything(tmp_path: Path) -> None:
    with RunningStack(tmp_path, THREE) as stack:
        stack.until_up()
        stack.kill("app")
        before = pids(stack) | {"app": stack.until_run("app", 2).pid}
        seen = {service.name: service for service in stack.status().services}

        stack.die()
        stack.come_back()

        assert pids(stack) == before
        for service in stack.status().services:
            was = seen[service.name]
            assert (service.state, service.run, service.restarts) == (was.state, was.run, was.restarts)
            assert service.adopted == (service.pid is not None)
            assert service.since[:19] == was.since[:19]


def test_an_adopted_service_that_ends_is_restarted_and_its_exit_status_said_to_be_unknown(
    tmp_path: Path,
) -> None:
    with RunningStack(tmp_path, THREE) as stack:
        stack.until_up()
        stack.die()
        stack.come_back()

        stack.kill("app")
        again = stack.until_run("app", 2)

        assert not again.adopted
        assert again.detail
        assert again.detail.exits[0].reason.startswith("ended, exit status unknown")
        assert stack.pid_of("db") == pids(stack)["db"]


def test_what_ended_while_nobody_looked_is_started_again_once(tmp_path: Path) -> None:
    with RunningStack(tmp_path, THREE) as stack:
        stack.until_up()
        db, app = stack.pid_of("db"), stack.pid_of("app")
        stack.die()
        os.kill(app, signal.SIGKILL)
        wait_until(lambda: not is_alive(app), "app is gone")

        stack.come_back()

        again = stack.until_run("app", 2)
        assert (again.restarts, stack.pid_of("db")) == (1, db)
        assert again.detail
        assert "here I am" in again.detail.exits[0].reason


@pytest.mark.parametrize("way", ["SIGUSR1", "stackctl"])
def test_stackd_leaves_and_keeps_its_services(tmp_path: Path, way: str) -> None:
    with RunningStack(tmp_path, THREE) as stack:
        stack.until_up()
        before = pids(stack)

        if way == "SIGUSR1":
            stack.die(signal.SIGUSR1)
        else:
            argv = [sys.executable, "-m", "supervisor_stack.cli.stackctl", "-c", str(stack.config)]
            done = subprocess.run([*argv, "shutdown", "--keep-services"], env=stack.env, check=False)
            assert done.returncode == 0
            stack.die(signal.SIGURG)  # it is leaving already
        assert all(is_alive(pid) for pid in before.values() if pid)

        stack.come_back()
        assert pids(stack) == before


def test_stackd_executes_itself_anew_and_stays_the_parent(tmp_path: Path) -> None:
    with RunningStack(tmp_path, THREE) as stack:
        stack.until_up()
        before, pid = pids(stack), stack.pid

        os.kill(pid, signal.SIGUSR2)
        stack.lose_sight()

        assert (stack.pid, pids(stack)) == (pid, before)
        stack.kill("app", signal.SIGTERM)
        again = stack.until_run("app", 2)
        assert again.detail
        assert again.detail.exits[0].reason == "killed by SIGTERM: here I am"


def test_a_program_that_cannot_take_over_is_told_and_the_present_one_goes_on(tmp_path: Path) -> None:
    package = tmp_path / "lib" / "supervisor_stack"
    shutil.copytree(Path(supervisor_stack.__file__).parent, package)
    stack = RunningStack(tmp_path, THREE, {"PYTHONPATH": str(package.parent)})
    stack.cwd = tmp_path
    with stack:
        stack.until_up()
        before = pids(stack)

        config = stack.config.read_text()
        stack.config.write_text(config + "nonsense = 5\n")
        os.kill(stack.pid, signal.SIGUSR2)
        stack.until_log("exited 78")
        stack.until_log("unknown key")

        stack.config.write_text(config)
        engine = package / "daemon" / "engine.py"
        good = engine.read_text()
        engine.write_text("raise ImportError('half an upgrade')\n")
        os.kill(stack.pid, signal.SIGUSR2)
        stack.until_log("ImportError: half an upgrade")
        assert pids(stack) == before

        engine.write_text(good)
        os.kill(stack.pid, signal.SIGUSR2)
        stack.lose_sight()
        assert pids(stack) == before


def test_a_file_that_turns_bad_between_the_rehearsal_and_the_replacement_ends_nothing(tmp_path: Path) -> None:
    # Executed by each Python before anything else: the new program finds what was saved a moment ago.
    (tmp_path / "sitecustomize.py").write_text(
        "import os\n"
        "if 'STACKD_FDS' in os.environ:\n"
        f"    open({str(tmp_path / 'stackd.toml')!r}, 'a').write('nonsense = 5\\n')\n"
    )
    root = Path(supervisor_stack.__file__).parent.parent
    with RunningStack(tmp_path, THREE, {"PYTHONPATH": f"{tmp_path}:{root}"}) as stack:
        stack.until_up()
        before, pid = pids(stack), stack.pid

        os.kill(pid, signal.SIGUSR2)
        stack.lose_sight()

        assert "unknown key" in stack.output.read_text()
        assert (stack.pid, pids(stack)) == (pid, before)
        stack.kill("app")
        stack.until_run("app", 2)


def test_a_service_of_which_nothing_is_known_any_more_is_found_by_its_marks(tmp_path: Path) -> None:
    with RunningStack(tmp_path, THREE) as stack:
        stack.until_up()
        before = pids(stack)
        stack.die()
        (stack.run_dir / "state" / "app.json").write_text("{")
        (stack.run_dir / "state" / "db.json").unlink()

        stack.come_back()

        assert pids(stack) == before
        stack.until_up()
        assert (stack.run_dir / "state" / "app.json.damaged").exists()


def test_a_process_that_got_the_pid_of_a_service_is_not_touched(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "1000"]) as stranger, RunningStack(tmp_path, THREE) as stack:
        stack.until_up()
        app = stack.pid_of("app")
        stack.die()
        os.kill(app, signal.SIGKILL)
        wait_until(lambda: not is_alive(app), "app is gone")
        file = stack.run_dir / "state" / "app.json"
        saved = json.loads(file.read_text())
        saved["runs"]["1"]["pid"] = saved["record"]["pid"] = stranger.pid
        file.write_text(json.dumps(saved))

        stack.come_back()

        assert stack.until_run("app", 2).pid != stranger.pid
        stack.operate(Stop(services=("app",)))
        assert stranger.poll() is None
        stranger.kill()


def test_a_state_file_of_another_boot_is_not_believed(tmp_path: Path) -> None:
    with RunningStack(tmp_path, THREE) as stack:
        stack.until_up()
        stack.operate(Stop(services=("app",)))
        stack.die()
        for file in (stack.run_dir / "state").glob("*.json"):
            saved = json.loads(file.read_text())
            file.write_text(json.dumps(saved | {"boot": "another"}))

        stack.come_back()

        # db is found by its marks; app, which had been stopped in that boot, starts as at any boot.
        stack.until_up()
        assert stack.service("app").run == 1


def test_a_start_under_way_comes_to_its_end(tmp_path: Path) -> None:
    go = tmp_path / "go"
    toml = f"[services.app]\ncommand = ['python3', '-c', '''{NOTIFYING}''', '{go}']\n"
    toml += "ready = {type = 'notify'}\n"
    with RunningStack(tmp_path, toml) as stack:
        pid = stack.until_state("app", "starting").pid
        stack.die()
        stack.come_back()
        assert stack.service("app").state == "starting"

        go.touch()

        assert stack.until_run("app", 1).pid == pid


def test_a_stop_under_way_comes_to_its_end(tmp_path: Path) -> None:
    go, told = tmp_path / "go", tmp_path / "told"
    script = f"trap 'touch {told}' TERM; while ! test -e {go}; do sleep 0.02; done"
    with RunningStack(tmp_path, f"[services.app]\ncommand = ['sh', '-c', '''{script}''']\n") as stack:
        stack.until_up()
        pid = stack.pid_of("app")
        steps = stack.client.operate(Stop(services=("app",)))
        next(steps)
        wait_until(told.exists, "app was told to stop")
        told.unlink()
        stack.die()

        stack.come_back()
        wait_until(told.exists, "app was told to stop once more")
        go.touch()

        assert stack.until_state("app", "stopped").reason == ""
        assert not is_alive(pid)


def test_a_shutdown_that_was_cut_short_is_over_when_stackd_is_started_again(tmp_path: Path) -> None:
    toml = """
[services.quick]
command = ["sleep", "1000"]
requires = ["slow"]

[services.slow]
command = ["sh", "-c", "trap '' TERM; while :; do sleep 0.05; done"]
stop_timeout = 1
"""
    with RunningStack(tmp_path, toml) as stack:
        stack.until_up()
        steps = stack.client.operate(Shutdown())
        next(steps)
        stack.until_state("slow", "stopping")
        stack.die()

        stack.come_back()

        stack.until_up()
        assert {service.wanted for service in stack.status().services} == {"running"}


def test_what_was_removed_from_the_configuration_meanwhile_is_stopped(tmp_path: Path) -> None:
    with RunningStack(tmp_path, THREE) as stack:
        stack.until_up()
        db, app = stack.pid_of("db"), stack.pid_of("app")
        stack.die()
        text = stack.config.read_text()
        first, last = text.index("[services.app]"), text.index("[services.migrate]")
        stack.config.write_text(text[:first] + text[last:])

        stack.come_back()

        wait_until(lambda: not is_alive(app), "app is gone")
        stack.until(lambda: set(pids(stack)) == {"db", "migrate"}, "app is forgotten")
        assert stack.pid_of("db") == db
        assert not (stack.run_dir / "state" / "app.json").exists()


def test_held_sockets_are_had_out_of_the_process_that_has_them(tmp_path: Path) -> None:
    address = loopback()
    toml = f"[services.app]\ncommand = ['sleep', '1000']\nhold = ['{address}']\n"
    toml += "backoff = {initial = 30}\nstart_limit = {burst = 100, interval = 60}\n"
    with RunningStack(tmp_path, toml) as stack:
        stack.until_up()
        stack.die()
        assert can_wait(address)
        stack.come_back()
        detail = stack.service("app").detail
        assert detail
        assert detail.held == (str(address),)

        stack.kill("app")
        stack.until_run("app", 2)
        stack.kill("app")
        stack.until_state("app", "backoff")
        assert can_wait(address)


def test_a_dozen_lives_of_stackd_and_one_of_each_service(tmp_path: Path) -> None:
    with RunningStack(tmp_path, THREE) as stack:
        stack.until_up()
        before = pids(stack)
        for number in range(10):
            stack.die(signal.SIGKILL if number % 2 else signal.SIGUSR1)
            stack.come_back()
        assert pids(stack) == before
        assert [service.restarts for service in stack.status().services] == [0, 0, 0]
        descriptors = len(list(Path(f"/proc/{stack.pid}/fd").iterdir()))
        for _ in range(3):
            os.kill(stack.pid, signal.SIGUSR2)
            stack.lose_sight()
        assert len(list(Path(f"/proc/{stack.pid}/fd").iterdir())) <= descriptors
        assert pids(stack) == before
    assert not [pid for pid in before.values() if pid and is_alive(pid)]


def test_a_stackd_that_is_killed_in_the_middle_of_its_start_starts_nothing_twice(tmp_path: Path) -> None:
    services = "".join(f"[services.s{number}]\ncommand = ['sleep', '1000']\n" for number in range(20))
    stack = RunningStack(tmp_path, services)
    argv = [sys.executable, "-m", "supervisor_stack.cli.stackd", "-c", str(stack.config)]
    for delay in (0.10, 0.13, 0.15, 0.17, 0.19, 0.21):
        with (
            stack.output.open("ab") as output,
            subprocess.Popen(argv, stdout=output, stderr=output, env=stack.env) as early,
        ):
            time.sleep(delay)  # anywhere in its start: that is what is tried here
            early.kill()
    with stack:
        stack.until_up()
        names = sorted(f"s{number}" for number in range(20))
        # In the middle of execve(2) an environment looks empty.
        wait_until(lambda: set(marked(stack)) == set(names), "all are there")
        assert sorted(marked(stack)) == names


def test_a_stop_that_comes_before_stackd_listens_is_not_lost(tmp_path: Path) -> None:
    with RunningStack(tmp_path, THREE) as stack:
        stack.until_up()
        before = pids(stack)
        stack.die()
        argv = [sys.executable, "-m", "supervisor_stack.cli.stackd", "-c", str(stack.config)]
        with (
            stack.output.open("ab") as output,
            subprocess.Popen(argv, stdout=output, stderr=output, env=stack.env) as early,
        ):
            status = Path(f"/proc/{early.pid}/status")
            # signal(7): SIGTERM is 15. It is held back before anything of the stack is known.
            wait_until(lambda: blocked(status.read_text()) >> 14 & 1 == 1, "it holds back SIGTERM")
            early.send_signal(signal.SIGTERM)

            assert early.wait(30) == 0
        assert not [pid for pid in before.values() if pid and is_alive(pid)]


def blocked(status: str) -> int:
    return next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigBlk"))


def test_the_last_words_of_a_service_that_ended_while_nobody_looked_are_its_reason(tmp_path: Path) -> None:
    go = tmp_path / "go"
    # Its child holds the pipe, and is cleared away before the next run.
    # The next run finds no `go`, and stays.
    until_told = f"while ! rm {go} 2>/dev/null; do sleep 0.01; done"
    script = f"sleep 1000 & {until_told}; echo fatal: no such table; exit 3"
    with RunningStack(tmp_path, f"[services.app]\ncommand = ['sh', '-c', '{script}']\n") as stack:
        stack.until_up()
        pid = stack.pid_of("app")
        stack.die()
        go.touch()
        wait_until(lambda: not is_alive(pid), "app is gone")

        stack.come_back()

        detail = stack.until_run("app", 2).detail
        assert detail
        assert detail.exits[0].reason.endswith("fatal: no such table")
        assert stack.log("app").startswith("fatal: no such table\n")


WATCHED = """
[services.app]
command = ["sleep", "1000"]
watch = {{paths = ["{file}"], action = "restart", debounce = "{debounce}"}}
"""


def test_files_that_changed_while_no_stackd_was_there_are_taken_up_once(tmp_path: Path) -> None:
    file = tmp_path / "settings"
    file.write_text("old")
    with RunningStack(tmp_path, WATCHED.format(file=file, debounce="10ms")) as stack:
        stack.until_up()
        stack.die()
        file.write_text("new")

        stack.come_back()
        stack.until_run("app", 2)
        stack.die()
        stack.come_back()

        # Had the change been found once more, run 3 would be it.
        file.write_text("newer")
        stack.until_run("app", 3)
        stack.kill("app")
        assert stack.until_run("app", 4).restarts == 1


def test_a_change_that_has_not_come_to_rest_when_stackd_is_replaced_is_not_lost(tmp_path: Path) -> None:
    file = tmp_path / "settings"
    file.write_text("old")
    with RunningStack(tmp_path, WATCHED.format(file=file, debounce="2s")) as stack:
        stack.until_up()
        file.write_text("new")
        os.kill(stack.pid, signal.SIGUSR2)
        stack.lose_sight()

        stack.until_run("app", 2)


def test_what_a_run_reads_that_begins_after_the_change_is_no_change(tmp_path: Path) -> None:
    file = tmp_path / "settings"
    file.write_text("old")
    with RunningStack(tmp_path, WATCHED.format(file=file, debounce="10ms")) as stack:
        stack.until_up()
        pid = stack.pid_of("app")
        stack.die()
        file.write_text("new")
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not is_alive(pid), "app is gone")

        stack.come_back()
        stack.until_run("app", 2)

        # Had the change been found, run 3 would be it.
        file.write_text("newer")
        assert stack.until_run("app", 3).restarts == 1
        stack.kill("app")
        assert stack.until_run("app", 4).run == 4


def marked(stack: RunningStack) -> Iterator[str]:
    """The services that processes of this stack say to be of."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):  # it has just ended
            environ = process.environ()
            if process.name() == "sleep" and environ.get("STACKD_STACK") == str(stack.run_dir):
                yield environ["STACKD_SERVICE"]
