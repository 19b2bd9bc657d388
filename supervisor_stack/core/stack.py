"""All services together: the one entrance for events, and the one exit for orders.

Effects along the graph are facts like any other. A change only notes which services have to look at
their neighbours again; they look when the queue of facts is empty, in the order of their names, and
what they find is put on the queue. So there is no recursion, nobody acts on a half-changed graph,
and the same events at the same times give the same orders. The work for an event grows with the
neighbours of its service, never with the size of the stack.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from supervisor_stack.core import actions as do
from supervisor_stack.core import events as ev
from supervisor_stack.core.graph import Graph
from supervisor_stack.core.operations import Operations, Verb
from supervisor_stack.core.rules import step
from supervisor_stack.core.state import NEVER, Service, State
from supervisor_stack.errors import RefusedError, UnknownServiceError
from supervisor_stack.spec import ServiceSpec

StackState = Literal["starting", "running", "degraded", "stopping", "stopped"]
Health = Literal["well", "coming", "ill", "leaving", "off"]


class Undertaking(NamedTuple):
    """An operation that has begun: the services that it is about, and the first orders."""

    services: tuple[str, ...]
    actions: list[do.Action]


class Stack:
    """The services of one stack. Pure: time and chance are passed in.

    `chance` returns a random number in [0, 1), for the jitter of restarts.
    """

    def __init__(self, specs: Iterable[ServiceSpec], chance: Callable[[], float]) -> None:
        self.services = {spec.name: Service(spec=spec) for spec in specs}
        self.graph = Graph(service.spec for service in self.services.values())
        self._chance = chance
        self._facts: deque[ev.Event] = deque()
        self._lookers: set[str] = set()
        self._deadlines: list[tuple[float, str]] = []
        self._operations = Operations()
        self._health: Counter[Health] = Counter({"off": len(self.services)})
        self._was_well = False
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

    def restart(self, op: int, names: Iterable[str], cascade: bool, now: float) -> Undertaking:
        """A new run of services; with `cascade` also of those who need them and are in use."""
        named = self.known(names)
        self._refuse_while_shutting_down("restart", named)
        going = named
        if cascade:
            affected = self.graph.with_dependents(named)
            going = [name for name in affected if name in named or not self._is_out_of_use(name)]
        needs = [name for name in self.graph.with_needs(going) if name not in going]
        requests: list[ev.Event] = [ev.StartRequested(service=name) for name in needs]
        requests += [ev.RestartRequested(service=name) for name in going]
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
        requests = [ev.ReloadRequested(service=name, cause="request") for name in named]
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
            if self.services[name].deadline == at:
                return at
            heapq.heappop(self._deadlines)
        return NEVER

    def wake(self, now: float) -> list[do.Action]:
        """Tell the services whose deadline is over."""
        actions: list[do.Action] = []
        while self.deadline <= now:
            _, name = heapq.heappop(self._deadlines)
            actions += self.handle(ev.DeadlinePassed(service=name), now)
        return actions

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
                self._look(self.services[name])
        return actions

    def _apply(self, event: ev.Event, now: float) -> list[do.Action]:
        before = self.services[event.service]
        if isinstance(event, ev.RunEvent) and event.run != before.run:
            return []
        after, orders = step(before, event, now, self._chance())
        if after is before:
            return list(orders)
        self.services[before.name] = after
        if after.deadline not in (before.deadline, NEVER):
            heapq.heappush(self._deadlines, (after.deadline, after.name))
        self._count(before, after)
        self._note_lookers(before, after)
        return [*orders, *_publish(before, after, event, now), *self._operations.conclude(after)]

    # Effects along the graph.

    def _note_lookers(self, before: Service, after: Service) -> None:
        """Who has to look around after this change: itself, and the neighbours that it concerns."""
        if after.state is State.WAITING or after.is_leaving:
            self._lookers.add(after.name)
        if (before.is_fulfilled, before.is_settled, before.reason) != (
            after.is_fulfilled,
            after.is_settled,
            after.reason,
        ):
            self._lookers.update(self.graph.behind[after.name])
        if after.is_down and not before.is_down:
            self._lookers.update(self.graph.before[after.name])

    def _look(self, service: Service) -> None:
        """Put on the queue what follows for a service from how its neighbours are."""
        if service.state is State.WAITING:
            self._look_ahead(service)
        elif service.is_leaving and service.state in (State.STARTING, State.RUNNING, State.RELOADING):
            self._look_behind(service)

    def _look_ahead(self, service: Service) -> None:
        """Tell a waiting service whether it may start, or what is missing."""
        requires = self.graph.requires[service.name]
        missing = [
            self.services[name]
            for name in self.graph.before[service.name]
            if not (self.services[name].is_fulfilled if name in requires else self.services[name].is_settled)
        ]
        if not missing:
            self._facts.append(ev.DependenciesReady(service=service.name))
            return
        reason = f"needs {', '.join(other.name for other in missing)}"
        hopeless = [other for other in missing if other.name in requires and _is_hopeless(other)]
        if hopeless:
            reason += f" ({hopeless[0].name} is {hopeless[0].state}"
            reason += f": {hopeless[0].reason})" if hopeless[0].reason else ")"
        if (reason, bool(hopeless)) != (service.reason, service.blocked):
            self._facts.append(
                ev.DependenciesPending(service=service.name, reason=reason, blocked=bool(hopeless))
            )

    def _look_behind(self, service: Service) -> None:
        """Tell a service that shall leave when nobody has to leave before it."""
        behind = (self.services[name] for name in self.graph.behind[service.name])
        if not any(other.is_leaving and not other.is_down for other in behind):
            self._facts.append(ev.DependentsDown(service=service.name))

    # How the stack is.

    @property
    def state(self) -> StackState:
        """The stack in one word."""
        health = self._health
        if health["off"] == len(self.services):
            return "stopped"
        if self.is_shutting_down or not health["well"] + health["coming"] + health["ill"]:
            return "stopping"
        if health["ill"]:
            return "degraded"
        if health["coming"]:
            return "degraded" if self._was_well else "starting"
        return "running"

    @property
    def ready_count(self) -> int:
        """How many services are wanted and as they should be."""
        return self._health["well"]

    @property
    def is_finished(self) -> bool:
        """Whether it was told to shut down and everything is down."""
        return self.is_shutting_down and self._health["off"] == len(self.services)

    def _count(self, before: Service, after: Service) -> None:
        self._health[_health(before)] -= 1
        self._health[_health(after)] += 1
        if not self._health["ill"] + self._health["coming"] and self._health["well"]:
            self._was_well = True


def _health(service: Service) -> Health:
    if not service.wanted:
        return "off" if service.is_down else "leaving"
    if service.is_as_wanted:
        return "well"
    if service.state in (State.BACKOFF, State.FAILED) or service.blocked:
        return "ill"
    if service.state is State.RUNNING and service.spec.type == "service":
        return "ill"
    return "coming"


def _is_hopeless(service: Service) -> bool:
    """Whether it will not come without help."""
    if service.state in (State.FAILED, State.STOPPED):
        return True
    return service.blocked or (service.state is State.EXITED and not service.is_fulfilled)


def _publish(before: Service, after: Service, event: ev.Event, now: float) -> list[do.Action]:
    """News for subscribers: what a person would call a change."""
    seen = (before.state, before.wanted, before.ready, before.rejected, before.run, before.pid)
    if seen == (after.state, after.wanted, after.ready, after.rejected, after.run, after.pid):
        return []
    verdict = before.state is State.RELOADING and after.state is State.RUNNING
    rejected = after.rejected if verdict else ""
    detail = after.rejected_detail if rejected else after.detail
    told = () if rejected else before.detail
    return [
        do.Publish(
            service=after.name,
            event=type(event).__name__,
            state=after.state,
            previous=before.state,
            wanted="running" if after.wanted else "stopped",
            run=after.run,
            pid=after.pid,
            at=now,
            reason=rejected or after.reason,
            detail=() if detail == told else detail,
        )
    ]
