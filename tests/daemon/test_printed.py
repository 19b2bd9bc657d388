"""What commands print that are run beside a service."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from supervisor_stack.daemon.printed import MAX_OUTPUT
from supervisor_stack.daemon.process import Processes
from supervisor_stack.errors import SpawnError
from tests.servers import wait_until
from tests.stack import RunningStack, is_alive

NOBODY = 65534


def run(script: str, user: int | None = None) -> tuple[int, str, str]:
    async def story() -> tuple[int, str, str]:
        processes = Processes(asyncio.get_running_loop())
        processes.open()
        argv = ("sh", "-c", script)
        group, groups = (None, None) if user is None else (user, [user])
        return await processes.run(argv, 20, env=os.environ, cwd="/", user=user, group=group, groups=groups)

    return asyncio.run(story())


def test_both_streams_come_whole_and_apart() -> None:
    much = MAX_OUTPUT - 1000

    code, out, err = run(
        f"head -c {much} /dev/zero; head -c {much} /dev/zero | tr '\\0' e >&2; echo end; exit 3"
    )

    assert (code, len(out), out[-5:], len(err), err[-1]) == (3, much + 4, "\0end\n", much, "e")


def test_a_command_that_prints_for_ever_is_killed() -> None:
    with pytest.raises(SpawnError, match="sh was killed: it printed more than 16 MiB"):
        run("yes")
    with pytest.raises(SpawnError, match="sh was killed: it printed more than 16 MiB"):
        run("yes >&2")


def test_what_a_command_leaves_behind_is_not_waited_for() -> None:
    code, _, left = run("(while :; do echo more; done) & echo $! >&2")

    assert code == 0
    wait_until(lambda: not is_alive(int(left)), "nobody listens any more, and that ends it")


@pytest.mark.parametrize("user", [None, NOBODY])
def test_a_command_may_open_its_streams_once_more(user: int | None) -> None:
    assert run("echo one; echo two >> /dev/stdout; echo three > /dev/stderr", user) == (
        0,
        "one\ntwo\n",
        "three\n",
    )


def test_the_probe_of_a_service_that_prints_for_ever_fails_with_that_reason(tmp_path: Path) -> None:
    toml = "[services.app]\ncommand = ['sleep', '1000']\nstart_timeout = 60\n"
    toml += "ready = {type = 'exec', command = ['yes'], timeout = 20}\n"
    with RunningStack(tmp_path, toml) as stack:
        wait_until(lambda: "more than 16 MiB" in str(stack.service("app")), "it says so")
