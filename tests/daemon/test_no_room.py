"""Descriptors, processes, watches and disks come to an end: told, survived, and made good afterwards."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from supervisor_stack.control.client import StackClient
from supervisor_stack.control.messages import Restart, Status
from tests.daemon.unprivileged import USER, start, unprivileged
from tests.servers import wait_until
from tests.stack import HEAD, RunningStack

APP = (
    "[services.{name}]\ncommand = ['/usr/bin/sleep', '1000']\n"
    "backoff = {{initial = '50ms', max = '100ms'}}\nstart_limit = {{burst = 100000}}\n"
)
ONE, TWO = APP.format(name="one"), APP.format(name="two")


@contextmanager
def limited(stack: RunningStack, what: int, soft: int) -> Iterator[None]:
    """A limit of the running stackd (prlimit(2)), lifted in the end."""
    before = resource.prlimit(stack.pid, what)
    resource.prlimit(stack.pid, what, (soft, before[1]))
    try:
        yield
    finally:
        resource.prlimit(stack.pid, what, before)


@contextmanager
def no_more_processes(stack: RunningStack) -> Iterator[None]:
    """Its user has as many processes as one may have. Set by the user, as root may lack the right to."""
    prlimit = unprivileged("prlimit", f"--pid={stack.pid}")
    _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    most = "unlimited" if hard == resource.RLIM_INFINITY else hard
    subprocess.run([*prlimit, "--nproc=1:"], check=True)
    try:
        yield
    finally:
        subprocess.run([*prlimit, f"--nproc={most}:"], check=True)


def first_free_descriptor(pid: int) -> int:
    taken = {int(each.name) for each in Path(f"/proc/{pid}/fd").iterdir()}
    return next(number for number in range(len(taken) + 1) if number not in taken)


def test_without_descriptors_nothing_is_lost_and_it_goes_on_when_there_are_some(tmp_path: Path) -> None:
    # Asked over the connection that is there: a new one waits until there are some.
    with RunningStack(tmp_path, ONE + TWO) as stack:
        stack.until_up()
        one, two = stack.pid_of("one"), stack.pid_of("two")
        with limited(stack, resource.RLIMIT_NOFILE, first_free_descriptor(stack.pid)):
            os.kill(one, signal.SIGKILL)
            wait_until(lambda: stack.service("one").state == "backoff", "its start fails")
            told = stack.service("one").reason
            wait_until(lambda: stack.service("one").restarts >= 3, "and is tried again")
            assert stack.pid_of("two") == two
        stack.until_up()

        assert told == "cannot make the process: Too many open files"
        assert stack.pid_of("two") == two
        with StackClient(stack.client.endpoint) as another:
            assert another.request(Status()).stack.state == "running"


@pytest.mark.parametrize("adopted", [False, True])
def test_the_status_is_answered_without_descriptors_though_without_figures(
    tmp_path: Path, adopted: bool
) -> None:
    with RunningStack(tmp_path, ONE) as stack:
        # Not asked for by a status: after a first one, figures of a moment ago would be shown.
        wait_until(lambda: any(notice.state == "running" for notice in stack.history()), "it runs")
        if adopted:  # its processes are looked for among all that there are
            stack.die()
            stack.come_back()
        with limited(stack, resource.RLIMIT_NOFILE, first_free_descriptor(stack.pid)):
            # Never asked before: even the module that knows processes cannot be loaded.
            (one,) = stack.status().services
            detail = stack.service("one").detail

        assert (one.state, one.processes, one.adopted) == ("running", 0, adopted)
        assert detail
        assert detail.tree == ()
        assert stack.status().services[0].processes == 1
        assert "internal error" not in stack.output.read_text()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder of the unprivileged user's. Not below tmp_path, where only its owner may enter."""
    folder = Path(tempfile.mkdtemp(prefix="stackd-test-", dir="/var/tmp"))
    if os.geteuid() == 0:
        os.chown(folder, USER, USER)
    yield folder
    shutil.rmtree(folder)


def test_without_processes_a_service_waits_with_that_reason_and_comes_back(open_folder: Path) -> None:
    with start(RunningStack(open_folder, ONE + TWO)) as stack:
        stack.until_up()
        two = stack.pid_of("two")
        with no_more_processes(stack):
            stack.kill("one")
            told = stack.until_state("one", "backoff")
            assert told.reason == "cannot execute /usr/bin/sleep: Resource temporarily unavailable"
            assert stack.pid_of("two") == two
        stack.until_run("one", 2)


# Popen of the daemon fails when there is a file: the table of files of the whole machine cannot be filled
# without hitting everybody.
NO_FILES = """
import errno, os, pathlib, subprocess, sys
full = pathlib.Path(sys.argv.pop(1))
true = subprocess.Popen
class Popen(true):
    def __init__(self, *args, **kwargs):
        if full.exists():
            raise OSError(errno.ENFILE, os.strerror(errno.ENFILE))
        super().__init__(*args, **kwargs)
subprocess.Popen = Popen
sys.argv[0] = "stackd"
from supervisor_stack.cli.stackd import main
sys.exit(main())
"""


def test_a_full_table_of_files_is_survived(tmp_path: Path) -> None:
    full = tmp_path / "full"
    stack = RunningStack(tmp_path, ONE)
    with stack.output.open("ab") as output:
        argv = [sys.executable, "-c", NO_FILES, str(full), "-c", str(stack.config)]
        process = subprocess.Popen(argv, stdout=output, stderr=output, env=stack.env)
    with stack.attached_to(process):
        stack.until_up()
        full.touch()
        stack.kill("one")
        told = stack.until_state("one", "backoff")
        assert told.reason == f"cannot execute /usr/bin/sleep: {os.strerror(errno.ENFILE)}"
        full.unlink()

        stack.until_run("one", 2)


