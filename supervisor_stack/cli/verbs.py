"""Verbs that ask once and are done: status, is-active, wait, signal, reset, version."""

from __future__ import annotations

import msgspec

from supervisor_stack import __version__
from supervisor_stack.cli.options import ALL, Options
from supervisor_stack.cli.output import emit, say
from supervisor_stack.cli.target import connect
from supervisor_stack.control.client import StackClient
from supervisor_stack.control.messages import (
    Reset,
    Signal,
    Status,
    StatusReply,
)
from supervisor_stack.control.parts import ServiceStatus
from supervisor_stack.errors import (
    OperationError,
    ProtocolVersionError,
    RequestError,
    StackError,
    TimedOutError,
)

DEGRADED = 1
NOT_ACTIVE = 3
_ALIVE = ("ready", "active", "running")
_END = {"failed": "failed for good", "exited": "came to its end"}


def status(options: Options) -> int:
    """How the stack is, or all about some services."""
    if options.watch:
        from supervisor_stack.cli.watch import watch

        return watch(options, _emit_status)
    names = tuple(options.services)
    with connect(options) as client:
        reply = client.request(Status(services=names, detail=bool(names)))
    if options.json:
        _emit_status(reply)
    elif names:
        from supervisor_stack.cli.about import say_details

        say_details(reply.services, options.no_color, with_logs=not options.hosts)
    else:
        from supervisor_stack.cli.report import say_table

        say_table(reply, options.no_color)
    if names:
        return 0 if all(map(_is_active, reply.services)) else NOT_ACTIVE
    return DEGRADED if reply.stack.state in ("starting", "degraded") else 0


def _emit_status(reply: StatusReply) -> None:
    emit(stackd=reply.stackd, stack=reply.stack, services=[_contract(each) for each in reply.services])


def is_active(options: Options) -> int:
    """The state of one service."""
    with connect(options) as client:
        services = client.request(Status(services=tuple(options.services))).services
    if len(services) != 1:
        raise ProtocolVersionError(
            f"cannot understand stackd: it told of {len(services)} services, not of one"
        )
    service = services[0]
    if options.json:
        emit(service=service.name, state=service.state, active=service.active)
    else:
        say(service.state)
    return 0 if _is_active(service) else NOT_ACTIVE


def wait(options: Options) -> int:
    """Until the services are ready, or in the state that was asked for."""
    with connect(options) as client:
        reply = _look(client, options)
        notices = client.subscribe(reply.seq, options.timeout)
        try:
            while not _all_there(reply, options.state):
                # What was published before the last look is part of it.
                while next(notices).seq <= reply.seq:
                    pass
                reply = _look(client, options)
        except TimedOutError:
            if options.timeout is None:
                raise
            pending = [each for each in reply.services if not _is_there(each, options.state)]
            raise TimedOutError(
                f"cannot see {pending[0].name} {options.state}: not so within {options.timeout:g} s",
                tuple(map(_truth, pending)),
            ) from None
    if options.json:
        emit(services=[{"service": each.name, "state": each.state} for each in reply.services])
    return 0


def signal(options: Options) -> int:
    """A signal to the main process of a service."""
    from signal import Signals

    name = options.signal.upper().removeprefix("SIG")
    if f"SIG{name}" not in Signals.__members__:
        raise RequestError(f"cannot signal {options.services[0]}: no signal `{options.signal}`")
    with connect(options) as client:
        client.request(Signal(service=options.services[0], signal=name))
    return _done(options)


def reset(options: Options) -> int:
    """Failures and counters are forgotten."""
    with connect(options) as client:
        client.request(Reset(services=_named(options)))
    return _done(options)


def version(options: Options) -> int:
    """Of this program, and of the stackd that answers, if one does."""
    stackd = None
    try:
        with connect(options) as client:
            stackd = client.request(Status()).stackd
    except StackError as error:
        answer = f"stackd    {error.message}"
    else:
        answer = f"stackd    {stackd.version} (pid {stackd.pid})"
    if options.json:
        emit(stackctl=__version__, stackd=stackd and stackd.version)
    else:
        say(f"stackctl  {__version__}")
        say(answer)
    return 0


def _named(options: Options) -> tuple[str, ...]:
    return () if ALL in options.services else tuple(options.services)


def _done(options: Options) -> int:
    if options.json:
        emit()
    return 0


def _contract(service: ServiceStatus) -> object:
    """What the public interface promises of a service; the details only where they were asked for."""
    if service.detail:
        return service
    return {name: value for name, value in msgspec.structs.asdict(service).items() if name != "detail"}


def _is_active(service: ServiceStatus) -> bool:
    return service.active in ("active", "reloading")


def _look(client: StackClient, options: Options) -> StatusReply:
    return client.request(Status(services=_named(options)))


def _all_there(reply: StatusReply, state: str) -> bool:
    """Whether all are in that state. Raises OperationError when only a person can bring one there."""
    for service in reply.services:
        if service.state in ("failed", "exited") and state in _ALIVE and not _is_there(service, state):
            raise OperationError(
                f"cannot see {service.name} {state}: it {_END[service.state]}", (_truth(service),)
            )
    return all(_is_there(service, state) for service in reply.services)


def _is_there(service: ServiceStatus, state: str) -> bool:
    return service.ready if state == "ready" else state in (service.state, service.active)


def _truth(service: ServiceStatus) -> str:
    reason = f": {service.reason}" if service.reason else ""
    return f"{service.name} is {service.active} ({service.state}){reason}."
