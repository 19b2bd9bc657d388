"""What messages of the control protocol are made of: a service, its processes and runs, how things end."""

from __future__ import annotations

from typing import Literal

import msgspec


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """One process of a service."""

    pid: int  #: its process id
    parent: int  #: the process id of its parent
    command: str  #: its command line
    cpu_percent: float | None = None  #: of one processor, since it was asked for last; null: not known
    memory_bytes: int | None = None  #: resident; null: not known


class Exit(msgspec.Struct, frozen=True, kw_only=True):
    """How an earlier run ended."""

    run: int  #: the number of the run
    time: str  #: when it ended; RFC 3339, UTC
    reason: str  #: `exit status 1`, `killed by SIGSEGV`, and its last words
    lasted: float  #: seconds from its start to its end


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a probe was answered last."""

    probe: Literal["ready", "alive"]  #: which one
    run: int  #: the number of the run that was asked
    time: str  #: when; RFC 3339, UTC
    ok: bool  #: whether it is as it should be
    answer: str = ""  #: what it said; empty: there is no more to say


class Detail(msgspec.Struct, frozen=True, kw_only=True):
    """What `stackctl status SERVICE` tells beyond the line of the table."""

    command: tuple[str, ...] = ()  #: what is executed
    config: str = ""  #: the service's own configuration file
    log_to: str = ""  #: where its output goes, as in the configuration: `file`, `journal`, …
    log: str = ""  #: the file of its output, where it is one
    logs: tuple[str, ...] = ()  #: the files that it writes by itself
    addresses: tuple[str, ...] = ()  #: where it listens
    held: tuple[str, ...] = ()  #: the listening sockets that stackd holds for it
    kept: str = ""  #: when its configuration was copied last, in local time
    other_runs: tuple[int, ...] = ()  #: older runs of which processes are still there
    watching: tuple[str, ...] = ()  #: the folders that are watched for changes
    requires: tuple[str, ...] = ()  #: what has to be ready before it starts
    wants: tuple[str, ...] = ()  #: what is started with it, and may fail
    after: tuple[str, ...] = ()  #: what it starts after, if that is started too
    needed_by: tuple[str, ...] = ()  #: who requires it
    probe: str = ""  #: how it is asked whether it is ready
    alive: str = ""  #: how it is asked whether it still answers
    evidence: tuple[str, ...] = ()  #: of its state, line by line
    exits: tuple[Exit, ...] = ()  #: how its earlier runs ended, the last one first
    tree: tuple[Process, ...] = ()  #: its processes
    answers: tuple[Answer, ...] = ()  #: what its probes were answered last


class ServiceLine(msgspec.Struct, frozen=True, kw_only=True):
    """One service, as the contract prints it in a list of all."""

    name: str  #: of the service
    kind: str  #: `nginx`, `uwsgi`, `redis`, `mysqld` or `command`
    state: str  #: `running`, `backoff`, …: see states.md
    active: str  #: the same in the words of systemd: `active`, `activating`, …
    wanted: Literal["running", "stopped"]  #: what the operator asked for
    ready: bool  #: whether it is of use: it answers, or, of a task, is done
    pid: int | None  #: of its main process; null: there is none
    run: int  #: the number of its present or last run
    restarts: int  #: how often it was started again by itself since the last reset
    adopted: bool  #: whether this stackd took it over running
    since: str  #: when it came into this state; RFC 3339, UTC
    reason: str  #: why it is not as wanted; empty when it is
    next_retry: str | None  #: when it is tried again, in backoff; RFC 3339, UTC
    cpu_percent: float | None  #: of one processor; null: not known
    memory_bytes: int | None  #: resident, of all its processes; null: not known
    processes: int  #: how many it has


class ServiceStatus(ServiceLine, frozen=True, kw_only=True):
    """One service, and all about it where that was asked for."""

    detail: Detail | None = None  #: all about it; null where it was not asked for


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

    pid: int  #: its process id
    version: str  #: of the software
    since: str  #: when it began; RFC 3339, UTC. It tells one stackd from the next


class Stack(msgspec.Struct, frozen=True, kw_only=True):
    """The stack as a whole."""

    name: str  #: as in the configuration
    state: Literal["starting", "running", "degraded", "stopping", "stopped"]  #: running: all wanted is ready
    warning: str = ""  #: what is wrong with stackd itself, such as that its configuration file is


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How an operation ended for one service."""

    service: str  #: for which
    state: str  #: its state at the end
    error: str = ""  #: what went wrong; empty: as wanted
    detail: tuple[str, ...] = ()  #: the evidence, line by line, and what is true now
    probe: str = ""  #: what its ready probe was answered last, where that is no part of `error`
    next_retry: str | None = None  #: when stackd tries again all the same; RFC 3339, UTC
