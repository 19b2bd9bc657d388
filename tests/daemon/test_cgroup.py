"""Real cgroups: whether one is ours to use, and what is done in it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from supervisor_stack.daemon import cgroup
from supervisor_stack.daemon.cgroup import Cgroups
from supervisor_stack.daemon.inotify import Inotify
from supervisor_stack.daemon.marks import Owner
from supervisor_stack.errors import SpawnError
from tests.daemon.delegated import delegated, entering, names
from tests.servers import DEADLINE

ROOT = Path(__file__).parents[2]

FIND = """
import asyncio, logging, sys
from supervisor_stack.daemon import cgroup
logging.basicConfig(stream=sys.stdout, format="%(message)s")
async def find():
    found = cgroup.find(asyncio.get_running_loop())
    print(found and found.folder, flush=True)
    sys.stdin.readline()
asyncio.run(find())
"""

# Forks as fast as it can, so that there is always a process that was not there a moment ago.
BREEDER = """
import os, time
for _ in range(20):
    os.fork()
    time.sleep(0.001)
    if os.fork():
        os._exit(0)
"""


@contextmanager
def finder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process in that cgroup that looks for what is delegated, says so, and keeps it."""
    argv = [*entering(folder), sys.executable, "-c", FIND]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=ROOT) as process:
        yield process
        process.communicate("\n", DEADLINE)
        assert process.returncode == 0


def found(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip()


@pytest.mark.parametrize("attribute", ["user.delegate", "trusted.delegate"])
def test_what_systemd_delegated_is_used(attribute: str) -> None:
    with delegated(attribute) as folder, finder(folder) as process:
        assert found(process) == str(folder)
        assert names(folder) == set()


def test_what_nobody_delegated_is_left_alone() -> None:
    with delegated("user.something") as folder, finder(folder) as process:
        assert found(process) == "None"


def test_two_stackds_in_one_cgroup_do_not_share_it() -> None:
    with delegated() as folder, finder(folder) as first:
        assert found(first) == str(folder)
        with finder(folder) as second:
            told = f"another stackd uses the delegated cgroup {folder}; services get none"
            assert found(second) == told
            assert found(second) == "None"


def test_a_cgroup_in_which_none_can_be_made_is_said_to_be_so() -> None:
    with delegated() as folder:
        (folder / "cgroup.max.descendants").write_text("0")
        with finder(folder) as process:
            assert "Resource temporarily unavailable; services get none" in found(process)
            assert found(process) == "None"


class Ward:
    """The cgroups of a test, and the processes in them; `emptied` has the runs that were told to be empty."""

    def __init__(self, folder: Path, cgroups: Cgroups) -> None:
        self.folder = folder
        self.cgroups = cgroups
        self.emptied: asyncio.Queue[Owner] = asyncio.Queue()
        cgroups.emptied = self.emptied.put_nowait

    async def start(self, run: int, script: str) -> asyncio.subprocess.Process:
        """A shell in the cgroup of a run of `app`, when it has said something."""
        words = self.cgroups.make("app", run)
        process = await asyncio.create_subprocess_exec(
            *words, "sh", "-c", script, stdout=asyncio.subprocess.PIPE, start_new_session=True
        )
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), DEADLINE)
        return process

    async def until_empty(self) -> Owner:
        """The next one."""
        return await asyncio.wait_for(self.emptied.get(), DEADLINE)


@asynccontextmanager
async def ward() -> AsyncIterator[Ward]:
    with delegated() as folder:
        inotify = Inotify(asyncio.get_running_loop())
        path, own = cgroup.own()
        yield Ward(
            folder, Cgroups(str(folder), f"{path.rstrip('/')}{str(folder).removeprefix(own)}", inotify)
        )
        inotify.close()


