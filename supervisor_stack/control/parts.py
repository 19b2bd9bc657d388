"""What messages of the control protocol are made of: a service, its processes and runs, how things end."""

from __future__ import annotations

from typing import Literal

import msgspec


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
