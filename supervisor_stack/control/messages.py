"""The control protocol, version 1: every message that crosses the socket, typed.

Frames over ROUTER/DEALER: `[b"stack/1", JSON object]`, the object's `type` names the message and
`id`, chosen by the client, comes back in every answer to it. Frames over PUB/SUB:
`[b"stack/1.event.SERVICE", JSON object of a Notice]`.

Within version 1 fields are only added, with defaults; requests are decoded strictly (a mistyped
field is an error), replies and notices leniently (an old client understands a newer stackd).

A quick request gets one reply. A long one (start, stop, restart, reload, apply, shutdown) gets Accepted
at once, Progress while it goes, and Finished at its end; or Failed at once.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from supervisor_stack.control.parts import Daemon, Node, Outcome, ServiceStatus, Stack
from supervisor_stack.control.plans import Plan

PROTOCOL = b"stack/1"
EVENT_TOPIC = b"stack/1.event."
MAX_REQUEST = 64 * 1024
MAX_ID = 255
"""Characters of the `id` of a request: it comes back in every answer."""

RequestId = Annotated[str, msgspec.Meta(max_length=MAX_ID)]


class Request(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=str.lower, forbid_unknown_fields=True
):
    """Base of all requests."""

    id: RequestId = ""


class Status(Request, frozen=True):
    """The state of the stack. `services` empty: of all. `detail`: with processes, addresses, logs."""

    services: tuple[str, ...] = ()
    detail: bool = False


class List(Request, frozen=True):
    """The names of all services, and nothing else: quickly, for a person who is typing one."""


class Start(Request, frozen=True):
    """Start services and what they need. `services` empty: all of the stack."""

    services: tuple[str, ...] = ()


class Stop(Request, frozen=True):
    """Stop services. Refused when others need them, unless `cascade`, which stops those first."""

    services: tuple[str, ...] = ()
    cascade: bool = False


class Restart(Request, frozen=True):
    """A new run of services; with `cascade` also of those who need them.

    Where the sockets are held and the server allows it, the new run begins beside the present one and
    takes over when it is ready. `hard`: the present run ends before the new one begins.
    """

    services: tuple[str, ...] = ()
    cascade: bool = False
    hard: bool = False


class Reload(Request, frozen=True):
    """Have services take up their changed configuration: tested first, verified after."""

    services: tuple[str, ...] = ()


class Signal(Request, frozen=True):
    """Send a signal, named without SIG, to the main process of a service."""

    service: str
    signal: str


class Reset(Request, frozen=True):
    """Forget failures and counters of services."""

    services: tuple[str, ...] = ()


class Events(Request, frozen=True):
    """The last `limit` notices that stackd remembers, those after `since` (a sequence number)."""

    since: int = 0
    limit: int = 100


class Graph(Request, frozen=True):
    """Who needs whom, why each is as it is, and how far its last start came: of all services."""


class Shutdown(Request, frozen=True):
    """Stop all services in order, then leave; `keep_services`: leave them running, for the next stackd."""

    keep_services: bool = False


class Apply(Request, frozen=True):
    """Read stackd.toml again, and become the stack that it describes: only what differs is touched.

    `plan`: only tell what would be done. A file with mistakes changes nothing: Failed has the kind
    `config-invalid`, and a line of detail for each mistake.
    """

    plan: bool = False


AnyRequest = (
    Status | List | Start | Stop | Restart | Reload | Signal | Reset | Events | Graph | Apply | Shutdown
)


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """Something happened to a service."""

    seq: int  #: its number; each stackd counts from 1
    time: str  #: when; RFC 3339, UTC
    service: str  #: to which
    event: str  #: what, in the past tense: `ProcessExited`
    state: str  #: of the service since then
    previous: str  #: its state before
    wanted: str  #: whether it is to run: `running` or `stopped`
    run: int  #: the number of its present or last run
    pid: int | None = None  #: of its main process, if there is one
    reason: str = ""  #: why it is not as wanted; empty when it is
    detail: tuple[str, ...] = ()  #: the evidence, line by line
    by: str = ""  #: who asked, if anybody: a user, `key NAME`, a signal to stackd, or `stackd` itself


class Reply(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=str.lower):
    """Base of all replies; `id` is the request's."""

    id: str = ""


class StatusReply(Reply, frozen=True, tag="status"):
    """Answers Status. `seq` is that of the last notice before it: apply only later ones."""

    stackd: Daemon
    stack: Stack
    services: tuple[ServiceStatus, ...]
    events: str
    seq: int


class ListReply(Reply, frozen=True, tag="list"):
    """Answers List, in the order of Status."""

    services: tuple[str, ...]


class EventsReply(Reply, frozen=True, tag="events"):
    """Answers Events, oldest first. Each `stackd` counts anew; one that does not say who it is, is older."""

    notices: tuple[Notice, ...]
    events: str
    seq: int
    stackd: Daemon | None = None


class GraphReply(Reply, frozen=True, tag="graph"):
    """Answers Graph. `seq` is that of the last notice before it."""

    stack: Stack
    services: tuple[Node, ...]
    seq: int


class Done(Reply, frozen=True):
    """Answers a quick request that has nothing to tell (signal, reset)."""


class PlanReply(Reply, frozen=True, tag="plan"):
    """Answers Apply with `plan`: nothing was changed."""

    plan: Plan


class Accepted(Reply, frozen=True):
    """A long request is under way as operation `op`, for these services. `plan`: that of Apply."""

    op: int
    services: tuple[str, ...]
    plan: Plan | None = None


class Progress(Reply, frozen=True):
    """A service that the operation is waiting for changed its state, or waits for something else.

    `reason`: what it waits for; if that does not come within `left` seconds, it is `then` (`killed`, `given
    up`, `tried again`). `lasted`: seconds for which it has been in this state. `outcome`: the operation is
    over for this service; Finished has it again.
    """

    op: int
    service: str
    state: str
    reason: str = ""
    lasted: float = 0.0
    left: float | None = None
    then: str = ""
    outcome: Outcome | None = None


class Finished(Reply, frozen=True):
    """The operation ended; `ok` when it did for every service."""

    op: int
    ok: bool
    outcomes: tuple[Outcome, ...]


class Failed(Reply, frozen=True):
    """The request was not carried out. `error` is a kind of errors.py."""

    error: str
    message: str
    detail: tuple[str, ...] = ()


_QuickReply = StatusReply | ListReply | EventsReply | GraphReply | PlanReply | Done
_LongReply = Accepted | Progress | Finished | Failed
AnyReply = _QuickReply | _LongReply
