"""Who was killed by the kernel for want of memory: real kills, in memory cgroups that are too small."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from supervisor_stack.daemon import oom
from tests.servers import wait_until

LIMIT = 32 * 1024 * 1024
CGROUPS = Path("/sys/fs/cgroup")

GREEDY = "blocks = []\nwhile True:\n    blocks.append(b'x' * 1_000_000)\n"
PATIENT = "import time\ntime.sleep(1000)\n"


@contextmanager
def small_cgroup() -> Iterator[Path]:
    """A cgroup whose processes have next to no memory, of either version."""
    first = CGROUPS / "memory"  # version 1
    parent = first if first.is_dir() else CGROUPS
    folder = parent / f"stackd-test-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError as error:
        pytest.fail(f"the kernel cannot be made to kill: {error}; run this as root, not in a container")
    try:
        limit = folder / ("memory.limit_in_bytes" if parent == first else "memory.max")
        assert limit.exists(), (
            f"{parent} does not give its cgroups a limit of memory (cgroup.subtree_control)"
        )
        limit.write_text(str(LIMIT))
        for swap in folder.glob("memory.swap.max"):
            swap.write_text("0")
        yield folder
    finally:
        wait_until(lambda: not (folder / "cgroup.procs").read_text(), f"{folder} is empty")
        folder.rmdir()


def run_in(cgroup: Path, source: str) -> subprocess.Popen[bytes]:
    script = 'echo $$ > "$0"/cgroup.procs && exec "$@"'
    return subprocess.Popen(["sh", "-c", script, str(cgroup), sys.executable, "-c", source])


def test_a_process_that_the_kernel_killed_is_told_in_the_kernels_own_words() -> None:
    with small_cgroup() as cgroup:
        before = oom.kills()
        process = run_in(cgroup, GREEDY)
        assert process.wait(20) == -signal.SIGKILL

    finding = oom.find(process.pid, before)
    assert finding.killed
    assert finding.words.startswith(f"Memory cgroup out of memory: Killed process {process.pid} (python3")
    assert "\n" not in finding.words


def test_a_process_that_somebody_killed_is_not_put_down_to_the_kernel() -> None:
    before = oom.kills()
    process = subprocess.Popen([sys.executable, "-c", PATIENT])
    process.kill()
    assert process.wait(20) == -signal.SIGKILL
    assert oom.find(process.pid, before) == oom.Finding()


def test_a_process_that_somebody_killed_while_the_kernel_killed_another_is_told_apart() -> None:
    with small_cgroup() as cgroup:
        before = oom.kills()
        other = subprocess.Popen([sys.executable, "-c", PATIENT])
        run_in(cgroup, GREEDY).wait(20)
        other.kill()
        other.wait(20)

    assert oom.find(other.pid, before) == oom.Finding()


def test_an_earlier_kill_of_a_process_of_the_same_number_does_not_count() -> None:
    with small_cgroup() as cgroup:
        process = run_in(cgroup, GREEDY)
        process.wait(20)
        before = oom.kills()
        run_in(cgroup, GREEDY).wait(20)

    assert oom.find(process.pid, before) == oom.Finding()


def find_elsewhere(pid: int, before: int, *surroundings: str) -> str:
    """The finding of a process that runs in other surroundings."""
    source = f"from supervisor_stack.daemon import oom; print(oom.find({pid}, {before}))"
    return subprocess.check_output([*surroundings, sys.executable, "-c", source], text=True, timeout=20)


@pytest.fixture
def killed() -> tuple[int, int]:
    """The number of a process that the kernel killed, and the count of kills before it."""
    with small_cgroup() as cgroup:
        before = oom.kills()
        process = run_in(cgroup, GREEDY)
        process.wait(20)
    return process.pid, before


def test_in_a_container_the_numbers_of_the_log_are_not_taken_for_its_own(killed: tuple[int, int]) -> None:
    told = find_elsewhere(*killed, "unshare", "--pid", "--fork", "--mount-proc")
    assert "killed=False" in told
    assert "the kernel killed a process for want of memory since this run began" in told


def test_without_the_right_to_read_the_log_it_says_so(killed: tuple[int, int]) -> None:
    told = find_elsewhere(
        *killed, "setpriv", "--bounding-set=-syslog,-sys_admin", "--inh-caps=-syslog,-sys_admin"
    )
    if Path("/proc/sys/kernel/dmesg_restrict").read_text() == "0\n":
        assert "killed=True" in told
    else:
        assert "killed=False" in told
        assert "cannot be read: Operation not permitted" in told
