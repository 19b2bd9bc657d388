"""The runs of all services: made, signalled, asked to leave, and cleared away.

A service has one run as a rule, and several for a moment when one takes over from another.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import stat
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from supervisor_stack.core import actions as do
from supervisor_stack.core import events as ev
from supervisor_stack.core.evidence import without
from supervisor_stack.daemon import capture, oom, private
from supervisor_stack.daemon.archive import SavedRun
from supervisor_stack.daemon.members import Clearing, Members
from supervisor_stack.daemon.output.outputs import Outputs
from supervisor_stack.daemon.proc import children
from supervisor_stack.daemon.process import Process
from supervisor_stack.daemon.signals import number
from supervisor_stack.spec import Fifo, ServiceSpec

log = logging.getLogger(__name__)

RETIRE_AGAIN = 1.0
"""Seconds after which a run that is being retired is told once more."""

COUNT_EVERY = 1.0
"""Seconds; a look at the kernel's counter takes 0.13 ms."""


class Run:
    """One life of a service's main process.

    `spec`: what it was started with. `marks`: where its logs ended when it began. `start`: when its process
    began. `kernel_kills`: how many processes the kernel had killed for want of memory by then. `is_over`: its
    main process is gone, and that was taken in.
    """

    def __init__(self, spec: ServiceSpec, number: int, marks: tuple[capture.Mark, ...]) -> None:
        self.spec = spec
        self.service = spec.name
        self.number = number
        self.marks = marks
        self.process: Process | None = None
        self.start = 0
        self.kernel_kills = 0
        self.is_over = False
        self._pipe = -1

    def ask_kernel(self) -> oom.Finding:
        """Whether the kernel ended its main process for want of memory."""
        process = self.process
        if process is None or process.code not in (-signal.SIGKILL, None) or process.was_killed_by_us:
            return oom.Finding()
        return oom.find(process.pid, self.kernel_kills)

    def ask_to_leave(self, stop_signal: str) -> None:
        """Gracefully if there is a way, and so that also a stopped process hears it."""
        fifo = self.spec.fifo
        if self.process is None or self.process.ended:
            return
        is_told = self._pipe >= 0
        if is_told and fifo and fifo.remind:
            _remind(self.process.pid, number(fifo.remind))
        # The signal also where the order was given before: uWSGI 2.0.31 sleeps until it hears something, and
        # has lost the order if it was just executing itself anew.
        if is_told or not (fifo and self._write(fifo)):
            self.process.signal(number(stop_signal))
        self.process.signal(signal.SIGCONT)

    def saved(self) -> SavedRun:
        """What the next stackd needs to know of it."""
        pid = self.process.pid if self.process else 0
        return SavedRun(pid, self.start, self.marks, self.kernel_kills)

    def close(self) -> None:
        """Let go of what was kept for it."""
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1

    def _write(self, fifo: Fifo) -> bool:
        """Whether the order went into its pipe. That stays open: uWSGI takes its end for the loss of the
        pipe and makes another one, in the place of a newer run's if they share a path."""
        try:
            # The folder is the service's: what lies there may be anything, and we may be root.
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
            pipe = os.open(private.numbered(fifo.path, self.number), flags)
        except OSError:
            return False  # it is not reading yet, or no more
        try:
            if not stat.S_ISFIFO(os.fstat(pipe).st_mode):
                raise FileNotFoundError
            os.write(pipe, fifo.stop.encode())
        except OSError:
            os.close(pipe)
            return False
        self._pipe = pipe
        return True


def _remind(pid: int, number: int) -> None:
    """Signal the children of a process that catch this signal: for others it could be the end."""
    for child in children(pid):
        with contextlib.suppress(OSError, StopIteration):
            status = Path(f"/proc/{child}/status").read_text()
            caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
            if int(caught.split()[1], 16) >> (number - 1) & 1:
                os.kill(child, number)


