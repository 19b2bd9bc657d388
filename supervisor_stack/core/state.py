"""The state of one service: a frozen record, and the questions one may ask it."""

from __future__ import annotations

import math
from enum import StrEnum

import msgspec

from supervisor_stack.spec import Address, CheckReport, ServiceSpec

NEVER = math.inf

STEADY = 0.5
"""Seconds that a run lives before whoever has asked for it is told that it is well, where nothing else tells.
Within these most programs end that cannot work."""


class State(StrEnum):
    """Where a service is between being stopped and being of use."""

    STOPPED = "stopped"  # nothing runs, and nothing should
    WAITING = "waiting"  # wanted, and what it needs is not ready
    STARTING = "starting"  # its test or its process runs, and it is not ready yet
    RUNNING = "running"  # its process runs; `ready` tells whether it answers
    RELOADING = "reloading"  # running, and taking up a changed configuration
    STOPPING = "stopping"  # signalled, and expected to leave
    KILLING = "killing"  # SIGKILL was sent to what is left of it
    BACKOFF = "backoff"  # failed, and will be tried again at the deadline
    EXITED = "exited"  # came to its end as it should, and is not started again
    FAILED = "failed"  # failed, and is not tried again before a person says so


ACTIVE = {
    State.STOPPED: "inactive",
    State.WAITING: "activating",
    State.STARTING: "activating",
    State.RUNNING: "active",
    State.RELOADING: "reloading",
    State.STOPPING: "deactivating",
    State.KILLING: "deactivating",
    State.BACKOFF: "activating",
    State.EXITED: "inactive",
    State.FAILED: "failed",
}
"""The same in systemd's words, for `active (running)`."""

AT_REST = frozenset({State.STOPPED, State.EXITED, State.FAILED})
"""States that only somebody's wish ends."""

DOWN = AT_REST | {State.WAITING, State.BACKOFF}
"""States without a main process. In the last two, others of an older run may still serve."""


class Ending(msgspec.Struct, frozen=True):
    """Why a run comes to its end.

    `final`: another try would not help. `passing`: it was no fault of the service. `unexplained`: the run's
    last words should say more. `hung`: it answers nobody, so that SIGKILL may end it whatever its `kill`
    says.
    """

    reason: str
    detail: tuple[str, ...] = ()
    clean: bool = False
    final: bool = False
    passing: bool = False
    unexplained: bool = False
    hung: bool = False


class ExitRecord(msgspec.Struct, frozen=True):
    """How an earlier run ended; `at` is monotonic, `lasted` in seconds. `replaced`: by its successor."""

    run: int
    at: float
    reason: str
    lasted: float
    replaced: bool = False


class StartTimes(msgspec.Struct, frozen=True):
    """How far a start came, and when: monotonic seconds, None for what did not happen or was not seen.

    `asked`: it was to run. `begun`: all that it needs was ready. `spawned`: its process was made. `ready`: it
    was of use; of a task: it was done. `tries`: how many runs it took so far; the last one is told.
    """

    asked: float
    begun: float | None = None
    spawned: float | None = None
    ready: float | None = None
    tries: int = 0


class Successor(msgspec.Struct, frozen=True):
    """A run that is being started beside the present one, to take its place when it is ready.

    `answer`: what it said last. `ending`: why it was told to leave again. `runs_as`: as that of Service.
    """

    run: int
    started: float
    pid: int | None = None
    report: CheckReport | None = None
    answer: str = ""
    ending: Ending | None = None
    adopted: bool = False
    times: StartTimes | None = None
    runs_as: ServiceSpec | None = None


