"""Real processes under a real stackd: started, ended, restarted, swept, stopped."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from supervisor_stack.control.messages import Restart, Shutdown, Signal, Start, Stop
from supervisor_stack.errors import RefusedError, UnknownServiceError
from tests.servers import wait_until
from tests.stack import RunningStack, is_alive

SLEEP = "command = ['sleep', '1000']"


def sh(script: str) -> str:
    return f"command = ['sh', '-c', {script!r}]"


def python(script: str) -> str:
    return f"command = ['{sys.executable}', '-c', '''{script}''']"


def test_a_service_runs_in_a_session_of_its_own_with_our_marker(tmp_path: Path) -> None:
    with RunningStack(tmp_path, f"[services.app]\n{SLEEP}") as stack:
        stack.until_up()
        pid = stack.pid_of("app")

        assert os.getsid(pid) == pid
        assert b"STACKD_SERVICE=app" in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")


def test_a_service_inherits_no_descriptor_of_stackd(tmp_path: Path) -> None:
    with RunningStack(tmp_path, f"[services.app]\n{SLEEP}") as stack:
        stack.until_up()

        assert sorted(fd.name for fd in Path(f"/proc/{stack.pid_of('app')}/fd").iterdir()) == ["0", "1", "2"]


def test_a_killed_service_is_back_with_a_new_run(tmp_path: Path) -> None:
    with RunningStack(tmp_path, f"[services.app]\n{SLEEP}") as stack:
        stack.until_up()
        old = stack.kill("app")
        now = stack.until_run("app", 2)

        assert now.pid != old
        assert now.restarts == 1
        assert now.detail is not None
        assert [exit_.reason for exit_ in now.detail.exits] == ["killed by SIGKILL"]


def test_children_that_outlive_their_parent_are_swept_before_the_next_run(tmp_path: Path) -> None:
    script = (
        "sleep 1001 & setsid sleep 1002 & (setsid sh -c 'setsid sleep 1003 &') ; echo up; exec sleep 1000"
    )
    with RunningStack(tmp_path, f"[services.app]\n{sh(script)}") as stack:
        stack.until_up()
        wait_until(lambda: _sleeping(stack) == {"1000", "1001", "1002", "1003"}, "all children are there")
        old = {process.pid for process in stack.descendants()}

        stack.kill("app")
        stack.until_run("app", 2)

        assert not [pid for pid in old if is_alive(pid)]


def test_a_stop_waits_until_the_last_process_is_gone(tmp_path: Path) -> None:
    script = "sleep 1001 & setsid sleep 1002 & exec sleep 1000"
    with RunningStack(tmp_path, f"[services.app]\n{sh(script)}") as stack:
        stack.until_up()
        wait_until(lambda: len(stack.descendants()) == 3, "all children are there")

        assert stack.operate(Stop(services=("app",))).ok
        assert not [process.pid for process in stack.descendants() if is_alive(process.pid)]


def test_a_service_that_ignores_its_stop_signal_is_killed_after_its_time(tmp_path: Path) -> None:
    script = "trap '' TERM; echo 1; while :; do sleep 1000; done"
    toml = f"[services.app]\n{sh(script)}\nstop_timeout = '200ms'"
    with RunningStack(tmp_path, toml) as stack:
        stack.until_up()
        wait_until(lambda: stack.log("app") == "1\n", "it ignores SIGTERM")

        assert stack.operate(Stop(services=("app",))).ok
        assert stack.service("app").reason == "did not stop within 0.2 s of SIGTERM: killed"


def test_a_stopped_process_can_be_stopped(tmp_path: Path) -> None:
    with RunningStack(tmp_path, f"[services.app]\n{SLEEP}") as stack:
        stack.until_up()
        stack.kill("app", signal.SIGSTOP)

        assert stack.operate(Stop(services=("app",)), deadline=5.0).ok


def test_a_crash_loop_ends_in_failed_with_the_reason_and_a_start_brings_it_back(tmp_path: Path) -> None:
    flag = tmp_path / "works"
    script = (
        f"import os, time; os.path.exists({str(flag)!r}) or exit('ValueError: no flag'); time.sleep(1000)"
    )
    limits = "backoff = {initial = '10ms'}\nstart_limit = {burst = 3, interval = 60}"
    toml = f"[services.app]\n{python(script)}\n{limits}"
    with RunningStack(tmp_path, toml) as stack:
        failed = stack.until_state("app", "failed")
        assert failed.reason == "gave up after 3 failures in 60 s: exit status 1: ValueError: no flag"
        assert failed.detail is not None
        assert failed.detail.evidence == ("ValueError: no flag",)
        assert stack.status().stack.state == "degraded"

        flag.touch()
        assert stack.operate(Start(services=("app",))).ok
        assert stack.status().stack.state == "running"


def test_a_program_that_does_not_exist_is_named(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/does/not/exist\n")
    program.chmod(0o755)
    with RunningStack(tmp_path, f"[services.app]\ncommand = ['{program}']\nrestart = 'never'") as stack:
        failed = stack.until_state("app", "failed")

        expected = f"cannot execute {program}: its interpreter (the first line of the script) does not exist"
        assert failed.reason == expected


def test_a_service_in_the_background_is_told_apart_from_a_crash(tmp_path: Path) -> None:
    toml = f"[services.app]\n{sh('sleep 1000 & exit 0')}\nready = {{type = 'tcp', address = '127.0.0.1:1'}}"
    with RunningStack(tmp_path, toml) as stack:
        failed = stack.until_state("app", "failed")

        assert "put itself into the background" in failed.reason
        assert stack.descendants() == []


HOLD_A_PORT = """
import socket, time
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
time.sleep(1000)
"""


def test_a_foreign_process_on_the_address_is_named_with_its_pid_and_command(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD_A_PORT], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        port = int(holder.stdout.readline())
        (tmp_path / "redis.conf").write_text(f"port {port}\nbind 127.0.0.1\n")
        toml = "[services.redis]\nkind = 'redis'\nconfig = 'redis.conf'\nrestart = 'never'"
        with RunningStack(tmp_path, toml) as stack:
            failed = stack.until_state("redis", "failed")
        holder.kill()

    assert failed.reason.startswith(f"127.0.0.1:{port} is in use by pid {holder.pid} ({sys.executable} -c")


def test_stop_and_start_follow_the_dependencies(tmp_path: Path) -> None:
    order = tmp_path / "order"
    script = (
        f"trap 'echo stop $0 >> {order}; exit 0' TERM; echo start $0 >> {order}; while :; do sleep 0.01; done"
    )
    parts = [("db", []), ("cache", []), ("app", ["db", "cache"]), ("web", ["app"])]
    toml = "\n".join(
        f"[services.{name}]\ncommand = ['sh', '-c', {script!r}, '{name}']\nrequires = {needs}\n"
        f"ready = {{type = 'exec', command = ['grep', '-q', 'start {name}', '{order}'], interval = '10ms'}}"
        for name, needs in parts
    )
    with RunningStack(tmp_path, toml) as stack:
        stack.until_up()
        started = order.read_text().split("\n")
        assert stack.operate(Stop()).ok
        stopped = order.read_text().split("\n")[4:]

    assert set(started[:2]) == {"start db", "start cache"}
    assert started[2:4] == ["start app", "start web"]
    assert stopped[:2] == ["stop web", "stop app"]
    assert set(stopped[2:4]) == {"stop db", "stop cache"}


def test_a_dependency_that_never_gets_ready_keeps_its_dependents_waiting_and_says_so(tmp_path: Path) -> None:
    toml = (
        f"[services.db]\n{SLEEP}\nready = {{type = 'tcp', address = '127.0.0.1:1'}}\n"
        f"start_timeout = '300ms'\nrestart = 'never'\n[services.app]\n{SLEEP}\nrequires = ['db']"
    )
    with RunningStack(tmp_path, toml) as stack:
        stack.until_state("db", "failed")
        reason = "not ready within 0.3 s: 127.0.0.1:1: connection refused"

        assert stack.service("db").reason == reason
        assert stack.service("app").reason == f"needs db (db is failed: {reason})"


def test_a_stop_during_the_start_wins(tmp_path: Path) -> None:
    toml = f"[services.db]\n{SLEEP}\nready = {{type = 'tcp', address = '127.0.0.1:1'}}"
    with RunningStack(tmp_path, toml) as stack:
        stack.until(lambda: stack.service("db").pid is not None, "db is starting")

        assert stack.operate(Stop(services=("db",)), deadline=5.0).ok
        assert stack.service("db").state == "stopped"


def test_a_restart_makes_a_new_run_and_does_not_count_as_a_crash(tmp_path: Path) -> None:
    with RunningStack(tmp_path, f"[services.app]\n{SLEEP}") as stack:
        old = stack.until_up().services[0].pid

        assert stack.operate(Restart(services=("app",))).ok
        now = stack.service("app")

        assert (now.run, now.restarts, now.ready) == (2, 0, True)
        assert now.pid != old


def test_a_task_runs_to_its_end_before_what_requires_it(tmp_path: Path) -> None:
    toml = (
        f"[services.migrate]\n{sh('echo done')}\ntype = 'task'\n"
        f"[services.app]\n{sh(f'cat {tmp_path}/log/migrate.log; exec sleep 1000')}\nrequires = ['migrate']"
    )
    with RunningStack(tmp_path, toml) as stack:
        stack.until_up()
        wait_until(lambda: stack.log("app") == "done\n", "the app saw the task's work")

        assert stack.service("migrate").state == "exited"


def test_limits_niceness_and_oom_score_reach_the_process(tmp_path: Path) -> None:
    toml = f"[services.app]\n{SLEEP}\nlimits = {{nofile = 512}}\nnice = 5\noom_score_adj = 300\numask = '027'"
    with RunningStack(tmp_path, toml) as stack:
        stack.until_up()
        pid = stack.pid_of("app")
        wait_until(
            lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\n", "the chain has become the service"
        )
        limits = Path(f"/proc/{pid}/limits").read_text()

        assert "Max open files            512                  512" in limits
        assert os.getpriority(os.PRIO_PROCESS, pid) == 5
        assert Path(f"/proc/{pid}/oom_score_adj").read_text() == "300\n"
        assert "Umask:\t0027" in Path(f"/proc/{pid}/status").read_text()


@pytest.mark.parametrize("chained", ["", "nice = 3\n"])
def test_a_service_runs_as_its_user_with_its_groups(tmp_path: Path, chained: str) -> None:
    tmp_path.chmod(0o755)
    with RunningStack(tmp_path, f"[services.app]\n{SLEEP}\nuser = 'www-data'\ncwd = '/'\n{chained}") as stack:
        stack.until_up()
        pid = stack.pid_of("app")
        wait_until(
            lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\n", "the chain has become the service"
        )
        status = Path(f"/proc/{pid}/status").read_text()

        assert "Uid:\t33\t33\t33\t33\nGid:\t33\t33\t33\t33" in status
        assert "Groups:\t33 \n" in status
        assert b"HOME=/var/www" in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")


def test_a_second_daemon_is_refused_and_disturbs_nothing(tmp_path: Path) -> None:
    with RunningStack(tmp_path, f"[services.app]\n{SLEEP}") as stack:
        stack.until_up()
        pid = stack.pid_of("app")
        other = tmp_path / "other.toml"
        other.write_text(
            re.sub("(?m)^log_dir.*$", f'log_dir = "{tmp_path}/unmade"', stack.config.read_text())
        )
        assert "unmade" in other.read_text()
        second = subprocess.run(
            [sys.executable, "-m", "supervisor_stack.cli.stackd", "--log-level", "DEBUG", "-c", str(other)],
            check=False,
            capture_output=True,
            text=True,
            env=stack.env,
            timeout=10,
        )

        assert second.returncode == 73
        assert f"another one (pid {stack.pid}) runs on {stack.run_dir}" in second.stderr
        assert stack.pid_of("app") == pid
        assert not (tmp_path / "unmade").exists()


def test_a_stale_control_socket_is_no_obstacle(tmp_path: Path) -> None:
    with RunningStack(tmp_path, f"[services.app]\n{SLEEP}") as stack:
        stack.until_up()
        app = stack.pid_of("app")
        assert stack.process is not None
        stack.process.kill()
        stack.process.wait()
    os.kill(app, signal.SIGKILL)
    assert (tmp_path / "run" / "control.sock").exists()

    with RunningStack(tmp_path, f"[services.app]\n{SLEEP}") as stack:
        stack.until_up()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_everything_in_order_and_exits_with_0(tmp_path: Path, number: signal.Signals) -> None:
    toml = f"[services.db]\n{SLEEP}\n[services.app]\n{SLEEP}\nrequires = ['db']"
    with RunningStack(tmp_path, toml) as stack:
        stack.until_up()
        children = [process.pid for process in stack.descendants()]
        os.kill(stack.pid, number)
        assert stack.process is not None

        assert stack.process.wait(10) == 0
        assert not [pid for pid in children if is_alive(pid)]
        told = stack.output.read_text()
        assert told.index("app: stopping -> stopped") < told.index("db: running -> stopping")


def test_a_shutdown_request_answers_and_ends_the_daemon(tmp_path: Path) -> None:
    with RunningStack(tmp_path, f"[services.app]\n{SLEEP}") as stack:
        stack.until_up()

        assert stack.operate(Shutdown()).ok
        assert stack.process is not None
        assert stack.process.wait(10) == 0


def test_requests_that_make_no_sense_are_refused_with_their_kind(tmp_path: Path) -> None:
    toml = f"[services.db]\n{SLEEP}\n[services.app]\n{SLEEP}\nrequires = ['db']"
    with RunningStack(tmp_path, toml) as stack:
        stack.until_up()

        with pytest.raises(UnknownServiceError):
            stack.operate(Start(services=("nope",)))
        with pytest.raises(RefusedError, match="cannot stop db: needed by app"):
            stack.operate(Stop(services=("db",)))
        assert stack.status().stack.state == "running"


def test_a_signal_by_name_reaches_the_main_process(tmp_path: Path) -> None:
    script = "trap 'echo got' USR1; echo up; while :; do sleep 0.01; done"
    with RunningStack(tmp_path, f"[services.app]\n{sh(script)}") as stack:
        stack.until_up()
        wait_until(lambda: "up" in stack.log("app"), "the trap is set")

        stack.client.request(Signal(service="app", signal="USR1"))

        wait_until(lambda: "got" in stack.log("app"), "the signal arrived")


def test_a_storm_of_restarts_leaves_one_process_and_nothing_else(tmp_path: Path) -> None:
    toml = f"[services.app]\n{sh('sleep 1001 & exec sleep 1000')}"
    with RunningStack(tmp_path, toml) as stack:
        stack.until_up()
        descriptors = open_descriptors(stack)
        for _ in range(50):
            assert stack.operate(Restart(services=("app",))).ok
        wait_until(lambda: _sleeping(stack) == {"1000", "1001"}, "only the last run is there")

        assert len(stack.descendants()) == 2
        assert open_descriptors(stack) == descriptors
        assert stack.service("app").run == 51


def open_descriptors(stack: RunningStack) -> int:
    return sum(1 for _ in Path(f"/proc/{stack.pid}/fd").iterdir())


def _sleeping(stack: RunningStack) -> set[str]:
    return {shlex.join(process.cmdline()).removeprefix("sleep ") for process in stack.descendants()}


TELL_READY = """
import os, socket, time
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
    told.connect(os.environ["NOTIFY_SOCKET"])
    told.send(b"STATUS=loading the model")
    while not os.path.exists("go"):
        time.sleep(0.005)
    told.send(b"READY=1")
