"""Runs that an earlier stackd has started: found, cleared away and told apart from strangers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import pytest

from supervisor_stack.daemon import cgroup, proc
from supervisor_stack.daemon.cgroup import Cgroups
from supervisor_stack.daemon.inotify import Inotify
from supervisor_stack.daemon.marks import BESIDE, Marks
from supervisor_stack.daemon.members import Clearing, Members
from supervisor_stack.daemon.process import Processes
from tests.daemon.delegated import delegated, names
from tests.servers import DEADLINE, wait_until
from tests.stack import is_alive

ROOT = Path(__file__).parents[2]

# Starts what it is told, as stackd does, says its pid and waits to be killed.
EARLIER = """
import json, os, signal, subprocess, sys
from supervisor_stack.daemon.marks import Marks
folder, service, run, extra, *words = sys.argv[1:]
marks = Marks(folder)
env = {**os.environ, **marks.environment(service, int(run)), **json.loads(extra)}
stdin = marks.open_input(service, int(run))
pid = subprocess.Popen(words, stdin=stdin, env=env, start_new_session=True).pid
os.write(1, f"{pid}\\n".encode())
signal.pause()
"""

# As nginx and Redis do with their titles.
OVERWRITTEN = """
import ctypes, os, signal
with open("/proc/self/stat") as stat:
    start, end = map(int, stat.read().rsplit(")")[1].split()[47:49])