class Copy(msgspec.Struct, frozen=True):
    """That it runs on, or will be started on, the kept copy of its configuration, and why.

    `fell`: its files pass their test, and it fell over them all the same.
    """

    reason: str
    detail: tuple[str, ...] = ()
    fell: bool = False


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one service now. Times are monotonic seconds.

    `wanted`: what the operator asked for, whatever the state. `again`: a restart is asked for and begins
    when the present run is over. `renew`: a restart by a successor is asked for, and begins when what is
    under way is over. `stale`: a reload is asked for while one is under way. `last_run`: the highest number
    given to a run so far. `others`: older runs, and successors that failed, of which processes may still be
    there. `patience`: until when a stopping service is let be. `refused`: it said that it does not obey its
    stop signal. `missed`: alive probes in a row. `hung`: that it is being replaced because it answers
    nobody. `adopted`: an earlier stackd has started the present run. `failures`: in a row; `failed_at`:
    those within the start limit's interval. `ending`: why the present run is over or is being ended.
    `runs_as`: what the present run was made by, where that is not `spec`.
    `blocked`: it will not go on without help. `stalled`: it waits for what has failed and is tried again.
    `rejected`: why the last change of its configuration was not taken up. `report`: what its configuration
    test told last. `kept`: when its configuration was copied last; `copy`: set when the copy stands in for
    it. `times`: of the start of the present run, or of the last one.
    """

    spec: ServiceSpec
    runs_as: ServiceSpec | None = None
    state: State = State.STOPPED
    wanted: bool = False
    again: bool = False
    renew: bool = False
    ready: bool = False
    run: int = 0
    last_run: int = 0
    pid: int | None = None
    successor: Successor | None = None
    others: tuple[int, ...] = ()
    since: float = 0.0
    started: float = 0.0
    deadline: float = NEVER
    reason: str = ""
    detail: tuple[str, ...] = ()
    blocked: bool = False
    stalled: bool = False
    ending: Ending | None = None
    patience: float = 0.0
    refused: bool = False
    missed: int = 0
    hung: str = ""
    stale: bool = False
    rejected: str = ""
    rejected_detail: tuple[str, ...] = ()
    failures: int = 0
    failed_at: tuple[float, ...] = ()
    restarts: int = 0
    adopted: bool = False
    exits: tuple[ExitRecord, ...] = ()
    report: CheckReport | None = None
    kept: str = ""
    copy: Copy | None = None
    times: StartTimes | None = None

    @property
    def name(self) -> str:
        """The service's name."""
        return self.spec.name

    @property
    def is_down(self) -> bool:
        """Whether no main process of it exists."""
        return self.state in DOWN

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where it listens, as far as known."""
        return self.report.addresses if self.report else self.spec.addresses

    @property
    def held(self) -> tuple[Address, ...]:
        """The listening sockets that stackd holds for it while it is wanted."""
        hold = self.spec.hold
        if hold is None:
            return ()
        if hold.addresses is not None:
            return hold.addresses
        return self.report.hold if self.report else ()

    @property
    def is_held(self) -> bool:
        """Whether every address of it is held, so that clients can wait while nobody serves them."""
        return self.spec.hold is not None and set(self.addresses) <= set(self.held)

    @property
    def can_hand_over(self) -> bool:
        """Whether a new run may begin while processes of an older one still serve."""
        return self.is_held and self.spec.hold is not None and self.spec.hold.handover

    @property
    def run_spec(self) -> ServiceSpec:
        """What the present run was made by."""
        return self.runs_as or self.spec

    @property
    def stands_since(self) -> float:
        """Since when it is as it is; what runs does so since it got ready, whatever it has taken up since."""
        ready = self.times.ready if self.times else None
        return self.since if self.state is not State.RUNNING or ready is None else ready

    @property
    def steady_at(self) -> float:
        """Until when its success is not believed, where nothing but its life tells that it is of use."""
        is_asked = self.spec.ready is not None or self.spec.type == "task"
        return 0.0 if is_asked or self.state is not State.RUNNING else self.started + STEADY

    @property
    def is_renewed_anyway(self) -> bool:
        """Whether a new run is on its way, or will be when the present one has left."""
        is_ending = self.state in (State.STOPPING, State.KILLING)
        return self.again or self.renew or self.successor is not None or is_ending

    @property
    def is_stuck(self) -> bool:
        """Whether it does not end although it should, and nothing more is done about it."""
        return self.blocked and self.state in (State.STOPPING, State.KILLING)

    @property
    def is_over(self) -> bool:
        """Whether its last run has ended, and is not just being made."""
        return self.pid is None and bool(self.exits) and self.exits[-1].run == self.run

    @property
    def is_leaving(self) -> bool:
        """Whether its present run should come to its end: stopped, or restarted."""
        return self.again or not self.wanted

    @property
    def is_fulfilled(self) -> bool:
        """Whether it is of use to those who need it."""
        if self.state is State.EXITED:
            return self.spec.type == "task"
        return self.ready and not self.is_leaving

    @property
    def is_settled(self) -> bool:
        """Whether waiting for it is pointless: it is of use, or will not be soon."""
        return self.is_fulfilled or (self.is_down and (self.state is not State.WAITING or self.blocked))

    @property
    def is_as_wanted(self) -> bool:
        """Whether it is as the operator wants it."""
        if self.wanted:
            return self.is_fulfilled or self.state is State.EXITED
        return self.is_down
