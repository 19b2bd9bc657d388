"""Making the process of a run, with all that it is lent: sockets, a pipe for its output, a place to tell
about itself, marks by which it is known."""

from __future__ import annotations

import errno
import logging
import os
import subprocess
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from supervisor_stack.core import actions as do
from supervisor_stack.core import events as ev
from supervisor_stack.daemon import capture, launch, ports, private
from supervisor_stack.daemon.held import HeldForAnotherError
from supervisor_stack.daemon.lend import Loan, lend
from supervisor_stack.daemon.listener import AddressInUse
from supervisor_stack.daemon.process import Process
from supervisor_stack.daemon.runs import Run
from supervisor_stack.errors import SpawnError
from supervisor_stack.spec import Address, ServiceSpec

if TYPE_CHECKING:
    from supervisor_stack.daemon.perform import Performer

log = logging.getLogger(__name__)

SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM, errno.ENOSPC})
"""Errors that say nothing of the service: the machine has no more of something, for now."""


class Spawner:
    """Makes processes for a shell. `inherited`: what they get of stackd's environment. `nofile`: the limit of
    descriptors that services get unless they have their own, as prlimit(1) takes it; empty: as ours."""

    def __init__(self, shell: Performer, inherited: Mapping[str, str], nofile: str) -> None:
        self._shell = shell
        self._inherited = inherited
        self._nofile = nofile

    def __call__(self, action: do.Spawn) -> None:
        """Make it, or tell why not."""
        shell = self._shell
        spec = shell.spec_of(action.service)
        for needed in spec.preconditions:
            if not os.path.exists(needed.path):
                shell.post(_failed(action, needed.problem, final=True))
                return
        unheld = [address for address in action.addresses if address not in action.hold]
        try:
            self._hold(spec, action)  # first: what is not to be held any more is ours still
            if taken := next(filter(ports.is_taken, unheld), None):
                raise AddressInUse(taken)
            shell.memory.write_down(spec.name)  # or nobody would look for these sockets
            run = self._launch(spec, action)
        except AddressInUse as error:
            self._refuse_taken(action, error.address)
        except SpawnError as error:
            who = f" (as {spec.user})" if spec.user else ""
            passing = isinstance(error, HeldForAnotherError) or _is_shortage(error.__cause__)
            shell.post(_failed(action, f"{error}{who}", error.detail, passing=passing))
        except OSError as error:
            told = f"cannot make the process: {error.strerror}"
            shell.post(_failed(action, told, passing=_is_shortage(error)))
        else:
            pid = run.process.pid if run.process else 0
            shell.notifications.bind_run(spec.name, run.number, pid)
            if not action.beside:
                shell.pid_files.write(spec.name)
            shell.post(ev.Spawned(service=spec.name, run=run.number, pid=pid))

    def _refuse_taken(self, action: do.Spawn, address: Address) -> None:
        async def describe() -> ev.Event:
            holder = await ports.find_holder(address)
            return _failed(action, f"{address} is in use by {holder.who}", holder.evidence)

        self._shell.leaves.start(action.service, describe(), _failed(action, f"{address} is in use"))

    def _hold(self, spec: ServiceSpec, action: do.Spawn) -> None:
        held = self._shell.held
        if spec.hold is None:
            held.release(spec.name)
            return
        present = held.addresses(spec.name) if action.beside else ()
        addresses = tuple(dict.fromkeys((*action.hold, *present)))
        held.hold(spec.name, spec.hold, addresses, launch.identity(spec))

    def _launch(self, spec: ServiceSpec, action: do.Spawn) -> Run:
        shell = self._shell
        notify = self._open_notifications(spec)
        held = shell.held.held(spec.name)
        lent = {address: held[address] for address in action.hold if address in held}
        loan = lend(spec.hold, lent) if spec.hold else Loan()
        run = Run(spec, action.run, tuple(map(capture.mark, shell.checks.logs(spec))))
        argv = shell.keeper.argv(spec) if action.copy else spec.argv
        if not action.copy:
            shell.keeper.note(spec, action.run, shell.checks.report(spec))
        own = private.prepare(spec, action.run)
        output = shell.outputs.open(spec, launch.identity(spec))
        try:
            process = self._make(run, loan, (*argv, *own), notify, output)
        finally:
            os.close(output)
        shell.runs.add(run, process)
        return run

    def _make(self, run: Run, loan: Loan, argv: tuple[str, ...], notify: str, output: int) -> Process:
        shell, spec = self._shell, run.spec
        shell.marks.trust(spec.name, launch.identity(spec).user)
        marks = shell.marks.environment(spec.name, run.number)
        env = {**launch.environment(spec, self._inherited, marks, notify), **loan.env}
        launch.check_program(argv[0], env, spec.cwd)
        with shell.members.place(spec.name, run.number) as place:
            return shell.processes.spawn(
                (*place.argv, *launch.chain(spec, self._nofile), *loan.argv, *argv),
                lambda process: shell.exited(run, process),
                env=env,
                cwd=spec.cwd,
                stdin=place.input,
                stdout=output,
                stderr=2 if spec.log.to == "inherit" else subprocess.STDOUT,
                umask=-1 if spec.umask is None else spec.umask,
                pass_fds=(*loan.fds, *self._told_at(spec)),
            )

    def _open_notifications(self, spec: ServiceSpec) -> str:
        """Where it may tell about itself. Only a service whose readiness is told so cannot do without."""
        if not (spec.tells_ready or spec.notify):
            return ""
        try:
            return self._shell.notifications.open(spec.name)
        except SpawnError as error:
            if spec.tells_ready:
                raise
            log.warning("%s: %s; it goes without", spec.name, error.message)
            return ""

    def _told_at(self, spec: ServiceSpec) -> Iterable[int]:
        """The socket where it tells that it is ready, for it to keep: READY=1 comes once, and while stackd is
        gone it stays in there. The next stackd has the socket out of this process."""
        return self._shell.notifications.sockets(spec.name) if spec.tells_ready else ()


def _failed(
    action: do.Spawn,
    reason: str,
    detail: tuple[str, ...] = (),
    *,
    final: bool = False,
    passing: bool = False,
) -> ev.SpawnFailed:
    return ev.SpawnFailed(
        service=action.service, run=action.run, reason=reason, detail=detail, final=final, passing=passing
    )


def _is_shortage(error: BaseException | None) -> bool:
    return isinstance(error, OSError) and error.errno in SHORTAGES
