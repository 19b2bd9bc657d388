"""All services together: the one entrance for events, and the one exit for orders.

Effects along the graph are facts like any other. A change only notes which services have to look at
their neighbours again; they look when the queue of facts is empty, in the order of their names, and
what they find is put on the queue. So there is no recursion, nobody acts on a half-changed graph,
and the same events at the same times give the same orders. The work for an event grows with the
neighbours of its service, never with the size of the stack.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Container, Iterable
from typing import NamedTuple

import msgspec

from supervisor_stack.core import actions as do
from supervisor_stack.core import effects
from supervisor_stack.core import events as ev
from supervisor_stack.core.awaited import Awaited, awaited
from supervisor_stack.core.graph import Graph
from supervisor_stack.core.health import Health, StackState
from supervisor_stack.core.moves.base import KILL_TIMEOUT, watch_anew
from supervisor_stack.core.news import publish
from supervisor_stack.core.operations import Operations, Verb
from supervisor_stack.core.plan import Plan, compare
from supervisor_stack.core.rules import step
from supervisor_stack.core.state import AT_REST, NEVER, Service, State
from supervisor_stack.core.timing import timed
from supervisor_stack.errors import RefusedError, UnknownServiceError
from supervisor_stack.spec import ServiceSpec


class Undertaking(NamedTuple):
    """An operation that has begun: the services that it is about, and the first orders."""

    services: tuple[str, ...]
    actions: list[do.Action]


class Stack:
    """The services of one stack. Pure: time and chance are passed in.

    `chance` returns a random number in [0, 1), for the jitter of restarts. `parallel`: see StackSpec.
    """

    def __init__(
        self,
        specs: Iterable[ServiceSpec],
        chance: Callable[[], float],
        now: float,
        parallel: bool = False,
    ) -> None:
        self.services = {spec.name: Service(spec=spec, since=now) for spec in specs}
        self.graph = Graph(service.spec for service in self.services.values())
        self.parallel = parallel
        self._chance = chance
        self._facts: deque[ev.Event] = deque()
        self._lookers: set[str] = set()
        self._touched: dict[str, None] = {}
        self._deadlines: list[tuple[float, str]] = []
        self._operations = Operations()
        self._health = Health()
        for service in self.services.values():
            self._health.change(None, service)
        self._retired: set[str] = set()
        self.is_shutting_down = False

    # What is asked of the stack.

    def start(self, op: int, names: Iterable[str], now: float) -> Undertaking:
        """Start services and what they need. Raises UnknownServiceError and RefusedError."""
        named = self.known(names)
        self._refuse_while_shutting_down("start", named)
        pulled = self.graph.with_needs(named)
        return self._operate(op, "start", named, [ev.StartRequested(service=name) for name in pulled], now)

    def stop(self, op: int, names: Iterable[str], cascade: bool, now: float) -> Undertaking:
        """Stop services; with `cascade` first those who need them.

        Raises UnknownServiceError, and RefusedError when others need them and it is no cascade.
        """
        named = self.known(names)
        affected = self.graph.with_dependents(named)
        others = [name for name in affected if name not in named and not self._is_out_of_use(name)]
        if others and not cascade:
            raise RefusedError(
                f"cannot stop {', '.join(named)}: needed by {', '.join(others)}",
                (f"nothing was stopped; with --cascade {', '.join(others)} would be stopped first",),
            )
        going = affected if cascade else named
        return self._operate(op, "stop", going, [ev.StopRequested(service=name) for name in going], now)

    def restart(
        self, op: int, names: Iterable[str], cascade: bool, now: float, hard: bool = False
    ) -> Undertaking:
        """A new run of services; with `cascade` also of those who need them and are in use.

        `hard`: the present run ends before the new one begins, also where it could be the other way.
        """
        named = self.known(names)
        self._refuse_while_shutting_down("restart", named)
        going = named
        if cascade:
            affected = self.graph.with_dependents(named)
            going = [name for name in affected if name in named or not self._is_out_of_use(name)]
        needs = [name for name in self.graph.with_needs(going) if name not in going]
        requests: list[ev.Event] = [ev.StartRequested(service=name) for name in needs]
        requests += [ev.RestartRequested(service=name, hard=hard) for name in going]
        return self._operate(op, "restart", going, requests, now)

    def reload(self, op: int, names: Iterable[str], now: float) -> Undertaking:
        """Have services take up their changed configuration.

        Raises UnknownServiceError, and RefusedError for what cannot reload or does not run.
        """
        named = self.known(names)
        for name in named:
            service = self.services[name]
            if service.spec.reload is None:
                raise RefusedError(
                    f"cannot reload {name}: {service.spec.no_reload}", ("nothing was reloaded",)
                )
            if service.state not in (State.RUNNING, State.RELOADING) or service.is_leaving:
                detail = (f"{name} is {service.state}" + (f": {service.reason}" if service.reason else ""),)
                raise RefusedError(f"cannot reload {name}: it is not running", detail)
        requests = [ev.ReloadRequested(service=name) for name in named]
        return self._operate(op, "reload", named, requests, now)

    def reset(self, names: Iterable[str], now: float) -> list[do.Action]:
        """Forget the failures of services. Raises UnknownServiceError."""
        self._facts.extend(ev.ResetRequested(service=name) for name in self.known(names))
        return self._drain(now)

    def signal(self, name: str, signal: str) -> list[do.Action]:
        """Send a signal to the main process. Raises UnknownServiceError and RefusedError."""
        service = self.services[self.known([name])[0]]
        if service.pid is None:
            raise RefusedError(f"cannot signal {name}: it is not running", (f"{name} is {service.state}",))
        return [do.Signal(service=name, run=service.run, name=signal)]

    def shut_down(self, op: int, now: float) -> Undertaking:
        """Stop everything in order; nothing starts any more."""
        self.is_shutting_down = True
        everything = sorted(self.services)
        return self._operate(
            op, "stop", everything, [ev.StopRequested(service=name) for name in everything], now
        )

    def recall(self, records: Iterable[Service]) -> None:
        """Take over the services of an earlier stackd as they were written down; `apply` comes next."""
        for record in records:
            self._become(record.name, record)
            if record.deadline != NEVER:
                heapq.heappush(self._deadlines, (record.deadline, record.name))

    def apply(
        self,
        op: int,
        specs: Iterable[ServiceSpec],
        now: float,
        found: Iterable[ev.Event] = (),
        start: Iterable[str] = (),
    ) -> tuple[Plan, Undertaking]:
        """Become the stack of these specifications, touching only what differs.

        What is new starts, what was removed stops and is forgotten, what runs and needs a new run
        for its change gets one. `found`: what there is of services that were recalled; that comes first.
        `start`: those that are to be started besides, as far as they are among them.
        Raises RefusedError while shutting down.
        """
        self._refuse_while_shutting_down("apply a configuration to", ["the stack"])
        specs = list(specs)
        plan = compare({name: service.spec for name, service in self.services.items()}, specs)
        by_name = {spec.name: spec for spec in specs}
        for name in plan.added:
            self._become(name, Service(spec=by_name[name], since=now))
        asked_otherwise = [
            name for name in plan.retuned if self.services[name].spec.alive != by_name[name].alive
        ]
        # What listens of its own accord has to let go before its sockets can be held.
        unshared = {name for name in plan.changed if not self.services[name].spec.hold}
        for name in (*plan.changed, *plan.retuned):
            self._respecify(name, by_name[name])
        back_again = self._retired & by_name.keys()
        self._retired = (self._retired | set(plan.removed)) - back_again
        self._lay_out()
        starts = [name for name in (*plan.added, *sorted(back_again)) if by_name[name].autostart]
        starts += [name for name in start if name in by_name]
        requests: list[ev.Event] = [*found, *(ev.StopRequested(service=name) for name in plan.removed)]
        requests += [ev.StartRequested(service=name) for name in self.graph.with_needs(starts)]
        running = (self.services[name] for name in plan.changed)
        restarts = [service.name for service in running if service.wanted and not service.is_down]
        requests += [ev.RestartRequested(service=name, hard=name in unshared) for name in restarts]
        self._lookers.update(self.services)
        begun = self._operate(op, "start", sorted({*starts, *restarts}), requests, now)
        for name in asked_otherwise:
            begun.actions.extend(watch_anew(self.services[name]))
        for name in plan.removed:
            self._forget_retired(name)
        begun.actions.extend(self._remember())
        return plan, begun

    def _respecify(self, name: str, spec: ServiceSpec) -> None:
        before = self.services[name]
        # A copy of another file is none of this one.
        kept = before.kept if (spec.config, spec.copy) == (before.spec.config, before.spec.copy) else ""
        self._become(name, msgspec.structs.replace(before, spec=spec, kept=kept))

    def _become(self, name: str, after: Service) -> None:
        self._health.change(self.services.get(name), after)
        self.services[name] = after
        self._touched[name] = None

    def _lay_out(self) -> None:
        """The graph of what is there now; a service that is being removed keeps its place in it."""
        self.graph = Graph(
            _without_strangers(service.spec, self.services) if name in self._retired else service.spec
            for name, service in self.services.items()
        )

    def _forget_retired(self, name: str) -> None:
        if name in self._retired and name in self.services and self.services[name].is_down:
            self._retired.discard(name)
            self._lookers.discard(name)
            self._health.change(self.services.pop(name), None)
            self._touched[name] = None
            self._lay_out()

    def known(self, names: Iterable[str]) -> list[str]:
        """These services, sorted; without names all. Raises UnknownServiceError."""
        named = sorted(set(names))
        for name in named:
            if name not in self.services:
                raise UnknownServiceError(
                    f"no service `{name}`", (f"the services are: {', '.join(sorted(self.services))}",)
                )
        return named or sorted(self.services)

    def _refuse_while_shutting_down(self, verb: str, names: list[str]) -> None:
        if self.is_shutting_down:
            raise RefusedError(f"cannot {verb} {', '.join(names)}: stackd is shutting down")

    def _is_out_of_use(self, name: str) -> bool:
        service = self.services[name]
        return service.state in (State.STOPPED, State.EXITED, State.FAILED)

    def _operate(
        self, op: int, verb: Verb, names: list[str], requests: Iterable[ev.Event], now: float
    ) -> Undertaking:
        self._operations.open(op, verb, [self.services[name] for name in names])
        self._facts.extend(requests)
        actions = self._drain(now)
        for name in names:  # those to whom nothing happened, since all was as wanted
            actions += self._operations.conclude(self.services[name])
        return Undertaking(tuple(names), actions)

    # What happens.

    @property
    def deadline(self) -> float:
        """When `wake` has something to do, in monotonic seconds; infinity when never."""
        while self._deadlines:
            at, name = self._deadlines[0]
            if name in self.services and self.services[name].deadline == at:
                return at
            heapq.heappop(self._deadlines)
        return NEVER

    def wake(self, now: float) -> list[do.Action]:
        """Tell the service whose deadline is over first, if there is one."""
        if self.deadline > now:
            return []
        _, name = heapq.heappop(self._deadlines)
        return self.handle(ev.DeadlinePassed(service=name), now)

    def handle(self, event: ev.Event, now: float) -> list[do.Action]:
        """Take in a fact; returns the orders that follow from it."""
        self._facts.append(event)
        return self._drain(now)

    def _drain(self, now: float) -> list[do.Action]:
        actions: list[do.Action] = []
        while self._facts or self._lookers:
            while self._facts:
                actions += self._apply(self._facts.popleft(), now)
            lookers, self._lookers = sorted(self._lookers), set()
            for name in lookers:
                if name in self.services:
                    self._facts += effects.look(self.services[name], self.services, self.graph, self.parallel)
        return [*self._remember(), *actions]

    def _remember(self) -> list[do.Action]:
        """What is to be written down before anything is done."""
        touched, self._touched = self._touched, {}
        return [do.Remember(service=name, record=self.services.get(name)) for name in touched]

    def _apply(self, event: ev.Event, now: float) -> list[do.Action]:
        before = self.services.get(event.service)
        if before is None:
            return []  # of a service that was removed meanwhile
        after, orders = step(before, event, now, self._chance())
        if after is before:
            return list(orders)
        after = timed(before, after, now)
        self._become(before.name, after)
        if after.deadline not in (before.deadline, NEVER):
            heapq.heappush(self._deadlines, (after.deadline, after.name))
        self._lookers |= effects.lookers(before, after, self.graph)
        if isinstance(event, ev.ProcessExited):
            self._facts += effects.renewals(before, after, self.services, self.graph)
        self._forget_retired(after.name)
        news = publish(before, after, event, now)
        return [*orders, *_release(before, after), *news, *self._operations.conclude(after)]

    # How the stack is.

    @property
    def state(self) -> StackState:
        """The stack in one word."""
        return self._health.state(self.is_shutting_down)

    def awaited(self, name: str) -> Awaited:
        """What a service waits for now."""
        return awaited(self.services[name], self.services, self.graph)

    @property
    def ready_count(self) -> int:
        """How many services are wanted and as they should be."""
        return self._health.well

    def waits_for(self, name: str) -> tuple[str, ...]:
        """Whom a service waits for before it starts, leaves, or is renewed."""
        return effects.waits_for(self.services[name], self.services, self.graph, self.parallel)

    @property
    def longest_stop(self) -> float:
        """Seconds that a stop of one of the services that are not down may take; looks at all of them."""
        up = (service.spec.stop_timeout for service in self.services.values() if not service.is_down)
        return max(up, default=0.0) + KILL_TIMEOUT

    @property
    def is_finished(self) -> bool:
        """Whether it was told to shut down and everything is down."""
        return self.is_shutting_down and self._health.all_down


def _without_strangers(spec: ServiceSpec, names: Container[str]) -> ServiceSpec:
    """The specification with only those neighbours that are there."""
    edges = {
        field: tuple(name for name in getattr(spec, field) if name in names)
        for field in ("requires", "wants", "after")
    }
    return msgspec.structs.replace(spec, **edges)


def _release(before: Service, after: Service) -> list[do.Action]:
    """Nobody is going to serve the held sockets: better no answer at once than none after a long wait."""
    is_hopeless = after.state is State.WAITING and after.blocked and bool(after.spec.hold)
    if (after.state in AT_REST and before.state not in AT_REST) or (is_hopeless and not before.blocked):
        return [do.ReleaseSockets(service=after.name)]
    return []