class Runs:
    """The runs by service and number. `post` takes what becomes of them.

    `is_changed`: whether the configuration of a service differs from the copy that is kept of it.
    `cleared` is called when nothing is left of a run that was retired. `reader_of`: who reads its logs.
    """

    def __init__(
        self,
        post: Callable[[ev.Event], None],
        members: Members,
        spec_of: Callable[[str], ServiceSpec],
        is_changed: Callable[[ServiceSpec], bool],
        cleared: Callable[[str], Awaitable[None]],
        outputs: Outputs,
        reader_of: Callable[[ServiceSpec], capture.Reader],
    ) -> None:
        self.members = members
        self._post = post
        self._spec_of = spec_of
        self._is_changed = is_changed
        self._cleared = cleared
        self._outputs = outputs
        self._reader_of = reader_of
        self._kernel_kills = oom.kills()
        self._counted_at = time.monotonic()
        self._runs: dict[str, dict[int, Run]] = {}
        self._left_behind: dict[str, dict[int, SavedRun]] = {}
        self._retiring: dict[tuple[str, int], asyncio.Task[None]] = {}

    def add(self, run: Run, process: Process) -> None:
        """Its process was made."""
        run.process = process
        run.start = process.start
        self._runs.setdefault(run.service, {})[run.number] = run
        self.members.enrol(run.service, run.number, process.pid)
        run.kernel_kills = self._count_kernel_kills()

    def adopt(self, run: Run, saved: SavedRun, process: Process) -> None:
        """An earlier stackd has made its process."""
        run.process = process
        run.start, run.kernel_kills = saved.start, saved.kernel_kills
        self._runs.setdefault(run.service, {})[run.number] = run

    def recall_left_behind(self, service: str, number: int, saved: SavedRun) -> None:
        """An earlier stackd has made its process, which is gone; others of it may be there."""
        self._left_behind.setdefault(service, {})[number] = saved

    def saved(self, service: str) -> dict[int, SavedRun]:
        """What the next stackd needs to know of the runs of a service."""
        left = self._left_behind.get(service, {})
        left = {number: saved for number, saved in left.items() if self.members.knows(service, number)}
        self._left_behind[service] = left
        return left | {number: run.saved() for number, run in self._runs.get(service, {}).items()}

    def get(self, service: str, number: int) -> Run | None:
        """The run, as long as its main process is there."""
        return self._runs.get(service, {}).get(number)

    def pids(self, service: str) -> list[int]:
        """All processes of the service: of its run, and of what is left of others."""
        found: dict[int, None] = {}
        for run in reversed(self._runs.get(service, {}).values()):
            if run.process:
                found |= dict.fromkeys(self.members.pids(service, run.number, run.process.pid))
        return list(found | dict.fromkeys(self.members.left_by(service, None)))

    def newest_pid(self, service: str) -> int:
        """The main process of its newest run; 0 for none."""
        runs = self._runs.get(service)
        newest = runs[max(runs)] if runs else None
        return newest.process.pid if newest and newest.process else 0

    def serving_pid(self, service: str) -> int:
        """The main process of its newest run that is not to leave; 0 for none."""
        runs = self._runs.get(service, {})
        staying = [number for number in runs if (service, number) not in self._retiring]
        process = runs[max(staying)].process if staying else None
        return process.pid if process else 0

    def exited(self, run: Run, process: Process) -> None:
        """Its main process is gone, and its last words are where they belong."""
        run.is_over = True
        self._runs.get(run.service, {}).pop(run.number, None)
        self._left_behind.setdefault(run.service, {})[run.number] = run.saved()
        self._post(self.end_of(run, process))
        run.close()
        self.members.look_again(run.service)
        private.remove(run.spec, run.number)

    def end_of(self, run: Run, process: Process) -> ev.Event:
        """What is to be told of the end of its main process."""
        left = len(self.members.left_by(run.service, run.number))
        if not left and (run.service, run.number) not in self._retiring:
            self.members.forget(run.service, run.number)
        kernel = run.ask_kernel()
        return ev.ProcessExited(
            service=run.service,
            run=run.number,
            code=process.code,
            leftovers=left,
            last_words=self._last_words(run, process),
            out_of_memory=kernel.killed,
            kernel=kernel.words,
            changed=process.code != 0 and self._is_changed(run.spec),
        )

    def _last_words(self, run: Run, process: Process) -> tuple[str, ...]:
        words = without(self._reader_of(run.spec).last_words(run.marks), run.spec.chatter)
        return words or (self._outputs.whereabouts(run.spec) if process.code != 0 else ())

    def _count_kernel_kills(self) -> int:
        """The kernel's count as of now or a moment ago: a thousand services may start at once."""
        now = time.monotonic()
        if now - self._counted_at > COUNT_EVERY:
            self._kernel_kills, self._counted_at = oom.kills(), now
        return self._kernel_kills

    def signal(self, action: do.Signal) -> None:
        """A signal to the main process."""
        if (run := self.get(action.service, action.run)) and run.process:
            run.process.signal(number(action.name))

    def ask_to_leave(self, action: do.AskToLeave) -> None:
        """The graceful end of a run."""
        if run := self.get(action.service, action.run):
            run.ask_to_leave(action.signal)

    def sweep(self, action: do.Sweep) -> None:
        """SIGKILL for every process of every run of the service, until there is none."""
        runs = list(self._runs.get(action.service, {}).values())
        for each in [key for key in self._retiring if key[0] == action.service]:
            self._retiring.pop(each).cancel()
        for run in runs:
            if run.process:
                run.process.kill_group()

        def gone() -> None:
            self._post(ev.MembersGone(service=action.service, run=action.run))

        self.members.clear(
            Clearing(action.service, None, True, lambda: all(run.is_over for run in runs), gone)
        )

    def retire(self, action: do.Retire) -> None:
        """See the action. A run that is being retired already is left to that."""
        key = action.service, action.run
        if key not in self._retiring:
            task = asyncio.get_running_loop().create_task(self._retire(action), name=f"retire {key}")
            self._retiring[key] = task
            task.add_done_callback(lambda _: self._retiring.pop(key, None))

    async def _retire(self, action: do.Retire) -> None:
        run = self.get(action.service, action.run)
        gone = asyncio.Event()

        def is_over() -> bool:
            return run is None or run.is_over

        def clear(kill: bool) -> None:
            self.members.clear(Clearing(action.service, action.run, kill, is_over, gone.set))

        clear(kill=False)
        killed = not await self._wait(gone, run, action)
        if killed:
            log.warning(
                "%s: run %d did not leave within %g s: killed", action.service, action.run, action.timeout
            )
            if run and run.process:
                run.process.kill_group()
            clear(kill=True)
            await gone.wait()
        await self._cleared(action.service)
        self._post(ev.GenerationGone(service=action.service, old=action.run, killed=killed))

    async def _wait(self, gone: asyncio.Event, run: Run | None, action: do.Retire) -> bool:
        """Whether all of it was gone in time; its main process is asked again as often as at a stop."""
        spec = self._spec_of(action.service)
        clock = asyncio.get_running_loop().time
        until = clock() + action.timeout
        while clock() < until:
            if run and not run.is_over:
                run.ask_to_leave(action.stop)
            elif action.orphans:
                self.members.tell_orphans(action.service, action.run, number(action.orphans))
            # Its main process may be killed meanwhile, and then the others have to be told.
            pause = min(until - clock(), spec.stop_again or RETIRE_AGAIN)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(gone.wait(), pause)
                return True
        return gone.is_set()
