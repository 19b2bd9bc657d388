"""Verbs that ask once and are done: status, is-active, wait, signal, reset, version."""

from __future__ import annotations

import sys

import msgspec

from supervisor_stack import __version__
from supervisor_stack.cli import shapes
from supervisor_stack.cli.grammar import VERBS
from supervisor_stack.cli.options import ALL, PROGRAM, Options
from supervisor_stack.cli.output import emit, say, shape_of
from supervisor_stack.cli.target import connect
from supervisor_stack.control.messages import StatusReply
from supervisor_stack.control.parts import ServiceLine, ServiceStatus
from supervisor_stack.errors import ProtocolVersionError, RequestError, StackError

DEGRADED = 1
NOT_ACTIVE = 3


def status(options: Options) -> int:
    """How the stack is, or all about some services."""
    if options.watch:
        from supervisor_stack.cli.watch import watch

        return watch(options, _emit_status)
    names = tuple(options.services)
    with connect(options) as client:
        reply = client.status(*names, detail=bool(names))
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
    services = reply.services
    if any(each.detail for each in services):
        emit(shapes.ServicesStatus(stackd=reply.stackd, stack=reply.stack, services=services))
        return
    lines = msgspec.convert(services, tuple[ServiceLine, ...], from_attributes=True)
    emit(shapes.StackStatus(stackd=reply.stackd, stack=reply.stack, services=lines))


def is_active(options: Options) -> int:
    """The state of one service."""
    with connect(options) as client:
        services = client.status(*options.services).services
    if len(services) != 1:
        raise ProtocolVersionError(
            f"cannot understand stackd: it told of {len(services)} services, not of one"
        )
    service = services[0]
    if options.json:
        emit(shapes.Activity(service=service.name, state=service.state, active=service.active))
    else:
        say(service.state)
    return 0 if _is_active(service) else NOT_ACTIVE


def wait(options: Options) -> int:
    """Until the services are ready, or in the state that was asked for."""
    with connect(options) as client:
        reply = client.wait(*_named(options), state=options.state, timeout=options.timeout)
    if options.json:
        found = (shapes.ServiceState(service=each.name, state=each.state) for each in reply.services)
        emit(shapes.Waited(services=tuple(found)))
    return 0


def signal(options: Options) -> int:
    """A signal to the main process of a service."""
    name = _signal_name(options.signal)
    if not name:
        detail = (f"write: {PROGRAM} signal SIG SERVICE; signals are named as kill -l does: HUP, USR1, …",)
        raise RequestError(f"cannot signal {options.services[0]}: no signal `{options.signal}`", detail)
    with connect(options) as client:
        client.signal(options.services[0], name)
    return _done(options)


def _signal_name(text: str) -> str:
    """Without SIG; empty when there is no such signal, by name or number."""
    from signal import Signals

    if text.isdecimal() and int(text) in set(Signals):
        return Signals(int(text)).name.removeprefix("SIG")
    name = text.upper().removeprefix("SIG")
    return name if f"SIG{name}" in Signals.__members__ else ""


def reset(options: Options) -> int:
    """Failures and counters are forgotten."""
    with connect(options) as client:
        client.reset(*_named(options))
    return _done(options)


def version(options: Options) -> int:
    """Of this program, also where no stackd answers, and of the one that does."""
    if not options.json:
        say(f"stackctl  {__version__}")
        sys.stdout.flush()  # before an error, which goes another way
    try:
        with connect(options) as client:
            stackd = client.status().stackd
    except StackError as error:
        if not options.json:
            raise
        emit(shapes.VersionsFailure(error=shape_of(error), stackctl=__version__))
        return VERBS[options.verb].exit_code(error)
    if options.json:
        emit(shapes.Versions(stackctl=__version__, stackd=stackd.version))
    else:
        say(f"stackd    {stackd.version} (pid {stackd.pid})")
    return 0


def _named(options: Options) -> tuple[str, ...]:
    return () if ALL in options.services else tuple(options.services)


def _done(options: Options) -> int:
    if options.json:
        emit(shapes.Done())
    return 0


def _is_active(service: ServiceStatus) -> bool:
    return service.active in ("active", "reloading")
