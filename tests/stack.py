"""A real stackd, run for a test from a configuration file, and watched through its own socket."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from supervisor_stack.control.client import Operation, StackClient
from supervisor_stack.control.messages import (
    Events,
    Finished,
    Notice,
    Status,
    StatusReply,
)
from supervisor_stack.control.parts import ServiceStatus
from supervisor_stack.errors import UnreachableError

DEADLINE = 30.0

HEAD = """
[stack]
name = "test"
runtime_dir = "{run}"
log_dir = "{log}"
"""


class RunningStack:
    """stackd on a configuration; leaving the context stops it in order.

    `toml` is what comes after [stack]; None: the folder has a configuration already, with these
    places. `through`: words before its command, which execute it. Waiting is waiting for notices: nothing
    here guesses times.
    """

    def __init__(self, folder: Path, toml: str | None = None, env: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.run_dir = folder / "run"
        self.log_dir = folder / "log"
        self.config = folder / "stackd.toml"
        if toml is not None:
            self.config.write_text(HEAD.format(run=self.run_dir, log=self.log_dir) + toml)
        self.output = folder / "stackd.out"
        self.env = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)} | (env or {})
        self.process: subprocess.Popen[bytes] | None = None
        self.stderr: int | None = None
        self.cwd: Path | None = None
        self.through: tuple[str, ...] = ()
        self._client: StackClient | None = None

    def attached_to(self, process: subprocess.Popen[bytes]) -> Self:
        """Use a stackd that somebody else has started on this configuration."""
        self.process = process
        return self

    def __enter__(self) -> Self:
        if self.process is None:
            with self.output.open("ab") as output:
                self.process = subprocess.Popen(
                    [
                        *self.through,
                        sys.executable,
                        "-m",
                        "supervisor_stack.cli.stackd",
                        "-c",
                        str(self.config),
                    ],
                    stdout=output,
                    stderr=output if self.stderr is None else self.stderr,
                    env=self.env,
                    cwd=self.cwd,
                )
        deadline = time.monotonic() + DEADLINE
        while self._client is None:
            assert self.process.poll() is None, f"stackd ended: {self.output.read_text()}"
            assert time.monotonic() < deadline, "stackd does not listen"
            try:
                self._client = StackClient(f"ipc://{self.run_dir}/control.sock")
            except UnreachableError:
                time.sleep(0.005)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client:
            self._client.close()
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise
        if error is not None:
            sys.stderr.write(self.output.read_text())

    def start_anew(self) -> None:
        """End stackd in order, and start it again on what its configuration is now."""
        self.__exit__(None, None, None)
        self.process, self._client = None, None
        self.__enter__()

    def die(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Kill stackd itself; `come_back` starts the next one."""
        assert self.process is not None, "not started"
        self.process.send_signal(number)
        self.process.wait(DEADLINE)
        self.process = None
        self.disconnect()

    def disconnect(self) -> None:
        """Forget the connection to a stackd that is gone."""
        if self._client:
            self._client.close()
            self._client = None

    def come_back(self) -> None:
        """The next stackd, as its supervisor starts it."""
        self.__enter__()

    def lose_sight(self) -> None:
        """The process stays, and its control socket is made anew: as when it executes itself."""
        assert self.client.wait_gone(DEADLINE), "stackd has not let go of its control socket"
        self.client.close()
        self._client = None
        self.__enter__()

    @property
    def client(self) -> StackClient:
        """The connection to its control socket."""
        assert self._client is not None, "not started"
        return self._client

    @property
    def pid(self) -> int:
        """The process id of stackd."""
        assert self.process is not None, "not started"
        return self.process.pid

    # What it tells.

    def status(self) -> StatusReply:
        """How the stack is."""
        return self.client.request(Status())

    def service(self, name: str) -> ServiceStatus:
        """How one service is, with its details."""
        return self.client.request(Status(services=(name,), detail=True)).services[0]

    def until(self, fact: Callable[[], bool], what: str, deadline: float = DEADLINE) -> None:
        """Wait for something that has to come true after some notice."""
        seq = self.status().seq
        if fact():
            return
        for _ in self.client.subscribe(since=seq, timeout=deadline):
            if fact():
                return
        raise AssertionError(f"waited in vain: {what}")

    def until_state(self, name: str, state: str, deadline: float = DEADLINE) -> ServiceStatus:
        """Wait until a service is in a state, and ready when the state is running."""

        def reached() -> bool:
            now = self.service(name)
            return now.state == state and (state != "running" or now.ready or now.kind == "task")

        self.until(reached, f"{name} is {state}", deadline)
        return self.service(name)

    def until_run(self, name: str, run: int, deadline: float = DEADLINE) -> ServiceStatus:
        """Wait until this run of a service is ready."""
        self.until(
            lambda: self.service(name).ready and self.service(name).run >= run, f"{name} run {run}", deadline
        )
        return self.service(name)

    def until_up(self, deadline: float = DEADLINE) -> StatusReply:
        """Wait until all that is wanted is ready."""
        self.until(lambda: self.status().stack.state == "running", "the stack is running", deadline)
        return self.status()

    def until_log(self, words: str) -> None:
        """Wait until stackd has said this."""
        end = time.monotonic() + DEADLINE
        while words not in self.output.read_text():
            assert time.monotonic() < end, f"stackd does not say {words!r}:\n{self.output.read_text()}"
            time.sleep(0.005)

    def history(self) -> list[Notice]:
        """All notices so far."""
        return list(self.client.request(Events(limit=10000)).notices)

    def pid_of(self, name: str) -> int:
        """The main process of a running service."""
        pid = self.service(name).pid
        assert pid is not None, f"{name} does not run"
        return pid

    # What it is asked.

    def operate(self, request: Operation, deadline: float = DEADLINE) -> Finished:
        """Carry out a long request to its end."""
        *_, last = self.client.operate(request, timeout=deadline)
        assert isinstance(last, Finished)
        return last

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Signal the main process from outside; returns its pid."""
        pid = self.pid_of(name)
        os.kill(pid, number)
        return pid

    def descendants(self) -> list[psutil.Process]:
        """All processes below stackd."""
        return psutil.Process(self.pid).children(recursive=True)

    def log(self, name: str) -> str:
        """What a service printed."""
        return (self.log_dir / f"{name}.log").read_text()


def is_alive(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