def in_a_ward(test: Callable[[Ward], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    async def run() -> None:
        async with ward() as there:
            await test(there)

    def run_test() -> None:
        asyncio.run(run())

    return run_test


ESCAPE = "( setsid env -i sleep 1000 & ) ; "


@in_a_ward
async def test_the_processes_of_a_run_are_known_wherever_they_go(ward: Ward) -> None:
    one = await ward.start(1, f"{ESCAPE} echo up; exec sleep 1000")
    two = await ward.start(2, "echo up; exec sleep 1000")

    assert len(ward.cgroups.pids("app", 1)) == 2
    assert ward.cgroups.pids("app", 2) == [two.pid]
    assert len(ward.cgroups.pids("app", None)) == 3
    for pid in ward.cgroups.pids("app", 1):
        assert ward.cgroups.owner(pid) == Owner("app", 1)
    assert ward.cgroups.owner(os.getpid()) is None
    assert set(ward.cgroups.owners()) == {Owner("app", 1), Owner("app", 2)}

    ward.cgroups.kill("app", 1)
    assert await ward.until_empty() == Owner("app", 1)
    assert two.returncode is None
    ward.cgroups.kill("app", None)
    assert await ward.until_empty() == Owner("app", 2)
    ward.cgroups.remove("app", 1)
    assert names(ward.folder) == {"service-app", "service-app/run-2"}
    ward.cgroups.remove("app", 2)
    assert names(ward.folder) == set()
    await asyncio.gather(one.wait(), two.wait())


@in_a_ward
async def test_cgroups_that_a_service_made_for_itself_count_and_go_with_it(ward: Ward) -> None:
    place = ward.folder / "service-app/run-1"
    script = f"mkdir -p {place}/a/b; sleep 1000 & echo $! >{place}/a/b/cgroup.procs; echo up; exec sleep 1000"
    process = await ward.start(1, script)

    assert len(ward.cgroups.pids("app", 1)) == 2
    inner = next(pid for pid in ward.cgroups.pids("app", 1) if pid != process.pid)
    assert ward.cgroups.owner(inner) == Owner("app", 1)
    ward.cgroups.kill("app", 1)
    await ward.until_empty()
    ward.cgroups.remove("app", 1)

    assert names(ward.folder) == set()
    await process.wait()


@in_a_ward
async def test_one_that_is_not_empty_stays(ward: Ward) -> None:
    process = await ward.start(1, "echo up; exec sleep 1000")

    ward.cgroups.remove("app", 1)

    assert ward.cgroups.pids("app", 1) == [process.pid]
    process.kill()
    assert await ward.until_empty() == Owner("app", 1)
    ward.cgroups.remove("app", 1)
    await process.wait()


@in_a_ward
async def test_on_an_old_kernel_each_process_is_killed_before_it_forks_again(ward: Ward) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cgroup, "_KILL", "cgroup.kill-of-a-newer-kernel")
        process = await ward.start(1, f"echo up; while :; do {sys.executable} -c '{BREEDER}' & done")

        ward.cgroups.kill("app", 1)

    assert await ward.until_empty() == Owner("app", 1)
    ward.cgroups.remove("app", 1)
    assert await process.wait() == -signal.SIGKILL


@in_a_ward
async def test_no_room_for_another_cgroup_is_told_with_its_cause(ward: Ward) -> None:
    (ward.folder / "cgroup.max.descendants").write_text("0")

    with pytest.raises(SpawnError) as raised:
        ward.cgroups.make("app", 1)

    place = ward.folder / "service-app"
    assert raised.value.message == f"cannot make the cgroup {place}/run-1: Resource temporarily unavailable"


@in_a_ward
async def test_a_command_that_cannot_enter_is_not_run(ward: Ward) -> None:
    words = ward.cgroups.make("app", 1)
    ward.cgroups.remove("app", 1)

    process = await asyncio.create_subprocess_exec(
        *words, "echo", "it runs", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()

    assert process.returncode == 1
    assert out == b""
    cause, told = err.decode().splitlines()
    assert cause.endswith("Directory nonexistent")
    assert told == f"cannot enter the cgroup {ward.folder}/service-app/run-1"


def test_the_limit_of_watches_costs_the_events_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        with delegated() as folder:
            inotify = Inotify(asyncio.get_running_loop())
            inotify.close()  # the limit is the whole machine's; this fails at the same place
            cgroups = Cgroups(str(folder), f"/{folder.name}", inotify)
            cgroups.make("app", 1)
            cgroups.remove("app", 1)
            assert names(folder) == set()

    asyncio.run(scenario())
    assert "app: cannot watch the cgroup of run 1: Bad file descriptor" in caplog.text
