"""What services print, under a real stackd: where it goes, and what is told of it."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from supervisor_stack.control.messages import Start, Stop
from supervisor_stack.daemon.output.journal import SOCKET
from tests.servers import wait_until
from tests.stack import RunningStack

CRASH = (
    "for n in range(20_000): print(f'{n:06d}', 'x' * 90)\nprint('ValueError: no more')\nraise SystemExit(1)"
)


def python(script: str) -> str:
    return f"command = ['{sys.executable}', '-c', '''{script}''']\n"


def test_the_reason_of_a_crash_is_the_last_line_even_after_a_rotation(tmp_path: Path) -> None:
    toml = f"[services.app]\n{python(CRASH)}restart = 'never'\nlog = {{max_bytes = 100_000, keep = 100}}\n"
    with RunningStack(tmp_path, toml) as stack:
        app = stack.until_state("app", "failed")

        assert app.reason == "exit status 1: ValueError: no more"
        files = [*stack.log_dir.glob("app.log.*"), stack.log_dir / "app.log"]
        assert len(files) == 20
        assert sum(len(path.read_text().splitlines()) for path in files) == 20_001


def test_when_a_task_is_done_all_that_it_printed_is_in_the_log(tmp_path: Path) -> None:
    toml = "[services.task]\ncommand = ['seq', '1', '100000']\ntype = 'task'\n"
    with RunningStack(tmp_path, toml) as stack:
        stack.until_state("task", "exited")

        assert stack.log("task") == "".join(f"{n}\n" for n in range(1, 100_001))


def test_crashes_by_the_dozen_have_each_its_own_reason(tmp_path: Path) -> None:
    script = "import os; print(f'ValueError: {os.environ[\"STACKD_RUN\"]}'); raise SystemExit(1)"
    toml = (
        f"[services.app]\n{python(script)}backoff = {{initial = 0, max = 0}}\nstart_limit = {{burst = 29}}\n"
    )
    with RunningStack(tmp_path, toml) as stack:
        detail = stack.until_state("app", "failed").detail

        assert detail is not None
        for ended in detail.exits:
            assert ended.reason == f"exit status 1: ValueError: {ended.run}"


def test_a_service_that_never_stops_talking_is_stopped_by_force_each_time(tmp_path: Path) -> None:
    script = "trap '' TERM; sleep 1000 & while :; do echo once more; done"
    toml = f"[services.app]\ncommand = ['sh', '-c', \"{script}\"]\nstop_timeout = 0.05\n"
    with RunningStack(tmp_path, toml) as stack:
        for run in range(1, 11):
            stack.until_run("app", run)
            assert stack.operate(Stop(services=("app",))).ok
            assert stack.descendants() == []
            assert stack.operate(Start(services=("app",))).ok

        assert set(stack.log("app").splitlines()) == {"once more"}
    assert "internal error" not in stack.output.read_text()


def test_a_changed_limit_counts_without_a_new_run(tmp_path: Path) -> None:
    script = "import signal, sys\nwhile True: signal.sigwait([signal.SIGUSR1]); print('x' * 99, flush=True)"
    toml = (
        "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])\nprint('up', flush=True)\n"
    )
    service = f"[services.app]\n{python(toml + script)}"
    with RunningStack(tmp_path, service) as stack:
        stack.until_up()
        pid = stack.pid_of("app")
        wait_until(lambda: stack.log("app") == "up\n", "it is ready for signals")
        stack.config.write_text(stack.config.read_text() + "log = {max_bytes = 1, keep = 1}\n")
        os.kill(stack.pid, signal.SIGHUP)
        stack.until_log("log.max_bytes, log.keep are taken up at once")
        os.kill(pid, signal.SIGUSR1)
        wait_until((stack.log_dir / "app.log.1").exists, "it is rotated")

        assert stack.pid_of("app") == pid


def test_a_service_that_is_removed_leaves_its_log_and_no_pipe(tmp_path: Path) -> None:
    keep = "[services.keep]\ncommand = ['sleep', '1000']\n"
    with RunningStack(
        tmp_path, f"{keep}[services.app]\ncommand = ['sh', '-c', 'echo hello; exec sleep 1000']\n"
    ) as stack:
        stack.until_up()
        fifo = stack.run_dir / "output" / "app"
        assert fifo.is_fifo()
        stack.config.write_text(stack.config.read_text().partition("[services.app]")[0])
        os.kill(stack.pid, signal.SIGHUP)
        wait_until(lambda: not fifo.exists(), "its pipe is gone")

        assert stack.log("app") == "hello\n"
        assert (stack.run_dir / "output" / "keep").is_fifo()
    assert not list((tmp_path / "run" / "output").iterdir())


def test_the_journal_is_used_where_there_is_one_and_missed_where_not(tmp_path: Path) -> None:
    toml = "[services.app]\ncommand = ['sh', '-c', 'exit 3']\nrestart = 'never'\nlog = {to = 'journal'}\n"
    with RunningStack(tmp_path, toml) as stack:
        app = stack.until_state("app", "failed")

    if Path(SOCKET).exists():
        assert app.reason == "exit status 3: its words are in the journal: journalctl -t app"
    else:
        assert app.reason == f"cannot log to the journal: {SOCKET}: No such file or directory"
        assert app.detail is not None
        assert app.detail.evidence == ('`log.to = "journal"` needs a running systemd-journald; write "file"',)
