"""Carrying out the core's orders. Nothing here decides, and nothing here waits.

What takes time runs as a leaf task, and ends as a fact.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Protocol

from supervisor_stack.core import actions as do
from supervisor_stack.core import events as ev
from supervisor_stack.daemon import capture, cgroup, launch, private, refusal
from supervisor_stack.daemon.archive import Archive
from supervisor_stack.daemon.checks import Checks
from supervisor_stack.daemon.fd_store import FdStore
from supervisor_stack.daemon.held import HeldSockets
from supervisor_stack.daemon.kept import Keeper
from supervisor_stack.daemon.leaves import Leaves
from supervisor_stack.daemon.marks import Marks
from supervisor_stack.daemon.members import Members
from supervisor_stack.daemon.memory import Memory
from supervisor_stack.daemon.notify import Notifications
from supervisor_stack.daemon.output.outputs import Outputs
from supervisor_stack.daemon.pid_file import PidFiles
from supervisor_stack.daemon.probe import Prober
from supervisor_stack.daemon.process import Process, Processes
from supervisor_stack.daemon.runs import Run, Runs
from supervisor_stack.daemon.spawn import Spawner
from supervisor_stack.daemon.watch_list import Fingerprint
from supervisor_stack.errors import StackError
from supervisor_stack.spec import ServiceSpec

log = logging.getLogger(__name__)

KEEP_DELAY = 1.0
"""Seconds from a verified start or reload to the copy of the configuration. Making it runs the server's
own test, for which those that are still starting should not have to wait."""


class Audience(Protocol):
    """Who is told of what happens."""

    def publish(self, change: do.Publish) -> None:
        """A service changed."""

    def tell_awaited(self, order: do.TellAwaited) -> None:
        """A service waits for something else."""

    def finish(self, end: do.Finish) -> None:
        """An operation ended for a service."""

    def forget(self, service: str) -> None:
        """A service was removed, and is down."""


class Watcher(Protocol):
    """Who watches files."""

    def watch(self, service: str, files: Iterable[str], globs: Iterable[str], debounce: float) -> None:
        """Watch these for the service, and no others."""

    def recall(self, service: str, read: Fingerprint) -> None:
        """How they were when a service that goes on has read them."""

    def read(self, service: str) -> Fingerprint:
        """How they were when the service read them."""


class Performer:
    """Performs actions for the services of one stack.

    `post` takes what comes of them; `spec_of` gives the present specification of a service.
    """

    def __init__(
        self,
        post: Callable[[ev.Event], None],
        spec_of: Callable[[str], ServiceSpec],
        runtime_dir: str,
        log_dir: str,
        outputs: Outputs,
        processes: Processes,
        watcher: Watcher,
        audience: Audience,
        environ: Mapping[str, str],
        store: FdStore,
        archive: Archive,
        is_shutting_down: Callable[[], bool],
        nofile: str,
    ) -> None:
        self.marks = Marks(runtime_dir)
        self.members = Members(processes, self.marks, cgroup.find(asyncio.get_running_loop()))
        self.store = store
        self.held = HeldSockets(store)
        self.post = post
        self.spec_of = spec_of
        self.outputs = outputs
        self.processes = processes
        self._prober = Prober(post)
        self.answers = self._prober.answers
        self.notifications = Notifications(
            Path(runtime_dir, "notify"), self._take_in, self.members.owns, store
        )
        inherited = launch.inherited(environ)
        self.checks = Checks(processes, inherited, log_dir, self.marks)
        self.keeper = Keeper(Path(runtime_dir, "kept"), self.checks.run_beside, processes)
        self.runs = Runs(
            post,
            self.members,
            spec_of,
            is_changed=self.keeper.differs,
            cleared=self._cleared,
            outputs=outputs,
            reader_of=self.checks.reader,
        )
        self.pid_files = PidFiles(post, self.checks, spec_of, self.runs.serving_pid)
        self.memory = Memory(archive, self.runs, self.held, watcher.read, is_shutting_down)
        self._audience = audience
        self.watcher = watcher
        self.leaves = Leaves(post)
        self._keeping = Leaves(post)
        self._refusals = Leaves(post)
        self._orders: dict[type[do.Action], Callable[..., None]] = {
            do.Remember: self._remember,
            do.Publish: audience.publish,
            do.TellAwaited: audience.tell_awaited,
            do.Finish: audience.finish,
            do.Spawn: Spawner(self, inherited, nofile),
            do.Signal: self.runs.signal,
            do.AskToLeave: self.runs.ask_to_leave,
            do.Sweep: self.runs.sweep,
            do.Retire: self._retire,
            do.WatchStop: self._watch_stop,
            do.HoldSockets: self._hold,
            do.ReleaseSockets: self._release,
            do.StartProbe: self._start_probe,
            do.WatchAlive: self._watch_alive,
            do.StopProbe: lambda action: self._prober.stop(action.service),
            do.RunCheck: self._test,
            do.StopCheck: lambda action: self.leaves.stop(action.service),
            do.StartReload: self._reload,
            do.KeepConfig: self._keep,
            do.WatchFiles: self._watch_files,
        }

    def __call__(self, action: do.Action) -> None:
        """Carry out one order."""
        self._orders[type(action)](action)

    def _remember(self, action: do.Remember) -> None:
        self.memory(action)
        if action.record is None:
            self._forget(action.service)

    def _forget(self, service: str) -> None:
        """Keep nothing any more for a service that was removed."""
        self._keeping.stop(service)
        self.checks.forget(service)
        self.keeper.forget(service)
        self.pid_files.forget(service)
        self.outputs.forget(service)
        self.notifications.close(service)
        self.answers.forget(service)
        self._audience.forget(service)

    # The process.

    def exited(self, run: Run, process: Process) -> None:
        """The main process of a run is gone."""

        def take_in() -> None:
            self._refusals.stop(run.service)
            self.runs.exited(run, process)

        # All that an exit leads to comes after the run's last words: its reason is read from the file.
        self.outputs.drain(run.service, take_in)

    def _watch_stop(self, action: do.WatchStop) -> None:
        spec = self.spec_of(action.service)
        marks = [capture.mark(path) for path in self.checks.logs(spec)]

        async def watch() -> ev.Event:
            evidence = await refusal.watch(marks, self.checks.reader(spec), spec.stop_refusal)
            return ev.StopRefused(service=spec.name, run=action.run, evidence=evidence)

        self._refusals.start(spec.name, watch())

    # Its sockets and its files.

    def _hold(self, action: do.HoldSockets) -> None:
        spec = self.spec_of(action.service)
        pid = self.runs.newest_pid(spec.name) if spec.hold else 0
        if pid and (missing := self.held.adopt(spec.name, action.addresses, pid)):
            self.post(ev.HoldFailed(service=spec.name, addresses=missing))
        self.memory.write_down(spec.name)

    def _release(self, action: do.ReleaseSockets) -> None:
        self.held.release(action.service)
        self.memory.write_down(action.service)

    def _retire(self, action: do.Retire) -> None:
        self.runs.retire(action)
        self.pid_files.write(action.service)

    async def _cleared(self, service: str) -> None:
        await self.pid_files.restore(service)

    def _keep(self, action: do.KeepConfig) -> None:
        spec = self.spec_of(action.service)

        async def keep() -> ev.Event | None:
            await asyncio.sleep(KEEP_DELAY)
            try:
                return ev.ConfigKept(service=spec.name, at=await self.keeper.keep(spec, action.run))
            except StackError as error:
                log.warning("%s: %s", spec.name, "\n  ".join((error.message, *error.detail)))
                return None

        self._keeping.start(spec.name, keep())

    def _watch_files(self, action: do.WatchFiles) -> None:
        self.watcher.watch(action.service, action.files, action.globs, action.debounce)
        self.memory.write_down(action.service)

    # Probes and tests.

    def _take_in(self, told: ev.Event) -> None:
        """A service tells about itself. That it is ready is the answer to a question that nobody asks."""
        if isinstance(told, ev.BecameReady):
            self.answers.note(told.service, "ready", told.run, ok=True)
        self.post(told)

    def _start_probe(self, action: do.StartProbe) -> None:
        spec = self.spec_of(action.service)
        run = self.runs.get(action.service, action.run)
        if spec.ready is not None and run is not None and run.process is not None:
            apart = private.ready_probe(spec, action.run) if action.beside else None
            # Asked apart, its own answer tells; and with `cheap`, uWSGI has no worker before a request.
            beside = run.process.pid if action.beside and not apart else None
            command = self.checks.probe_command(spec, action.run)
            self._prober.start(
                spec.name, action.run, apart or spec.ready, action.address, command, beside=beside
            )

    def _watch_alive(self, action: do.WatchAlive) -> None:
        spec = self.spec_of(action.service)
        run = self.runs.get(action.service, action.run)
        if spec.alive is not None and run is not None and run.process is not None:
            command = self.checks.probe_command(spec, action.run)
            self._prober.watch(spec.name, action.run, spec.alive, action.address, run.process.pid, command)

    def _test(self, action: do.RunCheck) -> None:
        spec = self.spec_of(action.service)
        if spec.check is None:
            raise TypeError(f"{spec.name} has no configuration test")
        stopped = ev.CheckFinished(
            service=spec.name, run=action.run, ok=False, summary="the configuration test was stopped"
        )
        self.leaves.start(spec.name, self.checks.test(spec, action.run, spec.check), stopped)

    def _reload(self, action: do.StartReload) -> None:
        spec = self.spec_of(action.service)
        run = self.runs.get(action.service, action.run)
        if run is not None and run.process is not None:
            self.keeper.note(spec, action.run, self.checks.report(spec))
            self.leaves.start(spec.name, self.checks.reload(spec, action, run.process))
