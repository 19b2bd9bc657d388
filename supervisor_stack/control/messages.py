"""The control protocol, version 1: every message that crosses the socket, typed.

Frames over ROUTER/DEALER: `[b"stack/1", JSON object]`, the object's `type` names the message and
`id`, chosen by the client, comes back in every answer to it. Frames over PUB/SUB:
`[b"stack/1.event.SERVICE", JSON object of a Notice]`.

Within version 1 fields are only added, with defaults; requests are decoded strictly (a mistyped
field is an error), replies and notices leniently (an old client understands a newer stackd).

A quick request gets one reply. A long one (start, stop, restart, reload, shutdown) gets Accepted
at once, Progress while it goes, and Finished at its end; or Failed at once.
"""

from __future__ import annotations

from typing import Literal

import msgspec

PROTOCOL = b"stack/1"
EVENT_TOPIC = b"stack/1.event."
MAX_REQUEST = 64 * 1024


class Request(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=str.lower, forbid_unknown_fields=True
):
    """Base of all requests."""

    id: str = ""


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


AnyRequest = Status | List | Start | Stop | Restart | Reload | Signal | Reset | Events | Graph | Shutdown


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """Something happened to a service. `seq` grows by one each; `time` is RFC 3339, UTC."""

    seq: int
    time: str
    service: str
    event: str
    state: str
    previous: str
    wanted: str
    run: int
    pid: int | None = None
    reason: str = ""
    detail: tuple[str, ...] = ()


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """One process of a service."""

    pid: int
    parent: int
    command: str
    cpu_percent: float | None = None
    memory_bytes: int | None = None


class Exit(msgspec.Struct, frozen=True, kw_only=True):
    """How an earlier run ended."""

    run: int
    time: str
    reason: str
    lasted: float


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a probe was answered last, of run `run`. `answer` empty: there is no more to say than `ok`."""

    probe: Literal["ready", "alive"]
    run: int
    time: str
    ok: bool
    answer: str = ""


class Detail(msgspec.Struct, frozen=True, kw_only=True):
    """What `stackctl status SERVICE` tells beyond the line of the table.

    `log_to`: where its output goes, as in the configuration; `log`: the file, where it is one. `logs`: the
    files that it writes by itself. `held`: the listening sockets that stackd holds for it. `kept`: when its
    configuration was copied last, in local time. `other_runs`: older runs of which processes are still there.
    """

    command: tuple[str, ...] = ()
    config: str = ""
    log_to: str = ""
    log: str = ""
    logs: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    kept: str = ""
    other_runs: tuple[int, ...] = ()
    watching: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    wants: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    needed_by: tuple[str, ...] = ()
    probe: str = ""
    alive: str = ""
    evidence: tuple[str, ...] = ()
    exits: tuple[Exit, ...] = ()
    tree: tuple[Process, ...] = ()
    answers: tuple[Answer, ...] = ()


class ServiceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One service, as the contract prints it."""

    name: str
    kind: str
    state: str
    active: str
    wanted: Literal["running", "stopped"]
    ready: bool
    pid: int | None
    run: int
    restarts: int
    adopted: bool
    since: str
    reason: str
    next_retry: str | None
    cpu_percent: float | None
    memory_bytes: int | None
    processes: int
    detail: Detail | None = None


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """When a start came how far. Null: it did not, or nobody saw it.

    `asked`: it was to run. `begun`: all that it needs was ready. `spawned`: its process was made. `ready`: it
    was of use; of a task: it was done. `tries`: how many runs it took so far; the last one is told.
    """

    asked: str
    begun: str | None = None
    spawned: str | None = None
    ready: str | None = None
    tries: int = 0


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A service among those that it needs, and why it is as it is.

    `reason`, `evidence`: of its state. `rejected`, `rejected_evidence`: why its last change was not taken up;
    with `on_copy` the copy of its configuration stands in for it. `stuck`: it does not end although it
    should. `successor`: the run that is being started beside the present one, and `answer` what that said
    last. `waits_for`: those before whom it does not start, stop, or begin a new run. `next`: what stackd
    does next about it, at `next_at` where a clock decides; empty when all is as it should be. `last_exit`:
    how the run before the present one ended. `times`: of the present run's start, or of the last one; null:
    there was none, or nobody saw it.
    """

    name: str
    kind: str
    type: Literal["service", "task"]
    autostart: bool
    requires: tuple[str, ...]
    wants: tuple[str, ...]
    after: tuple[str, ...]
    state: str
    active: str
    wanted: Literal["running", "stopped"]
    ready: bool
    pid: int | None
    run: int
    since: str
    failures: int = 0
    reason: str = ""
    evidence: tuple[str, ...] = ()
    rejected: str = ""
    rejected_evidence: tuple[str, ...] = ()
    on_copy: bool = False
    stuck: bool = False
    successor: int | None = None
    answer: str = ""
    waits_for: tuple[str, ...] = ()
    next: str = ""
    next_at: str | None = None
    next_retry: str | None = None
    last_exit: Exit | None = None
    times: Times | None = None


class Daemon(msgspec.Struct, frozen=True, kw_only=True):
    """stackd itself."""

    pid: int
    version: str
    since: str


class Stack(msgspec.Struct, frozen=True, kw_only=True):
    """The stack as a whole."""

    name: str
    state: Literal["starting", "running", "degraded", "stopping", "stopped"]


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
    """Answers Events, oldest first."""

    notices: tuple[Notice, ...]
    events: str
    seq: int


class GraphReply(Reply, frozen=True, tag="graph"):
    """Answers Graph. `seq` is that of the last notice before it."""

    stack: Stack
    services: tuple[Node, ...]
    seq: int


class Done(Reply, frozen=True):
    """Answers a quick request that has nothing to tell (signal, reset)."""


class Accepted(Reply, frozen=True):
    """A long request is under way as operation `op`, for these services."""

    op: int
    services: tuple[str, ...]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How an operation ended for one service. `error` empty: as wanted.

    `probe`: what its ready probe was answered last, where that is no part of `error`. `next_retry`: when
    stackd tries again all the same.
    """

    service: str
    state: str
    error: str = ""
    detail: tuple[str, ...] = ()
    probe: str = ""
    next_retry: str | None = None


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


AnyReply = StatusReply | ListReply | EventsReply | GraphReply | Done | Accepted | Progress | Finished | Failed
