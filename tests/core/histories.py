"""Driving a stack by hand: facts in, orders out, a clock that only moves when told."""

from __future__ import annotations

from typing import Any

import msgspec

from supervisor_stack.core import actions as do
from supervisor_stack.core import events as ev
from supervisor_stack.core.plan import Plan
from supervisor_stack.core.stack import Stack
from supervisor_stack.core.state import Service, State
from supervisor_stack.spec import Address, Check, Hold, ProbeSpec, ServiceSpec

PROBE = ProbeSpec(type="notify")
CHECK = Check(argv=("web", "-t"), before_start=True)
ADDRESS = Address(host="127.0.0.1", port=80)
HOLD = Hold(lend="address", addresses=(ADDRESS,), handover=True, retire_signal="QUIT")
HELD: dict[str, Any] = {"hold": HOLD, "addresses": (ADDRESS,)}
"""Keys of a service whose runs may hand over to each other."""


def service(name: str, *requires: str, **keys: Any) -> ServiceSpec:
    """A service that has to be probed, unless `ready=None` is given."""
    keys.setdefault("ready", PROBE)
    return ServiceSpec(name=name, argv=(name,), requires=requires, **keys)


def _written_down(record: Service) -> Service:
    """A record after its way through a file, which cannot hold the test of a configuration."""
    bare = msgspec.structs.replace(record, spec=msgspec.structs.replace(record.spec, check=None))
    return msgspec.msgpack.decode(msgspec.msgpack.encode(bare), type=Service)


def _found(record: Service, alive: set[int]) -> list[ev.Event]:
    mains = [(record.run, record.pid)]
    if record.successor:
        mains.append((record.successor.run, record.successor.pid))
    pids = [1000 * index if run in alive else None for index, (run, _) in enumerate(mains, 1)]
    adopted = ev.Adopted(
        service=record.name, pid=pids[0], successor_pid=pids[-1] if record.successor else None
    )
    gone = [run for run, pid in mains if pid is not None and run not in alive]
    return [adopted, *(ev.ProcessExited(service=record.name, run=run, code=None) for run in gone)]


class History:
    """A stack with a clock. The shell is obedient: what is ordered is only noted."""

    def __init__(self, *specs: ServiceSpec, chance: float = 0.0, parallel: bool = False) -> None:
        self.specs = specs
        self.now = 100.0
        self.stack = Stack(specs, lambda: chance, self.now, parallel)
        self.orders: list[do.Action] = []
        self.finished: dict[int, dict[str, str]] = {}
        self.archive: dict[str, Service | None] = {}
        self._op = 0

    @property
    def op(self) -> int:
        """The last operation."""
        return self._op

    def __getitem__(self, name: str) -> Service:
        return self.stack.services[name]

    def states(self) -> dict[str, State]:
        """The state of every service."""
        return {name: each.state for name, each in self.stack.services.items()}

    # Requests.

    def ask(self, verb: str, *names: str, **keys: Any) -> int:
        """Request `start`, `stop`, `restart` or `reload`; returns the operation."""
        self._op += 1
        if verb in ("stop", "restart"):
            keys.setdefault("cascade", False)
        begun = getattr(self.stack, verb)(self._op, names, now=self.now, **keys)
        self._take(begun.actions)
        return self._op

    def shut_down(self) -> None:
        """As by SIGTERM."""
        self._op += 1
        self._take(self.stack.shut_down(self._op, self.now).actions)

    def apply(self, *specs: ServiceSpec) -> Plan:
        """As by SIGHUP."""
        self._op += 1
        self.specs = specs
        plan, begun = self.stack.apply(self._op, specs, self.now)
        self._take(begun.actions)
        return plan

    def die(self, **alive: set[int]) -> list[do.Action]:
        """stackd is killed, and another one goes on with what is written down.

        `alive`: the runs of which the main process is there. The ends of the others are told as unknown.
        """
        records = [_written_down(record) for record in self.archive.values() if record]
        self.stack = Stack((), lambda: 0.0, self.now, self.stack.parallel)
        self.stack.recall(records)
        self._op += 1
        found = [fact for record in records for fact in _found(record, alive.get(record.name, set()))]
        return self._take(self.stack.apply(self._op, self.specs, self.now, found)[1].actions)

    # Facts. Those about processes are of the present run unless `run` says otherwise.

    def tell(self, event: ev.Event) -> list[do.Action]:
        """Any fact; returns the orders that follow, without news."""
        return self._take(self.stack.handle(event, self.now))

    def _of_run(self, kind: type[ev.RunEvent], name: str, **keys: Any) -> list[do.Action]:
        keys.setdefault("run", self[name].run)
        return self.tell(kind(service=name, **keys))

    def spawned(self, name: str, pid: int = 1000, **keys: Any) -> list[do.Action]:
        """The process exists."""
        return self._of_run(ev.Spawned, name, pid=pid, **keys)

    def ready(self, name: str, **keys: Any) -> list[do.Action]:
        """The probe was answered."""
        return self._of_run(ev.BecameReady, name, **keys)

    def up(self, *names: str) -> None:
        """Spawned and ready, in this order."""
        for name in names:
            self.spawned(name)
            self.ready(name)

    def up_as(self, name: str, run: int, pid: int = 2000) -> list[do.Action]:
        """A run beside the present one exists and is ready; returns the orders that follow."""
        self.spawned(name, pid, run=run)
        return self.ready(name, run=run)

    def exited(self, name: str, code: int | None = 1, **keys: Any) -> list[do.Action]:
        """The main process ended."""
        return self._of_run(ev.ProcessExited, name, code=code, **keys)

    def gone(self, name: str) -> list[do.Action]:
        """The last of the left-over processes ended."""
        return self._of_run(ev.MembersGone, name)

    def checked(self, name: str, ok: bool = True, **keys: Any) -> list[do.Action]:
        """The configuration test ended."""
        return self._of_run(ev.CheckFinished, name, ok=ok, **keys)

    def later(self, seconds: float) -> list[do.Action]:
        """Time passes."""
        self.now += seconds
        actions: list[do.Action] = []
        while self.stack.deadline <= self.now:
            actions += self.stack.wake(self.now)
        return self._take(actions)

    def _take(self, actions: list[do.Action]) -> list[do.Action]:
        for action in actions:
            if isinstance(action, do.Remember):
                self.archive[action.service] = action.record
            if isinstance(action, do.Finish):
                self.finished.setdefault(action.op, {})[action.service] = action.error
        told = (do.Remember, do.Publish, do.TellAwaited, do.Finish)
        orders = [action for action in actions if not isinstance(action, told)]
        self.orders += orders
        return orders

    def ordered(self, kind: type[do.Action]) -> list[do.Action]:
        """The orders of one kind so far."""
        return [order for order in self.orders if isinstance(order, kind)]

    def spawns(self) -> list[str]:
        """Who was ordered to be spawned so far, in order."""
        return [order.service for order in self.orders if isinstance(order, do.Spawn)]

    def asked(self) -> list[tuple[str, str]]:
        """Who was asked to leave so far, and with which signal."""
        asks = [order for order in self.orders if isinstance(order, do.AskToLeave)]
        return [(order.service, order.signal) for order in asks]
