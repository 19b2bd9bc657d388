"""Facts, in the past tense. Whatever happens reaches the core as one of these.

A fact about a process carries its `run`: the core drops facts of other runs at the door, so that a
late exit or a stale probe cannot be mistaken for news of the present process.
"""

from __future__ import annotations

import msgspec

from supervisor_stack.spec import Address, CheckReport


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A fact about one service."""

    service: str


class RunEvent(Event, frozen=True, kw_only=True):
    """A fact about one run of one service."""

    run: int


# What people and files ask for.


class Asked(Event, frozen=True, kw_only=True):
    """Somebody wants something. `by`: who, in words for people; empty where nobody knows."""

    by: str = ""


class StartRequested(Asked, frozen=True):
    """Somebody wants the service to run; also makes a failed one try again."""


class StopRequested(Asked, frozen=True):
    """Somebody wants the service to be stopped."""


class RestartRequested(Asked, frozen=True, kw_only=True):
    """Somebody wants a new run of the service; `hard`: the present one is to end before it begins."""

    hard: bool = False


class ReloadRequested(Asked, frozen=True):
    """The service is to take up its changed configuration."""


class ResetRequested(Asked, frozen=True):
    """Forget failures, counters and rejected changes."""


# What follows from the neighbours in the graph.


class DependenciesReady(Event, frozen=True):
    """All that the service needs is ready."""


class DependentsDown(Event, frozen=True):
    """Nobody who needs the service is active any more."""


class DependenciesPending(Event, frozen=True):
    """Something that the service needs is not ready.

    `blocked`: and will not be without help. `stalled`: it has failed, and is tried again.
    """

    reason: str
    blocked: bool
    stalled: bool = False


class DependencyCrashed(Event, frozen=True, kw_only=True):
    """A service that this one requires is gone, and this one is to be renewed with it."""

    dependency: str


# What a new stackd finds.


class Adopted(Event, frozen=True, kw_only=True):
    """A new stackd goes on where an earlier one was ended.

    `pid`: the main process of the present run, `successor_pid`: that of its successor; None where there is
    none that lives. The end of one that was there is told after this.
    """

    pid: int | None = None
    successor_pid: int | None = None


# What the processes do.


class Spawned(RunEvent, frozen=True):
    """The process exists."""

    pid: int


class SpawnFailed(RunEvent, frozen=True):
    """The process could not be made. `final`: trying again would not help; `passing`: the machine lacks
    something for now, which says nothing of the service."""

    reason: str
    detail: tuple[str, ...] = ()
    final: bool = False
    passing: bool = False


class BecameReady(RunEvent, frozen=True):
    """The ready probe was answered as it should be."""


class ProbeFailed(RunEvent, frozen=True):
    """The ready probe was not answered as it should be; sent when the answer changes.

    `hopeless`: this run will never answer otherwise. `progress`: the answer shows that it comes nearer.
    """

    answer: str
    hopeless: bool = False
    progress: bool = False


class AliveMissed(RunEvent, frozen=True):
    """The alive probe was not answered; `answer` says how."""

    answer: str


class AliveAnswered(RunEvent, frozen=True):
    """The alive probe was answered again, after it was not."""


class StatusReceived(RunEvent, frozen=True):
    """The service told about itself (sd_notify): a status text, or that it needs `extend` seconds."""

    status: str = ""
    extend: float = 0.0


class ProcessExited(RunEvent, frozen=True):
    """The main process is gone. `code` is an exit status, or minus the signal that ended it; None: unknown.

    Only the parent of a process is told its exit status, and that was an earlier stackd.

    `leftovers`: how many other processes of this run are still there.
    `last_words`: the end of what the run printed. `out_of_memory`: the kernel killed it for want of
    memory; `kernel`: what it said of that, or why it is not known whom it killed. `changed`: its
    configuration differs from the copy that was kept.
    """

    code: int | None
    leftovers: int = 0
    last_words: tuple[str, ...] = ()
    out_of_memory: bool = False
    kernel: str = ""
    changed: bool = False


class MembersGone(RunEvent, frozen=True):
    """The last process that belonged to the service is gone, those of older runs included."""


class GenerationGone(Event, frozen=True, kw_only=True):
    """The last process of a run that is not the present one (`old`) is gone; `killed`: by SIGKILL."""

    old: int
    killed: bool = False


class StopRefused(RunEvent, frozen=True):
    """It was told to stop, and says that it does not."""

    evidence: tuple[str, ...] = ()


class ConfigKept(Event, frozen=True, kw_only=True):
    """A copy of the configuration that it runs on was made and tested; `at` says when, for people."""

    at: str


class CheckFinished(RunEvent, frozen=True):
    """The service's own configuration test ended. `evidence`: what it said, when not `ok`.

    `final`: it found the configuration wrong, so that only a change of it helps.
    """

    ok: bool
    final: bool = False
    summary: str = ""
    evidence: tuple[str, ...] = ()
    report: CheckReport | None = None


class ReloadVerified(RunEvent, frozen=True):
    """The reload took effect: new workers, and the probe is answered."""


class ReloadFailed(RunEvent, frozen=True):
    """The reload did not take effect in time; `ready` tells whether the service still answers."""

    reason: str
    evidence: tuple[str, ...] = ()
    ready: bool = True


class FilesChanged(Asked, frozen=True, kw_only=True):
    """Watched files changed and came to rest. It is stackd that looks after them."""

    paths: tuple[str, ...]
    by: str = "stackd"


class HoldFailed(Event, frozen=True, kw_only=True):
    """It listens there, and the sockets cannot be had out of its process: they are not held."""

    addresses: tuple[Address, ...]


# Time.


class DeadlinePassed(Event, frozen=True):
    """The deadline of the service's present state is over."""
