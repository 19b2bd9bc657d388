"""Orders, in the imperative. The core returns them, the shell performs them without waiting.

Whatever comes of an order reaches the core later, as an event of the same service and run.
"""

from __future__ import annotations

import msgspec

from supervisor_stack.core.state import NEVER, Service
from supervisor_stack.spec import Address


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """An order about one service."""

    service: str


class Remember(Action, frozen=True):
    """Write down how the service is now, for a stackd that comes after this one; None: it was removed.

    Comes before the orders that follow from it: what was ordered and not written down would be unknown.
    """

    record: Service | None


class Spawn(Action, frozen=True):
    """Make the process. Answered by Spawned or SpawnFailed.

    `addresses`: where it is going to listen. `hold`: those of them that are to be held and lent to it.
    What else is held for the service is let go, unless this run begins `beside` another one. `copy`: on
    the copy of its configuration.
    """

    run: int
    addresses: tuple[Address, ...] = ()
    hold: tuple[Address, ...] = ()
    beside: bool = False
    copy: bool = False


class HoldSockets(Action, frozen=True):
    """Hold exactly these from now on: a running service has changed where it listens."""

    addresses: tuple[Address, ...]


class ReleaseSockets(Action, frozen=True):
    """Let all held sockets of the service go, so that clients are refused instead of waiting for nobody."""


class Signal(Action, frozen=True):
    """Send a signal to the main process of the run."""

    run: int
    name: str


class AskToLeave(Action, frozen=True):
    """Tell the main process of the run to finish and leave, gracefully if there is a way: by its pipe,
    else by this signal. SIGCONT follows: a stopped process (SIGSTOP) sees no other until it goes on."""

    run: int
    signal: str


class Sweep(Action, frozen=True):
    """SIGKILL whatever is left of the service. Answered by MembersGone."""

    run: int


class Retire(Action, frozen=True):
    """End what is left of a run that is not the present one: ask, then kill. Answered by GenerationGone.

    Its main process is asked as at a stop, with the signal `stop`. Processes that have lost their main
    process get the signal `orphans`, empty for none. What is there after `timeout` seconds gets SIGKILL.
    """

    run: int
    stop: str
    orphans: str
    timeout: float


class WatchStop(Action, frozen=True):
    """Look in its logs whether it obeys its stop signal. Answered by StopRefused when it does not."""

    run: int


class RunCheck(Action, frozen=True):
    """Run the service's own configuration test. Answered by CheckFinished."""

    run: int


class StopCheck(Action, frozen=True):
    """End a configuration test or a reload under way. A test still answers with CheckFinished."""


class StartProbe(Action, frozen=True):
    """Ask until the service is ready. Answered by BecameReady, and by ProbeFailed meanwhile.

    `beside`: another run may answer at the same address, so workers of this one have to be seen as well.
    """

    run: int
    address: Address | None = None
    beside: bool = False


class WatchAlive(Action, frozen=True):
    """Ask from time to time whether it still answers: AliveMissed each time that it does not."""

    run: int
    address: Address | None = None


class StopProbe(Action, frozen=True):
    """Stop asking, whatever was asked."""


class KeepConfig(Action, frozen=True):
    """Make a copy of the configuration, which has just proved good. Answered by ConfigKept."""

    run: int


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
    """Tell subscribers about a change. `at` is its monotonic time, `by` who asked for it, if somebody did."""

    event: str
    state: str
    previous: str
    wanted: str
    run: int
    pid: int | None
    at: float
    reason: str = ""
    detail: tuple[str, ...] = ()
    by: str = ""


class TellAwaited(Action, frozen=True):
    """Tell those who wait for an operation on the service that it waits for something else now. No news
    for subscribers: an answer of a probe may change many times on the way to one change of state."""


class Finish(Action, frozen=True):
    """An operation ended for this service, in this state. `error` empty: as wanted. `retry`: monotonic time
    at which it is tried again all the same."""

    op: int
    state: str
    error: str = ""
    detail: tuple[str, ...] = ()
    retry: float = NEVER
