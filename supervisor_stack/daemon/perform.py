"""Carrying out the core's orders. Nothing here decides, and nothing here waits.

What takes time runs as a leaf task, of which a service has one at most, and ends as a fact.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import re
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from supervisor_stack.core import actions as do
from supervisor_stack.core import events as ev
from supervisor_stack.daemon import capture, launch, ports
from supervisor_stack.daemon.members import Members
from supervisor_stack.daemon.notify import Notifications
from supervisor_stack.daemon.probe import Prober, ask
from supervisor_stack.daemon.process import Process, Processes
from supervisor_stack.daemon.reload import reload
from supervisor_stack.daemon.signals import number
from supervisor_stack.errors import SpawnError
from supervisor_stack.spec import Address, Check, CheckReport, ServiceSpec

log = logging.getLogger(__name__)


class Run(NamedTuple):
    """One life of a service's main process."""

    number: int
    process: Process
    marks: tuple[capture.Mark, ...]


class Audience(Protocol):
    """Who is told of what happens."""

    def publish(self, change: do.Publish) -> None:
        """A service changed."""

    def finish(self, end: do.Finish) -> None:
        """An operation ended for a service."""


class Watcher(Protocol):
    """Who watches files."""

    def watch(self, service: str, files: Iterable[str], globs: Iterable[str], debounce: float) -> None:
        """Watch these for the service, and no others."""


