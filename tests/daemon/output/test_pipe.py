"""The pipe that a service prints into, and how it is found again."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor_stack.daemon.launch import Identity
from supervisor_stack.daemon.output.outputs import Outputs
from supervisor_stack.errors import SpawnError
from supervisor_stack.spec import ServiceSpec
from tests.daemon.output.desk import Desk, spec
from tests.servers import wait_until

NOBODY = 65534
FIRST = """
import os, sys
print("first", flush=True)
sys.stdin.read()
os.write(1, b"x" * 500_000 + b"\\n")
print("last")
"""


class Left:
    """A service whose stackd is gone: it has said "first", and says "last" when it is told to."""

    def __init__(self, desk: Desk) -> None:
        self._go, go = os.pipe()[::-1]
        output = desk.outputs.open(spec(), Identity())
        self.process = subprocess.Popen([sys.executable, "-c", FIRST], stdin=go, stdout=output, stderr=output)
        os.close(go)
        os.close(output)
        wait_until(lambda: desk.log.exists() and desk.text() == "first\n", "it is there")

    def go_on(self) -> None:
        """Have it say the rest; it leaves if nothing holds it up."""
        os.close(self._go)
        self._go = -1

    def close(self) -> None:
        """End it."""
        if self._go >= 0:
            os.close(self._go)
        self.process.kill()
        self.process.wait()


@pytest.fixture
def left(desk: Desk) -> Iterator[Left]:
    """The service."""
    left = Left(desk)
    yield left
    left.close()


def anew(desk: Desk) -> Outputs:
    """The outputs of the next stackd."""
    desk.outputs = Outputs(
        str(desk.folder / "run"), str(desk.log_dir), lambda name, _: desk.kept.append(name)
    )
    return desk.outputs


def is_complete(desk: Desk) -> bool:
    return desk.text() == "first\n" + "x" * 500_000 + "\nlast\n"


def test_nobody_but_the_service_gets_to_the_pipe(desk: Desk) -> None:
    os.close(desk.outputs.open(spec(), Identity()))

    assert stat.S_IMODE(desk.fifo.parent.stat().st_mode) == 0o700
    assert stat.S_ISFIFO(desk.fifo.stat().st_mode)


def test_a_service_that_has_changed_its_user_opens_dev_stderr(desk: Desk) -> None:
    assert os.geteuid() == 0, "only root can act for another user"
    desk.folder.chmod(0o711)
    for user in ((NOBODY, NOBODY), (None, None)):  # as stackd had it done, or the service by itself
        output = desk.outputs.open(spec(), Identity(*user))
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c"]
        shell = [*command, "echo hello > /dev/stderr; echo you > /dev/stdout"]
        subprocess.run(shell, stdout=output, stderr=output, check=True)
        os.close(output)
    desk.outputs.close()

    assert desk.text() == "hello\nyou\n" * 2


def test_what_is_in_the_place_of_a_pipe_is_replaced(desk: Desk) -> None:
    desk.fifo.parent.mkdir(parents=True)
    desk.fifo.symlink_to("/etc/passwd")
    desk.run("echo", "hello")
    desk.outputs.close()

    assert desk.text() == "hello\n"


def test_a_folder_in_the_place_of_a_pipe_fails_the_start(desk: Desk) -> None:
    desk.fifo.mkdir(parents=True)

    with pytest.raises(SpawnError, match=f"cannot make the pipe {desk.fifo}: Is a directory"):
        desk.outputs.open(spec(), Identity())


def test_a_run_that_does_not_want_to_block_decides_that_for_itself_only(desk: Desk) -> None:
    desk.run(sys.executable, "-c", "import os; os.set_blocking(1, False)")
    output = desk.outputs.open(spec(), Identity())

    assert os.get_blocking(output)
    os.close(output)


def test_the_pipe_goes_with_the_service(desk: Desk) -> None:
    os.close(desk.outputs.open(spec(), Identity()))
    assert desk.kept == ["app"]
    desk.outputs.forget("app")

    assert desk.dropped == ["app"]
    assert not desk.fifo.exists()


def test_a_service_prints_on_without_stackd(desk: Desk, left: Left) -> None:
    desk.outputs.leave()
    left.go_on()
    assert left.process.wait(30) == 0  # nobody reads, and it was neither held up nor killed

    assert desk.text() == "first\n"  # a pipe that nobody has open is empty, see the next tests


def test_the_next_stackd_moves_on_what_waits(desk: Desk, left: Left) -> None:
    desk.outputs.leave()
    os.kill(left.process.pid, signal.SIGSTOP)
    left.go_on()
    next_one = anew(desk)
    assert next_one.adopt(spec(), left.process.pid)
    os.kill(left.process.pid, signal.SIGCONT)
    assert left.process.wait(30) == 0
    next_one.close()

    assert is_complete(desk)
    assert desk.kept == ["app", "app"]


def test_a_pipe_whose_path_is_gone_is_found_in_the_process(desk: Desk, left: Left) -> None:
    desk.outputs.leave()
    shutil.rmtree(desk.folder / "run")
    next_one = anew(desk)
    assert next_one.adopt(spec(), left.process.pid)
    left.go_on()
    assert left.process.wait(30) == 0
    desk.run("echo", "next run")
    next_one.close()

    assert desk.text().endswith("\nlast\nnext run\n")


def test_a_pipe_that_somebody_kept_outlives_its_service(desk: Desk, left: Left) -> None:
    kept = os.open(desk.fifo, os.O_RDWR | os.O_NONBLOCK)
    desk.outputs.leave()
    left.go_on()
    assert left.process.wait(30) == 0
    next_one = anew(desk)
    assert next_one.adopt(spec(), left.process.pid, kept)
    next_one.close()

    assert is_complete(desk)
    assert desk.kept == ["app", "app"]  # by the next stackd as well


def test_a_pipe_of_a_services_own_is_left_to_it(desk: Desk) -> None:
    with subprocess.Popen(["sh", "-c", "sleep 1000 | cat"], start_new_session=True) as shell:
        children = Path(f"/proc/{shell.pid}/task/{shell.pid}/children")
        wait_until(lambda: len(children.read_text().split()) == 2, "both are there")
        sleeper = int(children.read_text().split()[0])
        wait_until(
            lambda: str(Path(f"/proc/{sleeper}/fd/1").readlink()).startswith("pipe:"), "it prints to cat"
        )

        assert not desk.outputs.adopt(spec(), sleeper)
        os.killpg(shell.pid, signal.SIGKILL)


def test_nothing_and_stackds_own_are_no_pipes(desk: Desk) -> None:
    for to, path in (("null", "/dev/null"), ("inherit", str(Path("/proc/self/fd/1").readlink()))):
        service = ServiceSpec(name="app", argv=(), log=spec(to=to).log)  # type: ignore[arg-type]
        output = desk.outputs.open(service, Identity())

        assert str(Path(f"/proc/self/fd/{output}").readlink()) == path
        os.close(output)
    assert desk.kept == []
