"""What is under way when the supervisor is killed: what was asked of it, who has just crashed, or will."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from supervisor_stack.control.client import Operation
from supervisor_stack.control.messages import Reload, Restart, Start, Stop

# How each service has to be when nothing is asked of it.
AT_REST = {
    "mysqld": "running",
    "redis": "running",
    "uwsgi": "running",
    "nginx": "running",
    "writer": "running",
    "extra": "running",
    "task": "exited",
}
HANDS_OVER = frozenset({"uwsgi", "nginx"})


@dataclass(frozen=True)
class UnderWay:
    """One kind of round.

    `first`: asked before, and waited for. `ask`: what is begun, and not waited for. `crash`: whose main
    process gets SIGKILL just before the supervisor does, `crash_later`: while nobody supervises it.
    `span`: the kill comes within so many seconds. `runs`: how many new main processes this may give a
    service. `end`: how it has to be in the end, where that is not as ever.
    """

    name: str
    title: str
    first: Operation | None = None
    ask: Operation | None = None
    crash: tuple[str, ...] = ()
    crash_later: tuple[str, ...] = ()
    span: float = 1.0
    runs: Mapping[str, int] = field(default_factory=dict)
    end: Mapping[str, str] = field(default_factory=dict)

    @property
    def states(self) -> dict[str, str]:
        """How each service has to be in the end."""
        return AT_REST | dict(self.end)

    @property
    def untouched(self) -> frozenset[str]:
        """The services that run all the time, and have to be adopted as they are."""
        touched = {*self.runs, *self.end, "task"}
        return frozenset(AT_REST.keys() - touched)


def one(service: str) -> tuple[str]:
    """The services of a request."""
    return (service,)


# A hand-over that is cut off may be finished, or begun again: two new runs at most.
HAND_OVER = 2

NOTHING = UnderWay("nothing", "nothing")
UNDER_WAY = (
    NOTHING,
    UnderWay(
        "start", "a start", Stop(services=one("extra")), Start(services=one("extra")), runs={"extra": 1}
    ),
    UnderWay("redis", "a restart of redis", ask=Restart(services=one("redis"), hard=True), runs={"redis": 1}),
    UnderWay("reload", "a reload of nginx", ask=Reload(services=one("nginx"))),
    UnderWay(
        "uwsgi", "uWSGI handing over", ask=Restart(services=one("uwsgi")), span=2.0, runs={"uwsgi": HAND_OVER}
    ),
    UnderWay("nginx", "nginx handing over", ask=Restart(services=one("nginx")), runs={"nginx": HAND_OVER}),
    UnderWay("stop", "a stop that takes 1 s", ask=Stop(services=one("extra")), end={"extra": "stopped"}),
    UnderWay(
        "restart",
        "a slow stop, to start again",
        ask=Restart(services=one("extra")),
        span=2.0,
        runs={"extra": 1},
    ),
    UnderWay("crash-nginx", "a crash of nginx", crash=one("nginx"), span=0.2, runs={"nginx": 1}),
    UnderWay("crash-extra", "a crash of a service", crash=one("extra"), span=1.0, runs={"extra": 1}),
    UnderWay("crash-uwsgi", "a crash of uWSGI", crash=one("uwsgi"), span=1.0, runs={"uwsgi": 1}),
    UnderWay("dead-extra", "another crashes while nobody looks", crash_later=one("extra"), runs={"extra": 1}),
    UnderWay("dead-nginx", "nginx crashes while nobody looks", crash_later=one("nginx"), runs={"nginx": 1}),
    UnderWay(
        "dead-uwsgi",
        "uWSGI crashes while nobody looks",
        crash_later=one("uwsgi"),
        runs={"uwsgi": 1},
    ),
    # What a task's exit status was is not known of one that came to its end unseen: it may run once more.
    UnderWay("task", "a task that runs", ask=Restart(services=one("task")), span=1.5, runs={"task": 2}),
)
