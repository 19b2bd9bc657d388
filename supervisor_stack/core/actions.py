"""Orders, in the imperative. The core returns them, the shell performs them without waiting.

Whatever comes of an order reaches the core later, as an event of the same service and run.
"""

from __future__ import annotations

import msgspec

from supervisor_stack.spec import Address


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """An order about one service."""

    service: str


class Spawn(Action, frozen=True):
    """Make the process. Answered by Spawned or SpawnFailed."""

    run: int
    addresses: tuple[Address, ...] = ()


class Signal(Action, frozen=True):
    """Send a signal to the main process of the run."""

    run: int
    name: str


class Sweep(Action, frozen=True):
    """SIGKILL whatever is left of the service. Answered by MembersGone."""

    run: int


class RunCheck(Action, frozen=True):
    """Run the service's own configuration test. Answered by CheckFinished."""

    run: int


class StopCheck(Action, frozen=True):
    """End a configuration test or a reload under way. A test still answers with CheckFinished."""


class StartProbe(Action, frozen=True):
    """Ask until the service is ready. Answered by BecameReady, and by ProbeFailed meanwhile."""

    run: int
    address: Address | None = None


class StopProbe(Action, frozen=True):
    """Stop asking."""


class StartReload(Action, frozen=True):
    """Signal the service and verify. Answered by ReloadVerified or ReloadFailed."""

    run: int
    address: Address | None = None


class WatchFiles(Action, frozen=True):
    """Watch these files, and the directories that these globs look into, and no others.

    Ordered before the service reads them: what changes from now on is news. `debounce` in seconds.
    """

    files: tuple[str, ...]
    globs: tuple[str, ...] = ()
    debounce: float = 0.0


class Publish(Action, frozen=True):
    """Tell subscribers about a change of state. `at` is the monotonic time of the change."""

    event: str
    state: str
    previous: str
    wanted: str
    run: int
    pid: int | None
    at: float
    reason: str = ""
    detail: tuple[str, ...] = ()


class Finish(Action, frozen=True):
    """An operation ended for this service, in this state. `error` empty: as wanted."""

    op: int
    state: str
    error: str = ""
    detail: tuple[str, ...] = ()
