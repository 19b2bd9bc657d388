"""The answer to a status request: what the core knows, and what /proc tells of the processes."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from supervisor_stack import __version__
from supervisor_stack.control import messages
from supervisor_stack.core.stack import Stack
from supervisor_stack.core.state import ACTIVE, Service, State
from supervisor_stack.daemon import capture
from supervisor_stack.daemon.clock import wall
from supervisor_stack.spec import Address, ServiceSpec, StackSpec

if TYPE_CHECKING:
    import psutil


class StatusReader:
    """Makes status replies for one stack. `watching` names the folders watched for a service, `held` the
    sockets held for it, `pids` its processes."""

    def __init__(
        self,
        spec: StackSpec,
        stack: Stack,
        watching: Callable[[str], tuple[str, ...]],
        held: Callable[[str], tuple[Address, ...]],
        pids: Callable[[str], list[int]],
        now: float,
    ) -> None:
        self._spec = spec
        self._stack = stack
        self._watching = watching
        self._held = held
        self._pids = pids
        self._since = wall(now)
        self._known: dict[int, psutil.Process] = {}

    def __call__(self, request: messages.Status, seq: int) -> messages.StatusReply:
        """The reply. Raises UnknownServiceError."""
        names = self._stack.known(request.services) if request.services else list(self._stack.services)
        processes = {name: self._processes(self._stack.services[name]) for name in names}
        if not request.services:
            alive = {process.pid for group in processes.values() for process in group}
            self._known = {pid: process for pid, process in self._known.items() if pid in alive}
        return messages.StatusReply(
            id=request.id,
            stackd=messages.Daemon(pid=os.getpid(), version=__version__, since=self._since),
            stack=messages.Stack(name=self._spec.name, state=self._stack.state),
            services=tuple(
                self._service(self._stack.services[name], processes[name], request.detail) for name in names
            ),
            events=self._spec.control.events,
            seq=seq,
        )

    def _service(
        self, service: Service, processes: list[messages.Process], detail: bool
    ) -> messages.ServiceStatus:
        return messages.ServiceStatus(
            name=service.name,
            kind=service.spec.kind,
            state=service.state,
            active=ACTIVE[service.state],
            wanted="running" if service.wanted else "stopped",
            ready=service.ready or service.is_fulfilled,  # a task that is done
            pid=service.pid,
            run=service.run,
            restarts=service.restarts,
            adopted=service.adopted,
            since=wall(service.since),
            reason=_reason(service),
            next_retry=wall(service.deadline) if service.state is State.BACKOFF else None,
            cpu_percent=round(sum(process.cpu_percent or 0.0 for process in processes), 1)
            if processes
            else None,
            memory_bytes=sum(process.memory_bytes or 0 for process in processes) if processes else None,
            processes=len(processes),
            detail=self._detail(service, tuple(processes)) if detail else None,
        )

    def _detail(self, service: Service, tree: tuple[messages.Process, ...]) -> messages.Detail:
        spec = service.spec
        told = service.report or spec
        return messages.Detail(
            command=spec.argv,
            config=spec.config,
            log_to=spec.log.to,
            log=capture.log_path(self._spec.log_dir, spec.name) if spec.log.to == "file" else "",
            logs=(*told.logs, *told.access_logs),
            addresses=tuple(map(str, service.addresses)),
            held=tuple(map(str, self._held(spec.name))),
            kept=service.kept,
            other_runs=service.others,
            watching=self._watching(spec.name),
            requires=spec.requires,
            wants=spec.wants,
            after=spec.after,
            needed_by=self._stack.graph.required_by[spec.name],
            probe=_probe(spec, service),
            alive=_alive(spec, service),
            evidence=service.rejected_detail if service.rejected else service.detail,
            exits=tuple(
                messages.Exit(run=exit_.run, time=wall(exit_.at), reason=exit_.reason, lasted=exit_.lasted)
                for exit_ in reversed(service.exits)
            ),
            tree=tree,
        )

    def _processes(self, service: Service) -> list[messages.Process]:
        if service.pid is None and not service.others:
            return []
        try:
            import psutil  # 30 ms that the start of the services should not wait for
        except (ImportError, OSError):
            return []  # no descriptors left; the import system then finds no module
        found = []
        for pid in self._pids(service.name):
            try:
                process = self._known.get(pid)
                if process is None or not process.is_running():
                    process = self._known[pid] = psutil.Process(pid)
                with process.oneshot():
                    found.append(
                        messages.Process(
                            pid=pid,
                            parent=process.ppid(),
                            command=" ".join(process.cmdline()) or process.name(),
                            # Since the last time that somebody asked; the first answer is 0.
                            cpu_percent=process.cpu_percent(),
                            memory_bytes=process.memory_info().rss,
                        )
                    )
            except (psutil.Error, OSError):
                continue  # it ended while we looked, is not ours to look into, or no descriptors are left
        return found


def _reason(service: Service) -> str:
    if service.rejected and service.copy:
        return service.rejected
    if service.rejected:
        return f"last change was not taken up: {service.rejected}"
    return service.reason


def _probe(spec: ServiceSpec, service: Service) -> str:
    if spec.ready is None:
        return "none: it counts as ready when its process exists"
    return f"{spec.ready.type} {spec.ready.address or next(iter(service.addresses), '')}".strip()


def _alive(spec: ServiceSpec, service: Service) -> str:
    alive = spec.alive
    if alive is None:
        return ""
    address = "" if alive.type == "process" else alive.address or next(iter(service.addresses), "")
    asked = f"{alive.type} {address}".strip()
    return f"{asked} every {alive.interval:g} s, hung after {alive.failures} without an answer"
