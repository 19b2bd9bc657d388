"""A thousand services: started, told of, crashed at the same moment, stopped, while stackd answers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from supervisor_stack.control.client import StackClient
from supervisor_stack.control.messages import Start, Status
from tests.stack import RunningStack

MANY = 1000
SERVICE = """
[services.s{number:04}]
command = ['/bin/sleep', '100000']
backoff = {{initial = '10ms', max = '20ms'}}
"""


@pytest.mark.timeout(120)
def test_a_thousand_services_crash_at_once_and_all_come_back_while_stackd_answers(tmp_path: Path) -> None:
    with RunningStack(tmp_path, services(MANY)) as stack:
        before = stack.until_up(60).services
        pids = [service.pid for service in before]
        assert None not in pids
        assert len(set(pids)) == MANY

        for pid in pids:
            os.kill(pid or 0, signal.SIGKILL)
        answers = 0
        with StackClient(stack.client.endpoint) as another:
            while any(service.run < 2 or not service.ready for service in another.request(Status()).services):
                answers += 1  # each within the time-out of the client, or it raises
        # And a second time, now that all have to wait for their backoff at the same time.
        for service in stack.status().services:
            os.kill(service.pid or 0, signal.SIGKILL)
        stack.until(
            lambda: all(each.run >= 3 and each.ready for each in stack.status().services), "runs 3", 60
        )

        assert answers > 1
        assert stack.status().stack.state == "running"
        assert "internal error" not in stack.output.read_text()
        assert "stood still" not in stack.output.read_text()


@pytest.mark.timeout(180)
def test_three_thousand_are_started_by_one_request_and_leave_nothing_behind(tmp_path: Path) -> None:
    toml = services(3000, "autostart = false\n")
    with RunningStack(tmp_path, toml) as stack:
        *_, finished = stack.client.operate(Start(), timeout=120)
        pids = [service.pid for service in stack.status().services]

    assert getattr(finished, "ok", False)
    assert len(set(pids)) == 3000
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_every_mistake_among_three_thousand_services_is_found(tmp_path: Path) -> None:
    config = tmp_path / "stackd.toml"
    config.write_text(f'[stack]\nruntime_dir = "{tmp_path}/run"\n' + services(3000, "restrat = 1\n"))

    command = [sys.executable, "-m", "supervisor_stack.cli.stackd", "-c", str(config), "--check"]
    told = subprocess.run(command, check=False, capture_output=True, text=True)

    assert told.returncode == os.EX_CONFIG
    assert len([line for line in told.stdout.splitlines() if "restrat: unknown key" in line]) == 3000


def services(count: int, keys: str = "") -> str:
    """So many tables of services."""
    return "".join(SERVICE.format(number=number) + keys for number in range(count))
