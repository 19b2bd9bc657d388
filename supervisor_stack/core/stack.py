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
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from supervisor_stack.core import actions as do
from supervisor_stack.core import effects
from supervisor_stack.core import events as ev
from supervisor_stack.core.awaited import Awaited, awaited
from supervisor_stack.core.graph import Graph
from supervisor_stack.core.health import StackState
from supervisor_stack.core.moves.base import KILL_TIMEOUT
from supervisor_stack.core.moves.retuning import known_as_ready, take_up
from supervisor_stack.core.news import publish
from supervisor_stack.core.operations import Operations, Verb, refuse_reload
from supervisor_stack.core.plan import Plan, compare
from supervisor_stack.core.roster import Roster
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
        self._roster = Roster(Service(spec=spec, since=now) for spec in specs)
        self.services = self._roster.services
        self.parallel = parallel
        self._chance = chance
        self._facts: deque[ev.Event] = deque()
        self._lookers: set[str] = set()
        self._deadlines: list[tuple[float, str]] = []
        self._operations = Operations()
        self.is_shutting_down = False

    @property
    def graph(self) -> Graph:
        """Who needs whom."""
        return self._roster.graph

    # What is asked of the stack.

    def start(self, op: int, names: Iterable[str], now: float, by: str = "") -> Undertaking:
        """Start services and what they need. Raises UnknownServiceError and RefusedError."""
        named = self._staying("start", names)
        self._refuse_while_shutting_down("start", named)
        pulled = self.graph.with_needs(named)
        requests = [ev.StartRequested(service=name, by=by) for name in pulled]
        return self._operate(op, "start", named, requests, now)

    def stop(self, op: int, names: Iterable[str], cascade: bool, now: float, by: str = "") -> Undertaking:
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
        return self._operate(
            op, "stop", going, [ev.StopRequested(service=name, by=by) for name in going], now
        )

    def restart(
        self, op: int, names: Iterable[str], cascade: bool, now: float, hard: bool = False, by: str = ""
    ) -> Undertaking:
        """A new run of services; with `cascade` also of those who need them and are in use.

        `hard`: the present run ends before the new one begins, also where it could be the other way.
        """
        named = self._staying("restart", names)
        self._refuse_while_shutting_down("restart", named)
        going = named
        if cascade:
            dependents = self.graph.with_dependents(named)
            affected = [name for name in dependents if name not in self._roster.retired]
            going = [name for name in affected if name in named or not self._is_out_of_use(name)]
        needs = [name for name in self.graph.with_needs(going) if name not in going]
        requests: list[ev.Event] = [ev.StartRequested(service=name, by=by) for name in needs]
        requests += [ev.RestartRequested(service=name, hard=hard, by=by) for name in going]
        return self._operate(op, "restart", going, requests, now)

    def reload(self, op: int, names: Iterable[str], now: float, by: str = "") -> Undertaking:
        """Have services take up their changed configuration; without names all that can do so now.

        Raises UnknownServiceError, and RefusedError for what is named and cannot reload or does not run.
        """
        asked = tuple(names)
        named = self.known(asked)
        refusals = {name: refusal for name in named if (refusal := refuse_reload(self.services[name]))}
        if asked:
            for refusal in refusals.values():
                raise refusal
        named = [name for name in named if name not in refusals]
        if not named:
            told = tuple(refusal.message for refusal in refusals.values())
            raise RefusedError("cannot reload all: no service can be reloaded now", told)
        requests = [ev.ReloadRequested(service=name, by=by) for name in named]
        return self._operate(op, "reload", named, requests, now)

    def reset(self, names: Iterable[str], now: float, by: str = "") -> list[do.Action]:
        """Forget the failures of services. Raises UnknownServiceError."""
        self._facts.extend(ev.ResetRequested(service=name, by=by) for name in self.known(names))
        return self._drain(now)

    def signal(self, name: str, signal: str) -> list[do.Action]:
        """Send a signal to the main process. Raises UnknownServiceError and RefusedError."""
        service = self.services[self.known([name])[0]]
        if service.pid is None:
            raise RefusedError(f"cannot signal {name}: it is not running", (f"{name} is {service.state}",))
        return [do.Signal(service=name, run=service.run, name=signal)]

    def shut_down(self, op: int, now: float, by: str = "") -> Undertaking:
        """Stop everything in order; nothing starts any more."""
        self.is_shutting_down = True
        everything = sorted(self.services)
        return self._operate(
            op, "stop", everything, [ev.StopRequested(service=name, by=by) for name in everything], now
        )

    def forget(self, op: int, names: Iterable[str]) -> None:
        """Nobody waits any more for an operation on these services. What it has begun goes on."""
        self._operations.forget(op, names)

    def recall(self, records: Iterable[Service]) -> None:
        """Take over the services of an earlier stackd as they were written down; `apply` comes next."""
        for record in records:
            self._roster.become(record)
            if record.deadline != NEVER:
                heapq.heappush(self._deadlines, (record.deadline, record.name))

    def plan(self, specs: Iterable[ServiceSpec]) -> Plan:
        """What `apply` would do now, and why. Raises RefusedError while shutting down."""
        self._refuse_while_shutting_down("apply a configuration to", ["the stack"])
        return compare(self.services, self._roster.retired, specs)

    def apply(
        self,
        op: int,
        specs: Iterable[ServiceSpec],
        now: float,
        found: Iterable[ev.Event] = (),
        start: Iterable[str] = (),
        by: str = "",
    ) -> tuple[Plan, Undertaking]:
        """Become the stack of these specifications, touching only what differs.

        What is new starts, what was removed stops and is forgotten, what runs and needs a new run
        for its change gets one. `found`: what there is of services that were recalled; that comes first.
        `start`: those that are to be started besides, as far as they are among them.
        Raises RefusedError while shutting down.
        """
        by_name = {spec.name: spec for spec in specs}
        plan = self.plan(by_name.values())
        requests = list(found)
        orders = self._take_in(plan, by_name, requests, now)
        starts = [*plan.with_effect("start"), *(name for name in start if name in by_name)]
        restarts = {change.service: change.hard for change in plan.changes if change.effect == "restart"}
        # What is on its way out, and has come back otherwise.
        restarts |= {name: True for name in starts if self.services[name].runs_as}
        requests += [ev.StopRequested(service=name, by=by) for name in plan.with_effect("stop")]
        needed = self.graph.with_needs((*starts, *restarts))
        requests += [ev.StartRequested(service=name, by=by) for name in needed if name not in restarts]
        requests += [ev.RestartRequested(service=name, hard=hard, by=by) for name, hard in restarts.items()]
        self._lookers.update(self.services)
        waits: dict[str, Verb] = dict.fromkeys(starts, "start")
        waits |= {change.service: change.effect for change in plan.changes if change.effect != "none"}
        begun = self._undertake(op, waits, requests, now)
        return plan, begun._replace(actions=[*orders, *begun.actions])

    def _take_in(
        self, plan: Plan, specs: Mapping[str, ServiceSpec], requests: list[ev.Event], now: float
    ) -> list[do.Action]:
        """Have the services of a plan, each with its new specification. Returns the orders by which the
        shell follows what is asked and watched now; what is to be told of it is added to the requests."""
        roster = self._roster
        orders: list[do.Action] = []
        back = [name for name in plan.named("added") if name in self.services]
        roster.retired.difference_update(back)
        roster.retired.update(plan.named("removed"))
        for name in plan.named("added"):
            if name not in self.services:
                roster.become(Service(spec=specs[name], since=now))
        for name in (*plan.named("changed"), *back):
            before = self.services[name]
            after, following = take_up(before, roster.respecify(name, specs[name]))
            roster.become(after)
            orders += following
            requests += known_as_ready(before, after)
        roster.arrange(specs)
        roster.lay_out()
        return orders

    def known(self, names: Iterable[str]) -> list[str]:
        """These services, sorted; without names all. Raises UnknownServiceError."""
        named = sorted(set(names))
        for name in named:
            if name not in self.services:
                raise UnknownServiceError(
                    f"no service `{name}`", (f"the services are: {', '.join(sorted(self.services))}",)
                )
        return named or sorted(self.services)

    def _staying(self, verb: str, names: Iterable[str]) -> list[str]:
        """These services, as `known`, without those that were removed from the configuration: they are on
        their way out, and stay so. Raises RefusedError when one is named."""
        asked = tuple(names)
        named = self.known(asked)
        gone = [name for name in named if name in self._roster.retired]
        if asked and gone:
            raise RefusedError(
                f"cannot {verb} {', '.join(gone)}: not part of the configuration any more",
                (f"{', '.join(gone)} is forgotten when it is down; nothing was done",),
            )
        return [name for name in named if name not in self._roster.retired]

    def _refuse_while_shutting_down(self, verb: str, names: list[str]) -> None:
        if self.is_shutting_down:
            raise RefusedError(f"cannot {verb} {', '.join(names)}: stackd is shutting down")

    def _is_out_of_use(self, name: str) -> bool:
        service = self.services[name]
        return service.state in (State.STOPPED, State.EXITED, State.FAILED)

    def _operate(
        self, op: int, verb: Verb, names: list[str], requests: Iterable[ev.Event], now: float
    ) -> Undertaking:
        return self._undertake(op, dict.fromkeys(names, verb), requests, now)

    def _undertake(
        self, op: int, waits: Mapping[str, Verb], requests: Iterable[ev.Event], now: float
    ) -> Undertaking:
        """Have the requests met; the operation waits until these services are as the verbs say."""
        names = sorted(waits, key=self._roster.place_of)
        for name in names:
            self._operations.open(op, waits[name], self.services[name])
        self._facts.extend(requests)
        actions = self._drain(now)
        for name in names:  # those to whom nothing happened, since all was as wanted
            if name in self.services:
                actions += self._operations.conclude(self.services[name], now)
        return Undertaking(tuple(names), actions)

    # What happens.

    @property
    def deadline(self) -> float:
        """When `wake` has something to do, in monotonic seconds; infinity when never."""
        while self._deadlines:
            at, name = self._deadlines[0]
            if name in self.services and self.services[name].deadline == at:
                return min(at, self._operations.deadline)
            heapq.heappop(self._deadlines)
        return self._operations.deadline

    def wake(self, now: float) -> list[do.Action]:
        """Tell the service whose deadline is over first, or look at an operation again, if there is one."""
        if self.deadline > now:
            return []
        if self._operations.deadline <= now:
            service = self.services.get(self._operations.next_settling())
            return self._operations.conclude(service, now) if service else []
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
        return [*self._roster.remember(), *actions]

    def _apply(self, event: ev.Event, now: float) -> list[do.Action]:
        before = self.services.get(event.service)
        if before is None:
            return []  # of a service that was removed meanwhile
        after, orders = step(before, event, now, self._chance())
        if after is before:
            return list(orders)
        after = timed(before, after, now)
        self._roster.become(after)
        if after.deadline not in (before.deadline, NEVER):
            heapq.heappush(self._deadlines, (after.deadline, after.name))
        self._lookers |= effects.lookers(before, after, self.graph)
        if isinstance(event, ev.ProcessExited):
            self._facts += effects.renewals(before, after, self.services, self.graph)
        self._roster.forget_if_gone(after.name)
        news = publish(before, after, event, now)
        return [*orders, *_release(before, after), *news, *self._operations.conclude(after, now)]

    # How the stack is.

    @property
    def state(self) -> StackState:
        """The stack in one word."""
        return self._roster.health.state(self.is_shutting_down)

    def awaited(self, name: str) -> Awaited:
        """What a service waits for now."""
        return awaited(self.services[name], self.services, self.graph)

    @property
    def ready_count(self) -> int:
        """How many services are wanted and as they should be."""
        return self._roster.health.well

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
        return self.is_shutting_down and self._roster.health.all_down


def _release(before: Service, after: Service) -> list[do.Action]:
    """Nobody is going to serve the held sockets: better no answer at once than none after a long wait."""
    is_hopeless = (
        after.state is State.WAITING and after.blocked and bool(after.spec.hold) and not after.others
    )
    if (after.state in AT_REST and before.state not in AT_REST) or (is_hopeless and not before.blocked):
        return [do.ReleaseSockets(service=after.name)]
    return []
