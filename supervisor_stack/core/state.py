"""The state of one service: a frozen record, and the questions one may ask it."""

from __future__ import annotations

import math
from enum import StrEnum

import msgspec

from supervisor_stack.spec import CheckReport, ServiceSpec

NEVER = math.inf


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

DOWN = frozenset({State.STOPPED, State.WAITING, State.BACKOFF, State.EXITED, State.FAILED})
"""States without a process."""


class Ending(msgspec.Struct, frozen=True):
    """Why a run comes to its end.

    `final`: another try would not help. `unexplained`: the run's last words should say more.
    """

    reason: str
    detail: tuple[str, ...] = ()
    clean: bool = False
    final: bool = False
    unexplained: bool = False


class ExitRecord(msgspec.Struct, frozen=True):
    """How an earlier run ended; `at` is monotonic, `lasted` in seconds."""

    run: int
    at: float
    reason: str
    lasted: float


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one service now. Times are monotonic seconds.

    `wanted`: what the operator asked for, whatever the state. `again`: a restart is asked for and
    begins when the present run is over. `stale`: a reload is asked for while one is under way.
    `failures`: in a row; `failed_at`: those within the start limit's interval. `ending`: why the
    present run is over or is being ended. `blocked`: it will not go on without help. `rejected`: why
    the last change of its configuration was
    not taken up. `report`: what its configuration test told last.
    """

    spec: ServiceSpec
    state: State = State.STOPPED
    wanted: bool = False
    again: bool = False
    ready: bool = False
    run: int = 0
    pid: int | None = None
    since: float = 0.0
    started: float = 0.0
    deadline: float = NEVER
    reason: str = ""
    detail: tuple[str, ...] = ()
    blocked: bool = False
    ending: Ending | None = None
    stale: bool = False
    rejected: str = ""
    rejected_detail: tuple[str, ...] = ()
    failures: int = 0
    failed_at: tuple[float, ...] = ()
    restarts: int = 0
    exits: tuple[ExitRecord, ...] = ()
    report: CheckReport | None = None

    @property
    def name(self) -> str:
        """The service's name."""
        return self.spec.name

    @property
    def is_down(self) -> bool:
        """Whether no process of it exists."""
        return self.state in DOWN

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
