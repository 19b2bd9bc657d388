"""stackd is stopped for longer than anything may take, and nothing is punished for that."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from tests.stack import RunningStack

READY_IN_TIME = (
    "import os, socket, sys, time\n"
    "while not os.path.exists(sys.argv[1]): time.sleep(0.01)\n"
    "address = os.environ['NOTIFY_SOCKET']\n"
    "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'READY=1', address)\n"
    "open(sys.argv[1] + '.told', 'w').close()\n"
    "time.sleep(1000)\n"
)
LEAVES_IN_TIME = "trap 'touch {0}; exit 0' TERM; touch {0}.up; while :; do sleep 0.05; done"


def stand_still(stack: RunningStack, until: float) -> None:
    """SIGSTOP for so long, and SIGCONT."""
    os.kill(stack.pid, signal.SIGSTOP)
    time.sleep(until)
    os.kill(stack.pid, signal.SIGCONT)


def test_a_service_that_became_ready_meanwhile_is_not_ended_for_being_late(tmp_path: Path) -> None:
    go = tmp_path / "go"
    toml = f"""[services.app]
command = ["python3", "-c", '''{READY_IN_TIME}''', "{go}"]
ready = {{type = "notify"}}
start_timeout = 1
"""
    with RunningStack(tmp_path, toml) as stack:
        stack.until_state("app", "starting")
        pid = stack.pid_of("app")
        os.kill(stack.pid, signal.SIGSTOP)
        go.touch()
        while not Path(f"{go}.told").exists():
            time.sleep(0.01)
        stand_still(stack, 2.5)

        assert stack.until_run("app", 1).pid == pid
        stack.until_log("stackd stood still for")


def test_a_service_that_left_meanwhile_was_not_killed(tmp_path: Path) -> None:
    left = tmp_path / "left"
    toml = f"[services.app]\ncommand = ['sh', '-c', '''{LEAVES_IN_TIME.format(left)}''']\nstop_timeout = 1\n"
    with RunningStack(tmp_path, toml) as stack:
        stack.until_up()
        while not Path(f"{left}.up").exists():
            time.sleep(0.01)
        os.kill(stack.pid, signal.SIGTERM)
        while not left.exists():
            time.sleep(0.01)
        stand_still(stack, 2.5)
        assert stack.process
        stack.process.wait(20)

    assert "killed" not in stack.output.read_text()