ctypes.memset(start, 0, end - start)
print("up", flush=True)
signal.pause()
"""


class Earlier:
    """What an earlier stackd has started for a stack, that is its folder; it is gone already."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._started: list[int] = []

    def run(self, number: int, *words: str, service: str = "app", env: str = "{}") -> int:
        """The main process of a run of a service, when it has said that it is up."""
        argv = [sys.executable, "-c", EARLIER, str(self.folder), service, str(number), env, *words]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=ROOT) as process:
            assert process.stdout is not None
            told = [process.stdout.readline(), process.stdout.readline()]
            assert b"up\n" in told
            process.kill()
        pid = next(int(line) for line in told if line != b"up\n")
        self._started.append(pid)
        return pid

    def shell(self, number: int, script: str, service: str = "app") -> int:
        """The same of a shell script."""
        return self.run(number, "sh", "-c", script, service=service)

    def end(self) -> None:
        """End what is left, also where a test failed."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                if os.getsid(process.pid) in self._started or Marks(str(self.folder)).owner(process.pid):
                    process.kill()


@pytest.fixture
def earlier(tmp_path: Path) -> Iterator[Earlier]:
    there = Earlier(tmp_path)
    yield there
    there.end()


class Later:
    """The Members of the stackd that comes after it."""

    def __init__(self, folder: Path, cgroups: Cgroups | None = None) -> None:
        loop = asyncio.get_running_loop()
        self.processes = Processes(loop)
        self.members = Members(self.processes, Marks(str(folder)), cgroups)

    def adopt(self, run: int, pid: int, started: int | None = None) -> None:
        """Adopt a run of `app`, as it is noted in its state."""
        told = proc.stat(pid)
        assert told is not None or started is not None
        self.members.adopt("app", run, pid, told.started if started is None and told else started or 0)

    def cleared(self, run: int | None, main: int, kill: bool) -> asyncio.Event:
        """Set when nothing is left."""
        done = asyncio.Event()
        self.members.clear(Clearing("app", run, kill, lambda: not is_alive(main), done.set))
        return done


async def until(done: asyncio.Event) -> None:
    async with asyncio.timeout(DEADLINE):
        await done.wait()


def below(pid: int) -> set[int]:
    return {process.pid for process in psutil.Process(pid).children(recursive=True)}


def test_its_main_processes_are_found_by_what_marks_them(earlier: Earlier, tmp_path: Path) -> None:
    async def scenario() -> None:
        one = earlier.shell(3, "setsid sleep 1000 & (setsid sleep 1000 &); echo up; exec sleep 1000")
        wiped = earlier.run(1, sys.executable, "-c", OVERWRITTEN, service="web")
        other = earlier.shell(2, "exec </dev/null; echo up; exec sleep 1000", service="cache")
        earlier.run(9, "sh", "-c", "exec </dev/null; echo up; exec sleep 1000", env=json.dumps(BESIDE))

        found = Later(tmp_path).members.leaders()

        assert found == {"app": {3: one}, "web": {1: wiped}, "cache": {2: other}}

    asyncio.run(scenario())


@pytest.mark.parametrize("main", ["alive", "dead"])
def test_all_its_processes_are_killed_and_the_end_of_each_is_noticed(
    earlier: Earlier, tmp_path: Path, main: str
) -> None:
    async def scenario() -> None:
        script = "(setsid sleep 1000 </dev/null &); (env -i sleep 1000 </dev/null &); sleep 1000 & echo up; "
        pid = earlier.shell(1, f"{script} exec sleep 1000")
        mine = {each for each in processes_of(tmp_path, pid) if each != pid}
        assert len(mine) == 3
        told = proc.stat(pid)
        assert told is not None
        if main == "dead":
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: not is_alive(pid), "it is gone")
        later = Later(tmp_path)
        later.adopt(1, pid, told.started)
        waiting = later.cleared(1, pid, kill=False)
        if main == "alive":
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: not is_alive(pid), "it is gone")
            later.members.look_again("app")
        assert set(later.members.left_by("app", 1)) == mine
        assert not waiting.is_set()
        await until(later.cleared(1, pid, kill=True))

        assert not [each for each in mine if is_alive(each)]
        assert not waiting.is_set()  # it was replaced
        assert later.members.leaders() == {}

    asyncio.run(scenario())


def processes_of(folder: Path, session: int) -> set[int]:
    marks = Marks(str(folder))
    found = set()
    for pid in proc.pids():
        with contextlib.suppress(ProcessLookupError):
            if os.getsid(pid) == session or marks.owner(pid):
                found.add(pid)
    return found


def test_it_is_cleared_when_the_last_one_leaves_by_itself(earlier: Earlier, tmp_path: Path) -> None:
    async def scenario() -> None:
        pid = earlier.shell(1, "sleep 1000 & sleep 1000 & echo up; exec sleep 1000")
        first, second = below(pid)
        later = Later(tmp_path)
        later.adopt(1, pid)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not is_alive(pid), "it is gone")
        done = later.cleared(1, pid, kill=False)
        assert set(later.members.orphans("app", 1)) == {first, second}

        os.kill(first, signal.SIGKILL)
        wait_until(lambda: not is_alive(first), "one is gone")
        await asyncio.sleep(0)
        assert not done.is_set()
        os.kill(second, signal.SIGKILL)

        await until(done)

    asyncio.run(scenario())


def test_orphans_are_told_and_those_that_have_a_parent_are_not(earlier: Earlier, tmp_path: Path) -> None:
    async def scenario() -> None:
        worker = "trap 'echo told >>told' USR1; sleep 1000 & while :; do wait; done"
        pid = earlier.shell(1, f'cd {tmp_path}; sh -c "{worker}" & echo up; exec sleep 1000')
        wait_until(lambda: len(below(pid)) == 2, "the worker and its child are there")
        (worker_pid,) = (process.pid for process in psutil.Process(pid).children())
        (child,) = below(worker_pid)
        later = Later(tmp_path)
        later.adopt(1, pid)
        assert later.members.orphans("app", 1) == []
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not is_alive(pid), "it is gone")

        assert later.members.orphans("app", 1) == [worker_pid]
        later.members.tell_orphans("app", 1, signal.SIGUSR1)

        wait_until((tmp_path / "told").exists, "the worker was told")
        assert is_alive(child)
        await until(later.cleared(1, pid, kill=True))

    asyncio.run(scenario())


def test_a_stranger_with_its_number_is_not_touched(tmp_path: Path) -> None:
    """The number of the main process, and with it of its session, belongs to somebody else now."""

    async def scenario(stranger: subprocess.Popen[bytes]) -> None:
        theirs = {stranger.pid, *below(stranger.pid)}
        told = proc.stat(stranger.pid)
        assert told is not None
        later = Later(tmp_path)
        later.adopt(1, stranger.pid, told.started - 1)

        assert later.members.left_by("app", 1) == []
        assert later.members.orphans("app", None) == []
        assert not any(later.members.owns("app", pid) for pid in theirs)
        later.members.tell_orphans("app", 1, signal.SIGKILL)
        done = asyncio.Event()
        later.members.clear(Clearing("app", 1, True, lambda: True, done.set))
        assert done.is_set()
        assert all(map(is_alive, theirs))

        stranger.kill()
        stranger.wait()
        later.adopt(1, stranger.pid, told.started - 1)
        assert later.members.left_by("app", 1) == []  # its leader has ended, as that of many daemons
        (orphan,) = theirs - {stranger.pid}
        assert is_alive(orphan)
        os.kill(orphan, signal.SIGKILL)

    argv = ["sh", "-c", "sleep 1000 & echo up; exec sleep 1000"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, start_new_session=True) as stranger:
        assert stranger.stdout is not None
        assert stranger.stdout.readline()
        asyncio.run(scenario(stranger))


def test_a_mark_that_cannot_be_made_is_done_without(tmp_path: Path) -> None:
    fd = Marks(str(tmp_path / ("long" * 60))).open_input("app", 1)

    assert str(Path(f"/proc/self/fd/{fd}").readlink()) == "/dev/null"
    os.close(fd)


def test_a_marked_input_is_empty_and_stays_so(tmp_path: Path) -> None:
    fd = Marks(str(tmp_path)).open_input("app", 1)

    assert os.read(fd, 1) == b""
    with pytest.raises(PermissionError):
        os.write(fd, b"x")
    os.close(fd)


def test_a_signal_reaches_only_the_process_that_began_then() -> None:
    with subprocess.Popen(["sleep", "1000"]) as process:
        told = proc.stat(process.pid)
        assert told is not None

        proc.send(process.pid, told.started + 1, signal.SIGKILL)
        assert process.poll() is None
        assert proc.hold(process.pid, told.started - 1) is None
        proc.send(process.pid, told.started, signal.SIGKILL)

        assert process.wait(DEADLINE) == -signal.SIGKILL
        assert proc.hold(process.pid, told.started) is None


@contextlib.asynccontextmanager
async def cgroups_in(folder: Path) -> AsyncIterator[Cgroups]:
    inotify = Inotify(asyncio.get_running_loop())
    yield Cgroups(str(folder), path_of(folder), inotify)
    inotify.close()


def path_of(folder: Path) -> str:
    """Its path within the hierarchy."""
    path, own = cgroup.own()
    return f"{path.rstrip('/')}{str(folder).removeprefix(own)}"


ESCAPED = "( setsid env -i sleep 1000 </dev/null & )"


def test_with_cgroups_nothing_of_it_escapes(earlier: Earlier, tmp_path: Path) -> None:
    async def scenario(folder: Path) -> None:
        async with cgroups_in(folder) as cgroups:
            words = cgroups.make("app", 7)
            cgroups.make("app", 6)
            pid = earlier.run(7, *words, "sh", "-c", f"{ESCAPED}; sleep 1000 & echo up; exec sleep 1000")
        async with cgroups_in(folder) as cgroups:
            later = Later(tmp_path, cgroups)
            assert later.members.leaders() == {"app": {7: pid}}
            assert names(folder) == {"service-app", "service-app/run-7"}
            later.adopt(7, pid)
            mine = set(cgroups.pids("app", 7))
            assert len(mine) == 3
            assert set(later.members.pids("app", 7, pid)) == mine
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: not is_alive(pid), "it is gone")
            assert set(later.members.orphans("app", 7)) == mine - {pid}

            await until(later.cleared(7, pid, kill=True))

            assert not [each for each in mine if is_alive(each)]
            assert names(folder) == set()

    with delegated() as folder:
        asyncio.run(scenario(folder))


def test_what_is_left_in_a_cgroup_without_a_main_process_is_found(earlier: Earlier, tmp_path: Path) -> None:
    async def scenario(folder: Path) -> None:
        async with cgroups_in(folder) as cgroups:
            words = cgroups.make("app", 7)
            pid = earlier.run(7, *words, "sh", "-c", "sleep 1000 & echo up; exec sleep 1000")
            (left,) = set(cgroups.pids("app", 7)) - {pid}
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: not is_alive(pid), "it is gone")
            later = Later(tmp_path, cgroups)
            assert later.members.leaders() == {"app": {7: 0}}

            later.members.adopt("app", 7, 0, 0)
            await until(later.cleared(7, pid, kill=True))

            assert not is_alive(left)
            assert names(folder) == set()

    with delegated() as folder:
        asyncio.run(scenario(folder))


def test_the_end_is_noticed_also_where_its_cgroup_cannot_be_watched(
    earlier: Earlier, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(folder: Path) -> None:
        async with cgroups_in(folder) as cgroups:
            words = cgroups.make("app", 7)
            pid = earlier.run(7, *words, "sh", "-c", "sleep 1000 & echo up; exec sleep 1000")
        cgroups = Cgroups(str(folder), path_of(folder), closed())
        later = Later(tmp_path, cgroups)
        later.adopt(7, pid)
        (left,) = set(cgroups.pids("app", 7)) - {pid}
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not is_alive(pid), "it is gone")
        done = later.cleared(7, pid, kill=False)
        assert not done.is_set()

        os.kill(left, signal.SIGKILL)

        await until(done)
        assert names(folder) == set()

    with delegated() as folder:
        asyncio.run(scenario(folder))
    assert "app: cannot watch the cgroup of run 7" in caplog.text


def closed() -> Inotify:
    """One that can watch nothing, as when the limit is reached."""
    inotify = Inotify(asyncio.get_running_loop())
    inotify.close()
    return inotify


def test_a_run_that_was_started_without_a_cgroup_is_found_all_the_same(
    earlier: Earlier, tmp_path: Path
) -> None:
    async def scenario(folder: Path) -> None:
        pid = earlier.shell(1, "(setsid sleep 1000 </dev/null &); echo up; exec sleep 1000")
        async with cgroups_in(folder) as cgroups:
            later = Later(tmp_path, cgroups)
            assert later.members.leaders() == {"app": {1: pid}}
            later.adopt(1, pid)
            (mine,) = processes_of(tmp_path, pid) - {pid}
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: not is_alive(pid), "it is gone")

            await until(later.cleared(None, pid, kill=True))

            assert not is_alive(mine)

    with delegated() as folder:
        asyncio.run(scenario(folder))