USE_UP = """
import ctypes, signal
libc = ctypes.CDLL(None)
while libc.inotify_init1(0) >= 0:
    pass
print(flush=True)
signal.pause()
"""


@contextmanager
def no_instances_left() -> Iterator[None]:
    """The user has as many inotify instances as one may have (fs.inotify.max_user_instances)."""
    with subprocess.Popen(unprivileged(sys.executable, "-c", USE_UP), stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"\n"
            yield
        finally:
            process.kill()


def test_without_inotify_it_says_what_is_not_seen_and_a_restart_works(open_folder: Path) -> None:
    watched = open_folder / "settings"
    watched.write_text("1")
    watch = f"watch = {{paths = ['{watched}'], action = 'restart', debounce = '50ms'}}\n"
    with no_instances_left(), start(RunningStack(open_folder, ONE + watch)) as stack:
        stack.until_up()
        stack.until_log(f"cannot watch {open_folder}: inotify instance limit reached")

        assert "changes in it are not seen" in stack.output.read_text()
        watched.write_text("2")
        assert stack.operate(Restart(services=("one",))).ok
        assert stack.service("one").run == 2


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own, of 64 KiB; as root."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "stackd-test", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path) -> Path:
    """Leave no byte free; returns the file that took them."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    assert shutil.disk_usage(folder).free == 0
    return ballast


def stack_on(folder: Path, log_dir: Path, run_dir: Path, toml: str) -> RunningStack:
    stack = RunningStack(folder)
    stack.config.write_text(HEAD.format(run=run_dir, log=log_dir) + toml)
    stack.run_dir, stack.log_dir = run_dir, log_dir
    return stack


SAYS = "[services.says]\ncommand = ['sh', '-c', '''{script}''']\n"


def test_a_full_disk_of_logs_stops_no_service_and_no_stackd(tmp_path: Path) -> None:
    # What cannot be printed does not end it: echo(1) of dash says so and goes on.
    script = "n=0; while :; do n=$((n + 1)); echo line $n; sleep 0.01; done"
    with small_disk(tmp_path / "log") as log_dir:
        ballast = fill(log_dir)
        with stack_on(tmp_path, log_dir, tmp_path / "run", SAYS.format(script=script) + ONE) as stack:
            stack.until_up()
            pid = stack.pid_of("says")
            assert stack.operate(Restart(services=("one",))).ok
            assert stack.pid_of("says") == pid
            ballast.unlink()

            wait_until(lambda: "line" in stack.log("says"), "lines are written again")
            assert stack.pid_of("says") == pid


def test_a_full_runtime_directory_keeps_no_service_from_coming_back(tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "run") as run_dir,
        stack_on(tmp_path, tmp_path / "log", run_dir, ONE) as stack,
    ):
        stack.until_up()
        ballast = fill(run_dir)
        for run in (2, 3, 4):
            stack.kill("one")
            stack.until_run("one", run)
        assert stack.status().stack.state == "running"
        ballast.unlink()
        stack.kill("one")
        stack.until_run("one", 5)


def test_a_runtime_directory_that_is_deleted_is_made_again(tmp_path: Path) -> None:
    with RunningStack(tmp_path, ONE + TWO) as stack:
        stack.until_up()
        one, two = stack.pid_of("one"), stack.pid_of("two")
        shutil.rmtree(stack.run_dir)

        stack.lose_sight()
        stack.until_log("was removed, or what is in it: making it again")
        assert (stack.pid_of("one"), stack.pid_of("two")) == (one, two)
        os.kill(one, signal.SIGKILL)
        one = stack.until_run("one", 2).pid or 0

        # And what is written down is there for the next stackd.
        stack.die()
        stack.come_back()
        assert (stack.pid_of("one"), stack.pid_of("two"), stack.service("one").run) == (one, two, 2)


def test_a_runtime_directory_that_cannot_be_made_again_at_once_is_made_later(tmp_path: Path) -> None:
    with RunningStack(tmp_path, ONE) as stack:
        stack.until_up()
        one = stack.pid_of("one")
        aside = tmp_path / "aside"
        stack.run_dir.rename(aside)
        stack.run_dir.write_text("in the way")
        shutil.rmtree(aside)
        stack.until_log("and it is tried again")

        stack.run_dir.unlink()
        stack.disconnect()
        stack.come_back()

        assert stack.pid_of("one") == one
        assert (stack.run_dir / "state" / "one.json").exists()


def test_a_folder_of_the_state_that_is_deleted_is_made_again_with_all_that_was_in_it(tmp_path: Path) -> None:
    with RunningStack(tmp_path, ONE + TWO) as stack:
        stack.until_up()
        shutil.rmtree(stack.run_dir / "state")

        files = [stack.run_dir / "state" / f"{name}.json" for name in ("one", "two")]
        wait_until(lambda: all(file.exists() for file in files), "both are written down again")
        assert (stack.run_dir / "state").stat().st_mode & 0o777 == 0o700
        assert stack.status().stack.state == "running"  # by the connection that was there before


def test_a_runtime_directory_that_is_deleted_while_nobody_looks_loses_no_service(tmp_path: Path) -> None:
    with RunningStack(tmp_path, ONE + TWO) as stack:
        stack.until_up()
        one, two = stack.pid_of("one"), stack.pid_of("two")
        stack.die()
        shutil.rmtree(stack.run_dir)

        stack.come_back()

        assert (stack.pid_of("one"), stack.pid_of("two")) == (one, two)
        stack.until_up()
