"""Commands that are run beside a service, as the service itself runs: its configuration test, exec
probes, look-ups; and its reload, which is a signal and a verdict."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Awaitable, Callable, Mapping

from supervisor_stack.core import actions as do
from supervisor_stack.core import events as ev
from supervisor_stack.daemon import capture, launch
from supervisor_stack.daemon.marks import BESIDE, Marks
from supervisor_stack.daemon.probe import ask
from supervisor_stack.daemon.process import Process, Processes
from supervisor_stack.daemon.reload import reload
from supervisor_stack.errors import SpawnError
from supervisor_stack.spec import Check, CheckReport, ServiceSpec


class Checks:
    """Runs commands for services, and remembers what their configuration tests reported."""

    def __init__(
        self, processes: Processes, inherited: Mapping[str, str], log_dir: str, marks: Marks
    ) -> None:
        self._processes = processes
        self._marks = marks
        self._inherited = inherited
        self._log_dir = log_dir
        self._reports: dict[str, CheckReport] = {}

    async def run_beside(
        self,
        spec: ServiceSpec,
        run: int,
        argv: tuple[str, ...],
        timeout: float,
        without: tuple[str, ...] = (),
    ) -> tuple[int, str, str]:
        """Run a command as the service itself runs: its user, its environment, its folder.

        Returns its exit code, stdout and stderr. Raises SpawnError, and TimeoutError.
        """
        env = launch.environment(
            spec, self._inherited, {**self._marks.environment(spec.name, run), **BESIDE}, ""
        )
        env = {key: value for key, value in env.items() if key not in without}
        who = launch.identity(spec)._asdict()
        return await self._processes.run(argv, timeout, env=env, cwd=spec.cwd, **who)

    def probe_command(
        self, spec: ServiceSpec, run: int
    ) -> Callable[[tuple[str, ...], float], Awaitable[tuple[int, str]]]:
        """How probes run commands on behalf of a run."""
        return functools.partial(self._run_probe_command, spec, run)

    async def _run_probe_command(
        self, spec: ServiceSpec, run: int, argv: tuple[str, ...], timeout: float
    ) -> tuple[int, str]:
        code, out, err = await self.run_beside(spec, run, argv, timeout)
        return code, out + err

    async def test(self, spec: ServiceSpec, run: int, check: Check) -> ev.CheckFinished:
        """The service's own configuration test."""
        command = " ".join(os.path.basename(word) for word in check.argv[:2])

        def failed(cause: str, evidence: tuple[str, ...] = (), final: bool = False) -> ev.CheckFinished:
            summary = f"configuration test failed ({cause})"
            return ev.CheckFinished(
                service=spec.name, run=run, ok=False, final=final, summary=summary, evidence=evidence
            )

        try:
            code, out, err = await self.run_beside(spec, run, check.argv, check.timeout, check.without_env)
        except TimeoutError:
            return failed(f"{command} did not end within {check.timeout:g} s")
        except SpawnError as error:
            return failed(error.message)
        if code:
            evidence = check.evidence(err) if check.evidence else tuple(err.splitlines())
            evidence = evidence or tuple(err.splitlines()[-capture.LAST_LINES :])
            final = code > 0 and not (check.transient and re.search(check.transient, err))
            return failed(f"{command} exited {code}", evidence, final)
        report = check.read(out, err) if check.read else None
        if report and report.problems:
            return failed("stackd cannot work with it", report.problems, final=True)
        if report:
            self._reports[spec.name] = report
        return ev.CheckFinished(service=spec.name, run=run, ok=True, report=report)

    async def reload(self, spec: ServiceSpec, action: do.StartReload, process: Process) -> ev.Event:
        """Signal the service, and see that it took effect."""
        if spec.reload is None:
            raise TypeError(f"{spec.name} cannot reload")
        command = self.probe_command(spec, action.run)

        async def is_ready() -> str:
            if spec.ready is None or spec.ready.type == "notify":
                return ""  # there is nobody to ask
            return await ask(spec.ready, action.address, run_command=command)

        return await reload(
            spec.name, action.run, process, spec.reload, self.logs(spec), self.reader(spec), is_ready
        )

    def logs(self, spec: ServiceSpec) -> tuple[str, ...]:
        """What stackd keeps of its output, and the logs that it writes by itself; none of its visitors."""
        told = self.report(spec) or spec
        return (capture.log_path(self._log_dir, spec.name), *told.logs)

    def reader(self, spec: ServiceSpec) -> capture.Reader:
        """Who reads these logs."""
        try:
            who = launch.identity(spec)
        except SpawnError:  # the system has forgotten its user
            who = None
        return capture.Reader(capture.log_path(self._log_dir, spec.name), who)

    def recall(self, service: str, report: CheckReport | None) -> None:
        """What an earlier stackd was told by the configuration test of a service."""
        if report:
            self._reports[service] = report

    def report(self, spec: ServiceSpec) -> CheckReport | None:
        """What the configuration test of the service told last, if it has one."""
        return self._reports.get(spec.name) if spec.check else None

    def forget(self, service: str) -> None:
        """A service was removed."""
        self._reports.pop(service, None)
