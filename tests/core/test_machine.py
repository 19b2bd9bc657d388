"""Whatever happens in whatever order: a few things are never untrue."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from supervisor_stack.core import actions as do
from supervisor_stack.core import events as ev
from supervisor_stack.core.state import AT_REST, NEVER, State
from supervisor_stack.errors import RefusedError
from supervisor_stack.spec import Backoff, CheckReport, Hold, ProbeSpec, Reload, StartLimit, Watch
from tests.core.histories import ADDRESS, CHECK, HELD, PROBE, History, service

NAMES = ("db", "cache", "migrate", "app", "web")
TRANSIENT = {State.STARTING, State.RELOADING, State.STOPPING, State.KILLING, State.BACKOFF}

OTHERWISE: dict[str, Any] = {
    "env": {"A": "1"},
    "backoff": Backoff(initial=2.0),
    "ready": ProbeSpec(type="tcp", address=ADDRESS),
    "alive": ProbeSpec(type="tcp", address=ADDRESS),
    "watch": Watch(paths=("/x",), action="restart"),
    "requires": (),
    "hold": None,
}
"""Keys of a service, and what they may be changed to."""

names = st.sampled_from(NAMES)
codes = st.sampled_from((0, 1, 7, -9, -15, None))


class AnyHistory(RuleBasedStateMachine):
    """A stack, and a world that does with its processes what it likes, as far as a kernel would.

    `processes` holds the main processes that exist: name -> runs. The world makes one when the core
    orders it and ends it when it likes, also those of older runs, and sends every other fact at any time.
    """

    def __init__(self) -> None:
        super().__init__()
        patient: dict[str, Any] = {
            "backoff": Backoff(initial=1.0),
            "start_limit": StartLimit(burst=4, interval=60.0),
        }
        self.history = History(
            service("db", final_exits={7: "broken"}, stop_when_ready=True, **patient),
            service("cache", ready=None, **patient),
            service("migrate", "db", type="task", ready=None, **patient),
            service(
                "app",
                "db",
                "migrate",
                wants=("cache",),
                restart="on-failure",
                on_dependency_crash="restart",
                alive=PROBE,
                **HELD,
                **patient,
            ),
            service(
                "web",
                "app",
                check=CHECK,
                reload=Reload(signal="HUP"),
                hold=Hold(lend="nginx", handover=True),
                copy="nginx",
                kill=False,
                **patient,
            ),
        )
        self.specs = self.history.specs
        self.processes: dict[str, set[int]] = {name: set() for name in NAMES}
        self.unborn: list[do.Spawn] = []
        self.tests: list[do.RunCheck] = []
        self.seen = 0

    def _obey(self) -> None:
        """Note the spawns that were ordered since the last look."""
        for order in self.history.orders[self.seen :]:
            if isinstance(order, do.Spawn):
                if order.beside:
                    self.unborn.append(order)
                    continue
                needs = self.history.stack.graph.requires[order.service]
                unready = [name for name in needs if not self.history[name].is_fulfilled]
                assert not unready, f"{order.service} was started before {unready}"
                self.unborn.append(order)
            elif isinstance(order, do.RunCheck):
                self.tests.append(order)
        self.seen = len(self.history.orders)

    @rule(
        verb=st.sampled_from(("start", "stop", "restart", "reload")),
        name=names,
        cascade=st.booleans(),
        hard=st.booleans(),
    )
    def request(self, verb: str, name: str, cascade: bool, hard: bool) -> None:
        keys = {"cascade": cascade} if verb in ("stop", "restart") else {}
        keys |= {"hard": hard} if verb == "restart" else {}
        try:
            self.history.ask(verb, name, **keys)
        except RefusedError:
            return
        finally:
            self._obey()

    @rule(name=names, key=st.sampled_from(sorted(OTHERWISE)), other=st.booleans())
    def apply(self, name: str, key: str, other: bool) -> None:
        """A key of a service changes in the file, or is changed back."""
        if self.history.stack.is_shutting_down:
            return
        first = next(spec for spec in self.specs if spec.name == name)
        value = OTHERWISE[key] if other else getattr(first, key)
        if key in ("ready", "alive") and first.type == "task":
            return  # which the configuration does not allow
        specs = [
            msgspec.structs.replace(spec, **{key: value}) if spec.name == name else spec
            for spec in self.history.specs
        ]
        self.history.apply(*specs)
        self._obey()
        assert self.history.stack.plan(specs).changes == ()

    @rule()
    def shut_down(self) -> None:
        self.history.shut_down()
        self._obey()

    @precondition(lambda self: self.unborn)
    @rule(works=st.booleans(), final=st.booleans())
    def make(self, works: bool, final: bool) -> None:
        order = self.unborn.pop(0)
        if works:
            self.processes[order.service].add(order.run)
            self.history.spawned(order.service, run=order.run)
        else:
            fact = ev.SpawnFailed(service=order.service, run=order.run, reason="no", final=final)
            self.history.tell(fact)
        self._obey()

    @rule(made=st.booleans(), lost=st.sets(names))
    def die(self, made: bool, lost: set[str]) -> None:
        """stackd is killed; what it was about to make may have been made, and some end while it is away."""
        if self.history.stack.is_shutting_down:
            return
        for order in self.unborn if made else []:
            self.processes[order.service].add(order.run)
        self.unborn.clear()
        self.tests.clear()
        for name in lost:
            self.processes[name].clear()
        self.history.die(**self.processes)
        self._obey()

    @rule(name=names, code=codes, leftovers=st.integers(0, 2))
    def end(self, name: str, code: int | None, leftovers: int) -> None:
        if self.processes[name]:
            run = self.processes[name].pop()
            changed = code == 1
            self.history.exited(name, code, run=run, leftovers=leftovers, changed=changed)
            self._obey()

    @rule(
        name=names,
        fact=st.sampled_from((ev.BecameReady, ev.MembersGone, ev.ReloadVerified, ev.StopRefused)),
        of_successor=st.booleans(),
    )
    def tell(self, name: str, fact: type[ev.RunEvent], of_successor: bool) -> None:
        if fact is ev.MembersGone and self.processes[name]:
            return  # a sweep ends after the main process only
        each = self.history[name]
        run = each.successor.run if of_successor and each.successor else each.run
        if fact is ev.BecameReady and run not in self.processes[name]:
            return  # who does not exist does not answer
        self.history.tell(fact(service=name, run=run))
        self._obey()

    @rule(name=names)
    def miss(self, name: str) -> None:
        self.history.tell(ev.AliveMissed(service=name, run=self.history[name].run, answer="no"))
        self._obey()

    @rule(name=names)
    def lose_a_generation(self, name: str) -> None:
        for run in self.history[name].others:
            if run not in self.processes[name]:
                self.history.tell(ev.GenerationGone(service=name, old=run))
                self._obey()
                return

    @rule(name=names)
    def keep_its_configuration(self, name: str) -> None:
        self.history.tell(ev.ConfigKept(service=name, at="now"))

    @precondition(lambda self: self.tests)
    @rule(ok=st.booleans())
    def check(self, ok: bool) -> None:
        order = self.tests.pop(0)
        summary = "" if ok else "broken"
        report = CheckReport(addresses=(ADDRESS,), hold=(ADDRESS,))
        final = not ok
        self.history.checked(order.service, run=order.run, ok=ok, summary=summary, report=report, final=final)
        self._obey()

    @rule(name=names, ready=st.booleans())
    def fail_reload(self, name: str, ready: bool) -> None:
        run = self.history[name].run
        self.history.tell(ev.ReloadFailed(service=name, run=run, reason="no", ready=ready))
        self._obey()

    @rule(name=names)
    def change_files(self, name: str) -> None:
        self.history.tell(ev.FilesChanged(service=name, paths=("/x",)))
        self._obey()

    @precondition(lambda self: not self.unborn)  # making a process takes no time
    @rule(seconds=st.sampled_from((0.5, 2.0, 11.0, 100.0)))
    def wait(self, seconds: float) -> None:
        self.history.later(seconds)
        self._obey()

    @invariant()
    def no_service_has_two_lives(self) -> None:
        for name in NAMES:
            each = self.history[name]
            unborn = {order.run for order in self.unborn if order.service == name}
            leaving = {order.run for order in self.history.ordered(do.Retire) if order.service == name}  # type: ignore[attr-defined]
            successor = {each.successor.run} if each.successor else set()
            assert len((self.processes[name] | unborn) - successor - leaving - set(each.others)) <= 1

    @invariant()
    def only_one_that_can_hand_over_has_other_runs(self) -> None:
        for name in ("db", "cache", "migrate"):
            assert not self.history[name].others
            assert self.history[name].successor is None

    @invariant()
    def a_service_at_rest_has_no_other_runs(self) -> None:
        for name in NAMES:
            if self.history[name].state in AT_REST:
                assert not self.history[name].others

    @invariant()
    def what_is_down_has_no_process(self) -> None:
        for name in NAMES:
            if self.history[name].is_down:
                assert self.processes[name] <= set(self.history[name].others)

    @invariant()
    def every_state_that_should_pass_has_a_deadline(self) -> None:
        for name in NAMES:
            if self.history[name].state in TRANSIENT:
                assert self.history[name].deadline < NEVER

    @invariant()
    def the_alarm_is_set_for_the_next_deadline(self) -> None:
        stack = self.history.stack
        deadlines = (self.history[name].deadline for name in NAMES)
        assert stack.deadline == min(stack._operations.deadline, *deadlines)

    @invariant()
    def nobody_waits_for_what_is_there(self) -> None:
        for name in NAMES:
            each = self.history[name]
            if each.state is State.WAITING:
                before = self.history.stack.graph.before[name]
                assert any(not self.history[other].is_fulfilled for other in before)

    @invariant()
    def a_start_goes_forwards_in_time(self) -> None:
        for name in NAMES:
            each = self.history[name]
            for times in (each.times, each.successor and each.successor.times):
                if times:
                    told = [times.asked, times.begun, times.spawned, times.ready]
                    seen = [at for at in told if at is not None]
                    assert seen == sorted(seen)
                    assert seen[-1] <= self.history.now
            if each.ready or each.is_fulfilled:
                assert each.times
                assert each.times.ready is not None

    @invariant()
    def the_count_of_the_stack_is_that_of_its_services(self) -> None:
        wanted = [name for name in NAMES if self.history[name].wanted]
        all_well = all(self.history[name].is_as_wanted for name in wanted)
        assert (self.history.stack.state == "running") <= all_well
        assert self.history.stack.ready_count == sum(self.history[name].is_as_wanted for name in wanted)


AnyHistory.TestCase.settings = settings(max_examples=300, stateful_step_count=50, deadline=None)
TestAnyHistory = AnyHistory.TestCase
