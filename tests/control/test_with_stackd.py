"""Both clients and a real stackd, which dies and is replaced."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest

from supervisor_stack import errors
from supervisor_stack.control.client import StackClient
from tests.control.driven import Connect
from tests.stack import DEADLINE, RunningStack

SERVICES = """
[services.db]
command = ["sleep", "1000"]

[services.web]
command = ["sleep", "1000"]
requires = ["db"]

[services.migrate]
type = "task"
command = ["true"]
autostart = false

[services.broken]
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


@pytest.fixture
def client(connect: Connect, stack: RunningStack) -> Iterator[StackClient]:
    with connect(stack.client.endpoint) as client:
        yield client


def test_what_a_person_does_in_a_day(client: StackClient) -> None:
    before = client.status("web").services[0].pid
    assert client.restart("web", timeout=DEADLINE).ok
    assert client.wait("web", timeout=DEADLINE).services[0].pid != before
    with pytest.raises(errors.RefusedError, match="cannot stop db: needed by web"):
        client.stop("db")
    assert [each.state for each in client.stop("db", cascade=True, timeout=DEADLINE).outcomes] == [
        "stopped"
    ] * 2
    assert client.wait("web", state="stopped").services[0].active == "inactive"
    assert client.start("web", timeout=DEADLINE).ok


def test_a_task_that_is_done_is_ready_and_one_that_failed_is_not(client: StackClient) -> None:
    assert client.start("migrate", timeout=DEADLINE).ok
    assert client.wait("migrate", timeout=DEADLINE).services[0].state == "exited"
    with pytest.raises(errors.OperationError, match="cannot start broken: exit status 3: no such table"):
        client.start("broken", timeout=DEADLINE)
    with pytest.raises(errors.OperationError, match="cannot see broken ready: it failed for good"):
        client.wait("broken", timeout=DEADLINE)
    client.reset("broken")


def test_a_client_outlives_a_stackd_that_is_killed(client: StackClient, stack: RunningStack) -> None:
    pid = client.status("web").services[0].pid

    stack.die()
    assert client.wait_gone(DEADLINE)
    with pytest.raises(errors.UnreachableError, match="it is not running"):
        client.status()
    stack.come_back()

    assert client.wait("db", "web", timeout=DEADLINE).services[1].pid == pid


def test_a_subscription_goes_on_when_stackd_is_replaced(client: StackClient, stack: RunningStack) -> None:
    since = client.status().stackd.since
    seq = client.events().seq
    notices = client.subscribe(0, timeout=DEADLINE)
    told = [*takewhile(lambda each: each.seq < seq, notices)]
    assert told

    os.kill(stack.pid, signal.SIGUSR2)
    stack.lose_sight()
    assert stack.status().stackd.since != since
    stack.client.stop("web", timeout=DEADLINE)

    anew = next(each for each in notices if each.service == "web" and each.state == "stopped")
    assert anew.seq < seq + len(told)
    assert anew.seq <= stack.status().seq


def test_nobody_is_refused_while_stackd_is_replaced(
    client: StackClient, stack: RunningStack, connect: Connect
) -> None:
    since = client.status().stackd.since

    os.kill(stack.pid, signal.SIGUSR2)

    asked = 0
    while client.status().stackd.since == since:
        with connect(client.endpoint) as another:
            another.status()
        asked += 1
    assert asked
    stack.lose_sight()


def test_after_shutdown_nobody_is_there(client: StackClient, stack: RunningStack) -> None:
    client.shutdown(timeout=DEADLINE)

    with pytest.raises(errors.UnreachableError):
        client.status()
    assert stack.process
    assert stack.process.wait(DEADLINE) == 0
