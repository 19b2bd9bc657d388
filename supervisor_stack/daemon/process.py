"""Processes: made here, reaped here, and nowhere else.

A process is held by a pidfd: a signal through it cannot hit a stranger that got the same pid, and
it turns readable when the process ends. `reap` collects every child, also those that a service
forked off and lost: stackd is a subreaper (prctl(2), PR_SET_CHILD_SUBREAPER), so they come to us
instead of to init.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import itertools
import logging
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import IO

from supervisor_stack.daemon import proc
from supervisor_stack.daemon.printed import MAX_OUTPUT, Printed
from supervisor_stack.errors import SpawnError

log = logging.getLogger(__name__)

PR_SET_CHILD_SUBREAPER = 36

NO_INTERPRETER = "its interpreter (the first line of the script) does not exist"

AT_ONCE = 20
"""Ends that are taken in before the loop gets its turn: 2 ms."""


class Process:
    """A process that is ours. `code`, once it has `ended`: its exit status, or minus its signal; None when
    only an earlier stackd, its parent, could have learnt it."""

    def __init__(
        self,
        pid: int,
        pidfd: int,
        exited: Callable[[Process], None],
        popen: subprocess.Popen[bytes] | None = None,
    ) -> None:
        self.pid = pid
        self.code: int | None = None
        self.ended = False
        self._popen = popen
        self.pidfd = pidfd
        self.exited = exited
        self.was_killed_by_us = False

    @property
    def start(self) -> int:
        """When it began: with the pid that is its identity. 0 when it is gone."""
        found = proc.stat(self.pid)
        return found.started if found else 0

    def signal(self, number: int) -> None:
        """Send a signal; nothing happens when the process is gone already."""
        if not self.ended:
            self.was_killed_by_us |= number == signal.SIGKILL
            with contextlib.suppress(ProcessLookupError):  # a zombie: its exit is on the way to us
                signal.pidfd_send_signal(self.pidfd, number)

    def kill_group(self) -> None:
        """SIGKILL it and its process group, of which it is the leader."""
        if not self.ended:
            self.signal(signal.SIGKILL)
            # Not root, and it changed its user; or it has just gone, which its parent may not have told us.
            with contextlib.suppress(PermissionError, ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    def end(self, code: int | None) -> None:
        """It is gone."""
        self.ended = True
        self.code = code
        if self._popen is not None:
            self._popen.returncode = code  # or Popen believes that somebody stole its child
        if self.pidfd >= 0:
            os.close(self.pidfd)


class Processes:
    """All children of this daemon, by pid, and what it has adopted.

    `pids`: those of the children that were made here and not reaped yet. `reaped` is called when some have
    ended, before that is told of each; `stray_reaped` after it, when there were others among them.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._children: dict[int, Process] = {}
        self.pids = self._children.keys()
        self.reaped: Callable[[], None] = lambda: None
        self.stray_reaped: Callable[[], None] = lambda: None

    def open(self) -> None:
        """Become the subreaper and listen for the end of children."""
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "cannot become a subreaper")
        self._loop.add_signal_handler(signal.SIGCHLD, self.reap)

    def spawn(
        self,
        argv: Sequence[str],
        exited: Callable[[Process], None],
        *,
        env: Mapping[str, str],
        cwd: str,
        stdin: int = subprocess.DEVNULL,
        stdout: int | IO[bytes],
        stderr: int | IO[bytes] = subprocess.STDOUT,
        umask: int = -1,
        user: int | None = None,
        group: int | None = None,
        groups: list[int] | None = None,
        pass_fds: Sequence[int] = (),
    ) -> Process:
        """Start a process in its own session. Raises SpawnError, with what the kernel said."""
        try:
            popen = subprocess.Popen(
                argv,
                env=env,
                cwd=cwd,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                umask=umask,
                user=user,
                group=group,
                extra_groups=groups,
                pass_fds=pass_fds,
                start_new_session=True,
            )
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            raise SpawnError(f"cannot execute {argv[0]}: {_cause(error, argv[0], cwd)}") from error
        try:
            pidfd = os.pidfd_open(popen.pid)
        except OSError as error:  # no descriptors left: a process that cannot be held may not run
            popen.kill()
            popen.wait()
            raise SpawnError(f"cannot hold the process of {argv[0]}: {error.strerror}") from error
        process = Process(popen.pid, pidfd, exited, popen)
        self._children[popen.pid] = process
        self._loop.add_reader(process.pidfd, self.reap)
        return process

    def adopt(self, pid: int, start: int, exited: Callable[[Process], None]) -> Process | None:
        """Hold a process that an earlier stackd has started; None when it is gone.

        `start` has to be that of the process: its pid may be somebody else's by now. Raises OSError when no
        descriptor is left.
        """
        pidfd = proc.hold(pid, start)
        if pidfd is None:
            return None
        process = Process(pid, pidfd, exited)
        found = proc.stat(pid)
        if found and found.parent == os.getpid():  # we have executed ourselves anew
            self._children[pid] = process
            self._loop.add_reader(pidfd, self.reap)
        else:
            self._loop.add_reader(pidfd, self._end_adopted, process)
        return process

    def _end_adopted(self, process: Process) -> None:
        self._loop.remove_reader(process.pidfd)
        process.end(None)
        self.reaped()
        self._tell(process)

    def reap(self) -> None:
        """Collect every child that has ended, ours and strays, and tell of them; the rest in the next turn of
        the loop, when thousands end at once."""
        ended: list[Process] = []
        strays = False
        for count in itertools.count():
            if count == AT_ONCE:
                self._loop.call_soon(self.reap)
                break
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if not pid:
                break
            if process := self._children.pop(pid, None):
                self._loop.remove_reader(process.pidfd)
                process.end(os.waitstatus_to_exitcode(status))
                ended.append(process)
            else:
                strays = True
        self.reaped()
        for process in ended:
            self._tell(process)
        if strays:
            self.stray_reaped()

    def _tell(self, process: Process) -> None:
        try:
            process.exited(process)
        except Exception:
            # A bug of ours about one process may not hide the end of the others.
            log.exception("cannot take in the end of pid %d: internal error", process.pid)

    async def run(
        self,
        argv: Sequence[str],
        timeout: float,
        *,
        env: Mapping[str, str],
        cwd: str,
        user: int | None = None,
        group: int | None = None,
        groups: list[int] | None = None,
    ) -> tuple[int, str, str]:
        """Run a command to its end; returns its exit code and what it printed on stdout and stderr.

        Raises SpawnError, also for one that was killed as it printed more than MAX_OUTPUT, and TimeoutError
        after it was killed; it is also killed on cancellation.
        """
        ended: asyncio.Future[int] = self._loop.create_future()

        def exited(process: Process) -> None:
            if not ended.done():
                ended.set_result(process.code or 0)

        def too_long() -> None:
            if not ended.done():
                words = f"{argv[0]} was killed: it printed more than {MAX_OUTPUT // 2**20} MiB"
                ended.set_exception(SpawnError(words))

        with (
            Printed(self._loop, user, too_long) as out,
            Printed(self._loop, user, too_long) as err,
        ):
            process = self.spawn(
                argv,
                exited,
                env=env,
                cwd=cwd,
                stdout=out.fd,
                stderr=err.fd,
                user=user,
                group=group,
                groups=groups,
            )
            try:
                code = await asyncio.wait_for(ended, timeout)
            finally:
                process.kill_group()
            return code, out.text(), err.text()


def _cause(error: Exception, program: str, cwd: str) -> str:
    if isinstance(error, FileNotFoundError) and error.filename == cwd:
        return f"its working directory {cwd} does not exist"
    if isinstance(error, FileNotFoundError) and os.path.exists(program):
        return NO_INTERPRETER
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