class Performer:
    """Performs actions for the services of one stack.

    `post` takes what comes of them; `spec_of` gives the present specification of a service.
    """

    def __init__(
        self,
        post: Callable[[ev.Event], None],
        spec_of: Callable[[str], ServiceSpec],
        log_dir: str,
        processes: Processes,
        notifications: Notifications,
        watcher: Watcher,
        audience: Audience,
        environ: Mapping[str, str],
    ) -> None:
        self.runs: dict[str, Run] = {}
        self.members = Members(processes, lambda name, run: post(ev.MembersGone(service=name, run=run)))
        self._post = post
        self._spec_of = spec_of
        self._log_dir = log_dir
        self._processes = processes
        self._notifications = notifications
        self._prober = Prober(post)
        self._watcher = watcher
        self._audience = audience
        self._environ = environ
        self._reports: dict[str, CheckReport] = {}
        self._leaves: dict[str, asyncio.Task[ev.Event]] = {}

    def __call__(self, action: do.Action) -> None:  # noqa: C901 - one case for each action
        """Carry out one order."""
        match action:
            case do.Publish():
                self._audience.publish(action)
            case do.Spawn():
                self._spawn(action)
            case do.Signal():
                self._signal(action)
            case do.Sweep():
                self._sweep(action)
            case do.StartProbe():
                self._start_probe(action)
            case do.StopProbe():
                self._prober.stop(action.service)
            case do.RunCheck():
                self._test(action)
            case do.StartReload():
                self._start_leaf(action.service, self._reload(action), None)
            case do.StopCheck():
                self._stop_leaf(action.service)
            case do.WatchFiles():
                self._watcher.watch(action.service, action.files, action.globs, action.debounce)
            case do.Finish():
                self._audience.finish(action)
            case _:
                raise TypeError(f"unknown action: {action}")

    # The process.

    def _spawn(self, action: do.Spawn) -> None:
        spec = self._spec_of(action.service)
        for needed in spec.preconditions:
            if not os.path.exists(needed.path):
                self._post(_spawn_failed(action, needed.problem, final=True))
                return
        for address in action.addresses:
            if ports.is_taken(address):
                taken = _spawn_failed(action, f"{address} is in use")
                self._start_leaf(action.service, self._describe_taken(action, address), taken)
                return
        try:
            run = self._launch(spec, action.run)
        except SpawnError as error:
            who = f" (as {spec.user})" if spec.user else ""
            self._post(_spawn_failed(action, f"{error}{who}"))
            return
        except OSError as error:  # no descriptors left, and the like
            self._post(_spawn_failed(action, f"cannot make the process: {error.strerror}"))
            return
        self.runs[spec.name] = run
        self.members.enrol(spec.name, run.process.pid)
        self._notifications.bind_run(spec.name, run.number, run.process.pid)
        self._post(ev.Spawned(service=spec.name, run=run.number, pid=run.process.pid))

    def _launch(self, spec: ServiceSpec, run: int) -> Run:
        notify = self._notifications.open(spec.name) if spec.ready and spec.ready.type == "notify" else ""
        path = capture.log_path(self._log_dir, spec.name)
        marks = tuple(capture.mark(each) for each in (path, *self._error_logs(spec)))
        output = capture.open_output(spec.log, path)
        try:
            process = self._processes.spawn(
                (*launch.chain(spec), *spec.argv),
                lambda process: self._exited(spec.name, run, process),
                env=launch.environment(spec, self._environ, run, notify),
                cwd=spec.cwd,
                stdout=output,
                umask=-1 if spec.umask is None else spec.umask,
            )
        finally:
            os.close(output)
        return Run(run, process, marks)

    def _exited(self, name: str, number: int, process: Process) -> None:
        run = self.runs[name]
        self._post(
            ev.ProcessExited(
                service=name,
                run=number,
                code=process.code or 0,
                leftovers=len(self.members.left_by(name)),
                last_words=capture.last_words(run.marks),
            )
        )
        self.members.look_again(name)

    def _signal(self, action: do.Signal) -> None:
        run = self.runs.get(action.service)
        if run and run.number == action.run:
            run.process.signal(number(action.name))

    def _sweep(self, action: do.Sweep) -> None:
        run = self.runs.get(action.service)
        if run:
            run.process.kill_group()
        self.members.sweep(action.service, action.run, lambda: not run or run.process.code is not None)

    async def _describe_taken(self, action: do.Spawn, address: Address) -> ev.Event:
        return _spawn_failed(action, f"{address} is in use by {await ports.describe_holder(address)}")

    # Probes and tests.

    def _start_probe(self, action: do.StartProbe) -> None:
        probe = self._spec_of(action.service).ready
        if probe is not None:
            run_command = functools.partial(self._run_probe_command, action.service, action.run)
            self._prober.start(action.service, action.run, probe, action.address, run_command)

    async def _run_probe_command(
        self, name: str, run: int, argv: tuple[str, ...], timeout: float
    ) -> tuple[int, str]:
        code, out, err = await self._run_beside(self._spec_of(name), run, argv, timeout)
        return code, out + err

    async def _run_beside(
        self,
        spec: ServiceSpec,
        run: int,
        argv: tuple[str, ...],
        timeout: float,
        without: tuple[str, ...] = (),
    ) -> tuple[int, str, str]:
        """Run a command as the service itself runs: its user, its environment, its folder."""
        env = launch.environment(spec, self._environ, run, "")
        env = {key: value for key, value in env.items() if key not in without}
        who = launch.identity(spec)._asdict()
        return await self._processes.run(argv, timeout, env=env, cwd=spec.cwd, **who)

    def _test(self, action: do.RunCheck) -> None:
        spec = self._spec_of(action.service)
        if spec.check is None:
            raise TypeError(f"{spec.name} has no configuration test")
        stopped = ev.CheckFinished(
            service=spec.name, run=action.run, ok=False, summary="the configuration test was stopped"
        )
        self._start_leaf(spec.name, self._run_check(spec, action.run, spec.check), stopped)

    async def _run_check(self, spec: ServiceSpec, run: int, check: Check) -> ev.CheckFinished:
        command = " ".join(os.path.basename(word) for word in check.argv[:2])

        def failed(cause: str, evidence: tuple[str, ...] = (), final: bool = False) -> ev.CheckFinished:
            summary = f"configuration test failed ({cause})"
            return ev.CheckFinished(
                service=spec.name, run=run, ok=False, final=final, summary=summary, evidence=evidence
            )

        try:
            code, out, err = await self._run_beside(spec, run, check.argv, check.timeout, check.without_env)
        except TimeoutError:
            return failed(f"{command} did not end within {check.timeout:g} s")
        except SpawnError as error:
            return failed(error.message)
        if code:
            evidence = check.evidence(err) if check.evidence else tuple(err.splitlines())
            evidence = evidence or tuple(err.splitlines()[-capture.LAST_LINES :])
            final = code > 0 and not (check.transient and re.search(check.transient, err))
            return failed(f"{command} exited {code}", evidence, final)
        report = check.read(out) if check.read else None
        if report:
            self._reports[spec.name] = report
        return ev.CheckFinished(service=spec.name, run=run, ok=True, report=report)

    async def _reload(self, action: do.StartReload) -> ev.Event:
        spec = self._spec_of(action.service)
        if spec.reload is None:
            raise TypeError(f"{spec.name} cannot reload")

        run_command = functools.partial(self._run_probe_command, spec.name, action.run)

        async def is_ready() -> str:
            if spec.ready is None or spec.ready.type == "notify":
                return ""  # there is nobody to ask
            return await ask(spec.ready, action.address, run_command=run_command)

        logs = (capture.log_path(self._log_dir, spec.name), *self._error_logs(spec))
        process = self.runs[spec.name].process
        return await reload(spec.name, action.run, process, spec.reload, logs, is_ready)

    def _error_logs(self, spec: ServiceSpec) -> tuple[str, ...]:
        """The logs that the service writes by itself, but not those of its visitors."""
        report = self._reports.get(spec.name)
        logs = (*spec.logs, *(report.logs if report else ()))
        return tuple(path for path in logs if "access" not in os.path.basename(path))

    # Leaf tasks.

    def _start_leaf(
        self, service: str, work: Coroutine[Any, Any, ev.Event], otherwise: ev.Event | None
    ) -> None:
        """Run something that takes time; its result is posted, or `otherwise` when it was stopped."""
        self._stop_leaf(service)
        task = asyncio.get_running_loop().create_task(work, name=service)
        self._leaves[service] = task
        task.add_done_callback(functools.partial(self._leaf_ended, otherwise))

    def _stop_leaf(self, service: str) -> None:
        if task := self._leaves.pop(service, None):
            task.cancel()

    def _leaf_ended(self, otherwise: ev.Event | None, task: asyncio.Task[ev.Event]) -> None:
        if self._leaves.get(task.get_name()) is task:
            del self._leaves[task.get_name()]
        fact = otherwise
        if not task.cancelled():
            if error := task.exception():
                log.error("cannot complete a task of %s: internal error", task.get_name(), exc_info=error)
            else:
                fact = task.result()
        if fact is not None:
            self._post(fact)


def _spawn_failed(action: do.Spawn, reason: str, final: bool = False) -> ev.SpawnFailed:
    return ev.SpawnFailed(service=action.service, run=action.run, reason=reason, final=final)
