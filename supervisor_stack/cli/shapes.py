"""What `--json` prints, typed: what each verb emits, and docs/schema, which is made from these types.

A comment `#:` behind a field is its description there. A new verb is one entry of OUTPUTS; shapes that only
one verb knows stand in its module, the others here. Within version 1 fields are only added.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import msgspec

from supervisor_stack.control.parts import Daemon, Outcome, ServiceLine, ServiceStatus, Stack
from supervisor_stack.control.plans import Plan


class Success(msgspec.Struct, frozen=True, kw_only=True):
    """Base of what is printed when a question was answered, or something was done."""

    v: Literal[1] = 1  #: the version of this form; within it, fields are only added
    ok: Literal[True] = True  #: it was answered, or done. The exit code tells whether that is good news


class Error(msgspec.Struct, frozen=True, kw_only=True):
    """Why it could not be done."""

    kind: str  #: for programs; one of those in protocol.md, or `interrupted`. A kind is never renamed
    message: str  #: `cannot VERB OBJECT: cause`, for people
    detail: tuple[str, ...]  #: the evidence and what is true now, line by line


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """It was not answered, or not done. In a stream of lines this is the last one."""

    v: Literal[1] = 1  #: the version of this form; within it, fields are only added
    ok: Literal[False] = False  #: it was not
    error: Error  #: why not


class OperationFailure(Failure, frozen=True, kw_only=True):
    """It was carried out, and did not succeed for all services."""

    op: int  #: the number of the operation in stackd
    services: tuple[Outcome, ...]  #: how it ended for each


class StackStatus(Success, frozen=True, kw_only=True):
    """How the stack is."""

    stackd: Daemon  #: the daemon
    stack: Stack  #: as a whole
    services: tuple[ServiceLine, ...]  #: all of them, what others need first


class ServicesStatus(Success, frozen=True, kw_only=True):
    """All about the services that were named."""

    stackd: Daemon  #: the daemon
    stack: Stack  #: as a whole
    services: tuple[ServiceStatus, ...]  #: those that were named


class Names(Success, frozen=True, kw_only=True):
    """The services of the stack."""

    services: tuple[str, ...]  #: their names, what others need first


class NamesFailure(Failure, frozen=True, kw_only=True):
    """stackd could not be asked; its configuration file could."""

    services: tuple[str, ...]  #: the names in that file


class Begun(Success, frozen=True, kw_only=True):
    """With --no-wait: stackd has begun."""

    op: int  #: the number of the operation in stackd
    services: tuple[str, ...]  #: the services that it is about


class Ended(Success, frozen=True, kw_only=True):
    """It is done, for all services."""

    op: int  #: the number of the operation in stackd
    services: tuple[Outcome, ...]  #: how it ended for each


class Planned(Success, frozen=True, kw_only=True):
    """With --plan: what would be done."""

    plan: Plan  #: it


class Applying(Begun, frozen=True, kw_only=True):
    """With --no-wait: stackd has begun to apply the configuration."""

    plan: Plan  #: what it does


class Applied(Ended, frozen=True, kw_only=True):
    """The configuration is in effect."""

    plan: Plan  #: what was done


class ApplyFailure(OperationFailure, frozen=True, kw_only=True):
    """The configuration is in effect, and not all services are as it says."""

    plan: Plan  #: what was done


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a log."""

    service: str  #: whose log it is
    file: str | None  #: which; null: the journal
    time: str | None  #: of the line, or of the one that it belongs to; RFC 3339, UTC. Null: no line tells
    line: str  #: the line; bytes that are not UTF-8 are replaced


class Checked(Success, frozen=True, kw_only=True):
    """The configuration has no mistakes."""

    config: str  #: the path of the file
    services: tuple[str, ...]  #: those in it
    tested: tuple[str, ...]  #: those which have tested their own configuration
    unjudged: tuple[str, ...] = ()  #: what only root can judge, and why


class Activity(Success, frozen=True, kw_only=True):
    """How one service is."""

    service: str  #: its name
    state: str  #: `running`, `backoff`, …: see states.md
    active: str  #: the same in the words of systemd: `active`, `activating`, …


class ServiceState(msgspec.Struct, frozen=True, kw_only=True):
    """A service that was waited for."""

    service: str  #: its name
    state: str  #: that it is in now


class Waited(Success, frozen=True, kw_only=True):
    """All are in the state that was waited for."""

    services: tuple[ServiceState, ...]  #: each of them


class Done(Success, frozen=True, kw_only=True):
    """It was done."""


class Versions(Success, frozen=True, kw_only=True):
    """Who speaks with whom."""

    stackctl: str  #: its version
    stackd: str  #: the version of the one that answers


class VersionsFailure(Failure, frozen=True, kw_only=True):
    """No stackd answers."""

    stackctl: str  #: the version of this program


class KeyPair(Success, frozen=True, kw_only=True):
    """A pair of keys was made."""

    public: str  #: the path of the half that others may know
    secret: str  #: the path of the half that its owner keeps


class Hosts(Success, frozen=True, kw_only=True):
    """With several hosts: each of them has answered, or has done it."""

    hosts: dict[str, dict[str, Any]]  #: by the name of a host what the verb prints for it


class HostsFailure(Failure, frozen=True, kw_only=True):
    """With several hosts: not all of them have answered, or have done it."""

    hosts: dict[str, dict[str, Any]]  #: by the name of a host what the verb prints for it


class Output(NamedTuple):
    """What a verb prints: an object of one of these shapes, or a Failure; with `is_stream` a line of JSON
    for each thing there is, and a Failure at the end if it failed. `shapes`: modules of the package, and
    their classes."""

    shapes: tuple[str, ...]
    is_stream: bool = False


_OPERATION = Output(("cli.shapes:Ended", "cli.shapes:Begun", "cli.shapes:OperationFailure"))

OUTPUTS = {
    "status": Output(("cli.shapes:StackStatus", "cli.shapes:ServicesStatus")),
    "list": Output(("cli.shapes:Names", "cli.shapes:NamesFailure")),
    "start": _OPERATION,
    "stop": _OPERATION,
    "restart": _OPERATION,
    "reload": _OPERATION,
    "apply": Output(
        ("cli.shapes:Applied", "cli.shapes:Applying", "cli.shapes:Planned", "cli.shapes:ApplyFailure")
    ),
    "logs": Output(("cli.shapes:LogLine",), is_stream=True),
    "top": Output(()),
    "events": Output(("control.messages:Notice",), is_stream=True),
    "graph": Output(("cli.graph:Drawn",)),
    "explain": Output(("cli.explain:Explained",)),
    "blame": Output(("cli.blame:Blamed",)),
    "check": Output(("cli.shapes:Checked",)),
    "is-active": Output(("cli.shapes:Activity",)),
    "wait": Output(("cli.shapes:Waited",)),
    "signal": Output(("cli.shapes:Done",)),
    "reset": Output(("cli.shapes:Done",)),
    "shutdown": _OPERATION,
    "keygen": Output(("cli.shapes:KeyPair",)),
    "version": Output(("cli.shapes:Versions", "cli.shapes:VersionsFailure")),
}
