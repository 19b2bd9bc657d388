"""The answer to a status request: what the core knows, and what /proc tells of the processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from supervisor_stack import __version__
from supervisor_stack.control import messages, parts
from supervisor_stack.core.stack import Stack
from supervisor_stack.core.state import ACTIVE, Service, State
from supervisor_stack.daemon import capture
from supervisor_stack.daemon.answers import LastAnswer, Question
from supervisor_stack.daemon.clock import wall
from supervisor_stack.daemon.usage import Meter, Usage
from supervisor_stack.spec import Address, ServiceSpec, StackSpec


class EncodedStatus(messages.Reply, frozen=True, tag="status"):
    """A StatusReply as it goes over the wire, with services that were encoded before."""

    stackd: parts.Daemon
    stack: parts.Stack
    services: msgspec.Raw
    events: str
    seq: int


class _Line(NamedTuple):
    """A service in a status reply, and what that was made of."""

    service: Service
    usage: Usage
    encoded: bytes


class StatusReader:
    """Makes status replies for one stack. `watching` names the folders watched for a service, `held` the
    sockets held for it, `meter` takes the figures of its processes, `answers` what its probes were answered
    last, `warning` what is wrong with stackd itself.

    Thousands of services are told of in one reply, and several clients may ask without pause: what was
    encoded for one reply and has not changed is in the next one as it is.
    """

    def __init__(
        self,
        spec: StackSpec,
        stack: Stack,
        watching: Callable[[str], tuple[str, ...]],
        held: Callable[[str], tuple[Address, ...]],
        meter: Meter,
        answers: Callable[[str], Mapping[Question, LastAnswer]],
        warning: Callable[[], str],
        now: float,
    ) -> None:
        self._spec = spec
        self._stack = stack
        self._watching = watching
        self._held = held
        self._meter = meter
        self._answers = answers
        self._warning = warning
        self.stackd = parts.Daemon(pid=os.getpid(), version=__version__, since=wall(now))
        self._lines: dict[str, _Line] = {}

    def prepare(self, request: messages.Status, then: Callable[[], None]) -> None:
        """Call `then` when the reply can be made. Raises UnknownServiceError."""
        self._meter.read(self._stack.known(request.services), then)

    def __call__(self, request: messages.Status, seq: int, events: str) -> EncodedStatus:
        """The reply. `events`: where whoever asks hears of notices. Raises UnknownServiceError."""
        names = self._stack.known(request.services) if request.services else list(self._stack.services)
        lines = [self._line(self._stack.services[name], request.detail) for name in names]
        return EncodedStatus(
            id=request.id,
            stackd=self.stackd,
            stack=parts.Stack(name=self._spec.name, state=self._stack.state, warning=self._warning()),
            services=msgspec.Raw(b"[" + b",".join(lines) + b"]"),
            events=events,
            seq=seq,
        )

    def forget(self, service: str) -> None:
        """Keep nothing of a service that is no more."""
        self._lines.pop(service, None)
        self._meter.forget(service)

    def _line(self, service: Service, detail: bool) -> bytes:
        usage = self._meter.usage(service)
        if detail:
            return msgspec.json.encode(self._service(service, usage, self._detail(service)))
        line = self._lines.get(service.name)
        if line is None or line.service is not service or line.usage is not usage:
            encoded = msgspec.json.encode(self._service(service, usage))
            line = self._lines[service.name] = _Line(service, usage, encoded)
        return line.encoded

    def _service(
        self, service: Service, usage: Usage, detail: parts.Detail | None = None
    ) -> parts.ServiceStatus:
        return parts.ServiceStatus(
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
            since=wall(service.stands_since),
            reason=_reason(service),
            next_retry=wall(service.deadline) if service.state is State.BACKOFF else None,
            cpu_percent=usage.cpu_percent,
            memory_bytes=usage.memory_bytes,
            processes=usage.processes,
            detail=detail,
        )

    def _detail(self, service: Service) -> parts.Detail:
        spec = service.spec
        told = service.report or spec
        return parts.Detail(
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
            needed_by=tuple(self._stack.graph.required_by[spec.name]),
            probe=_probe(spec, service),
            alive=_alive(spec, service),
            answers=tuple(
                parts.Answer(probe=question, run=last.run, time=wall(last.at), ok=last.ok, answer=last.words)
                for question, last in sorted(self._answers(spec.name).items(), reverse=True)
            ),
            evidence=service.rejected_detail if service.rejected else service.detail,
            exits=tuple(
                parts.Exit(run=exit_.run, time=wall(exit_.at), reason=exit_.reason, lasted=exit_.lasted)
                for exit_ in reversed(service.exits)
            ),
            tree=self._meter.processes(spec.name),
        )


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