time.sleep(1000)
"""


def test_a_service_that_tells_by_itself_is_ready_when_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(TELL_READY)
    toml = f"[services.app]\ncommand = ['{sys.executable}', 'app.py']\nready = {{type = 'notify'}}"
    with RunningStack(tmp_path, toml) as stack:
        wait_until(lambda: stack.service("app").reason == "loading the model", "its status is shown")
        assert stack.service("app").state == "starting"
        (tmp_path / "go").touch()

        assert stack.until_state("app", "running").ready


def test_a_service_without_a_log_leaves_none(tmp_path: Path) -> None:
    with RunningStack(tmp_path, f"[services.app]\n{SLEEP}\nlog = {{to = 'null'}}") as stack:
        stack.until_up()

        assert str(Path(f"/proc/{stack.pid_of('app')}/fd/1").readlink()) == "/dev/null"
        assert list(stack.log_dir.iterdir()) == []


def test_the_environment_file_is_read_and_env_wins(tmp_path: Path) -> None:
    (tmp_path / "app.env").write_text("COLOUR=blue\nSIZE='very large'\n")
    toml = f"[services.app]\n{SLEEP}\nenv_file = 'app.env'\nenv = {{COLOUR = 'green'}}"
    with RunningStack(tmp_path, toml) as stack:
        stack.until_up()
        environ = Path(f"/proc/{stack.pid_of('app')}/environ").read_bytes().split(b"\0")

        assert {b"COLOUR=green", b"SIZE=very large"} < set(environ)
