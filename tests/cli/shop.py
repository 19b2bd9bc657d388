"""stackctl as people run it, and a scripted stack for it to talk to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from supervisor_stack.control.codec import failure
from supervisor_stack.control.messages import (
    AnyRequest,
    Done,
    Events,
    EventsReply,
    Graph,
    GraphReply,
    List,
    ListReply,
    Notice,
    Status,
    StatusReply,
)
from supervisor_stack.control.names import require_known
from supervisor_stack.control.parts import (
    Daemon,
    Detail,
    Node,
    ServiceStatus,
    Stack,
)
from supervisor_stack.errors import UnknownServiceError
from tests.peer import Step

ROOT = Path(__file__).parents[2]
STACKCTL = (sys.executable, "-m", "supervisor_stack.cli.stackctl")
DEADLINE = 30.0
INTERRUPTED = (
    '{"v":1,"ok":false,"error":{"kind":"interrupted","message":"cannot go on: interrupted","detail":[]}}\n'
)

# Half of the smaller unit is added, so that "3d 4h" holds however slow the test is.
LONG_AGO = datetime.now(UTC) - timedelta(days=3, hours=4, minutes=30)
SINCE = LONG_AGO.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Ran(NamedTuple):
    """What came of a run of stackctl."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one object on stdout."""
        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out)


def environment(**changes: str) -> dict[str, str]:
    """An environment in which stackctl is found and nothing depends on who runs the tests."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return kept | {"PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"} | changes


def stackctl(*words: str | Path, **changes: str) -> Ran:
    """Run it to its end; `changes` to its environment."""
    ran = subprocess.run(
        [*STACKCTL, *map(str, words)],
        capture_output=True,
        encoding="utf-8",
        env=environment(**changes),
        timeout=DEADLINE,
        check=False,
    )
    return Ran(ran.returncode, ran.stdout, ran.stderr)


@contextmanager
def following(*words: str | Path, err: str = "", **changes: str) -> Iterator[subprocess.Popen[str]]:
    """stackctl, going on until Ctrl-C; `err`: all that it has to say to a person."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [*STACKCTL, *map(str, words)],
        stdout=pipe,
        stderr=pipe,
        text=True,
        bufsize=1,
        env=environment(**changes),
    ) as process:
        yield process
        process.send_signal(signal.SIGINT)
        out, told = process.communicate(timeout=DEADLINE)
        assert (process.returncode, out, told) == (130, INTERRUPTED if "--json" in words else "", err)


def lines(process: subprocess.Popen[str], count: int) -> list[str]:
    """The next lines that it prints."""
    assert process.stdout
    return [process.stdout.readline() for _ in range(count)]


def service(name: str, state: str = "running", **fields: Any) -> ServiceStatus:
    """A service as it usually is in that state."""
    alive = state in ("running", "reloading", "stopping", "starting")
    usual: dict[str, Any] = {
        **_usual(name, state, alive),
        "restarts": 0,
        "adopted": False,
        "reason": "",
        "next_retry": None,
        "cpu_percent": 1.2 if alive else None,
        "memory_bytes": 18 * 2**20 if alive else None,
        "processes": 3 if alive else 0,
    }
    return ServiceStatus(name=name, state=state, **usual | fields)


def node(name: str, state: str = "running", **fields: Any) -> Node:
    """The same for the graph; `requires` and the like as tuples of names."""
    usual: dict[str, Any] = {
        **_usual(name, state, state in ("running", "reloading", "stopping", "starting")),
        "type": "service",
        "autostart": True,
        "requires": (),
        "wants": (),
        "after": (),
    }
    return Node(name=name, state=state, **usual | fields)


def _usual(name: str, state: str, alive: bool) -> dict[str, Any]:
    active = {
        "running": "active", "reloading": "reloading", "stopped": "inactive", "exited": "inactive",
        "failed": "failed", "stopping": "deactivating", "killing": "deactivating",
    }  # fmt: skip
    return {
        "kind": name,
        "active": active.get(state, "activating"),
        "wanted": "stopped" if state in ("stopped", "stopping") else "running",
        "ready": state == "running",
        "pid": 955 if alive else None,
        "run": 3,
        "since": SINCE,
    }


def notice(seq: int, name: str, previous: str, state: str, **fields: Any) -> Notice:
    """A change of a service."""
    usual: dict[str, Any] = {
        "event": "Spawned",
        "wanted": "running",
        "run": 1,
        "time": "2026-11-22T05:45:36.123Z",
    }
    return Notice(seq=seq, service=name, previous=previous, state=state, **usual | fields)


class Shop:
    """A stack by script: the services as they are, and what an operation or a signal answers."""

    def __init__(self, *services: ServiceStatus, state: str = "running") -> None:
        self.services = {each.name: each for each in services}
        self.nodes: tuple[Node, ...] = ()
        self.state = state
        self.warning = ""
        self.operation: tuple[Step, ...] = ()
        self.notices: tuple[Notice, ...] = ()
        self.events = ""

    def __call__(self, request: AnyRequest) -> Iterable[Step]:
        match request:
            case Status():
                yield self._status(request)
            case Graph():
                yield GraphReply(stack=self._stack(), services=self.nodes, seq=self._seq())
            case List():
                yield ListReply(services=tuple(self.services))
            case Events():
                after = [each for each in self.notices if each.seq > request.since]
                kept = tuple(after[len(after) - min(request.limit, len(after)) :])
                yield EventsReply(notices=kept, events=self.events, seq=self._seq())
            case _ if self.operation:
                yield from self.operation
            case _:
                yield Done()

    def _status(self, request: Status) -> Step:
        try:
            require_known(request.services, list(self.services))
        except UnknownServiceError as error:
            return failure(error)
        named = request.services or tuple(self.services)
        return StatusReply(
            stackd=Daemon(pid=812, version="0.1.0", since=SINCE),
            stack=self._stack(),
            services=tuple(
                msgspec.structs.replace(
                    self.services[name],
                    detail=(self.services[name].detail or Detail()) if request.detail else None,
                )
                for name in named
            ),
            events=self.events,
            seq=self._seq(),
        )

    def _stack(self) -> Stack:
        return msgspec.convert({"name": "shop", "state": self.state, "warning": self.warning}, Stack)

    def _seq(self) -> int:
        return max((each.seq for each in self.notices), default=0)
