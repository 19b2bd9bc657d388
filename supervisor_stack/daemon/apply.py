"""Reading the configuration again, and changing only what differs: for SIGHUP, `systemctl reload` and
`stackctl apply`. A bad file changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Mapping
from itertools import islice
from typing import NamedTuple

import msgspec

from supervisor_stack.config import complaint, load
from supervisor_stack.control import plans
from supervisor_stack.core import actions as do
from supervisor_stack.core import plan as core
from supervisor_stack.daemon.access import taken_up
from supervisor_stack.daemon.engine import Engine
from supervisor_stack.daemon.herald import Herald
from supervisor_stack.errors import RefusedError, StackError
from supervisor_stack.spec import StackSpec

log = logging.getLogger(__name__)

MOST_WAITING = 32
"""Who ask while the file is being read: each of them is answered when it was read again."""

LOGGED = 50
"""Changes of a plan that are told in the log; of more the number is told."""


class Asked(NamedTuple):
    """Somebody (`by`) asks what differs, and unless `only_plan` that it be applied.

    One of these is called, once: `refuse` with the reason why nothing was changed; `show` with the plan, when
    that was all; `begin` with the operation that it has become, the services that it is about, and the plan.
    After `begin`, and when all that follows was ordered, `ordered` is called with the operation.
    """

    by: str
    only_plan: bool
    refuse: Callable[[StackError], None]
    show: Callable[[plans.Plan], None]
    begin: Callable[[int, tuple[str, ...], plans.Plan], None]
    ordered: Callable[[int], None]


def _no_one(*_answer: object) -> None:
    """A signal is not answered. What came of it is in the log."""


BY_SIGNAL = Asked("SIGHUP", only_plan=False, refuse=_no_one, show=_no_one, begin=_no_one, ordered=_no_one)


class Applier:
    """Applies a changed configuration to a running stack.

    `next_operation` numbers what is set going; `applied` is called with what the stack is now.
    """

    def __init__(
        self,
        spec: StackSpec,
        engine: Engine,
        herald: Herald,
        environ: Mapping[str, str],
        next_operation: Callable[[], int],
        applied: Callable[[StackSpec], None],
    ) -> None:
        self._spec = spec
        self._engine = engine
        self._herald = herald
        self._environ = environ
        self._next_operation = next_operation
        self._applied = applied
        self._waiting: list[Asked] = []
        self._reading: list[Asked] = []
        self._task: asyncio.Task[None] | None = None

    def ask(self, asked: Asked) -> None:
        """Have it answered from the file as it is from now on: a reading that has begun is none for this."""
        if asked is BY_SIGNAL and BY_SIGNAL in self._waiting:
            return  # one reading answers both, and whoever storms with signals adds no work
        if asked is not BY_SIGNAL and len(self._waiting) >= MOST_WAITING:
            others = f"{len(self._waiting)} others have asked for it already"
            asked.refuse(RefusedError(f"cannot apply the configuration: {others}", ("nothing was changed.",)))
            return
        self._waiting.append(asked)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work(), name="apply")

    def leave(self) -> None:
        """Tell those who wait that nothing comes of it."""
        problem = StackError("cannot apply the configuration: stackd leaves", ("nothing was changed.",))
        for asked in (*self._reading, *self._waiting):
            asked.refuse(problem)
        self._reading, self._waiting = [], []

    async def _work(self) -> None:
        while self._waiting:
            self._reading, self._waiting = self._waiting, []
            is_change = any(not asked.only_plan for asked in self._reading)
            if is_change:
                self._herald.begin_reload()
            try:
                new: StackSpec | StackError = await _in_thread(lambda: _read(self._spec, self._environ))
            except StackError as error:
                new = error
            except Exception:
                log.exception("cannot read %s: internal error", self._spec.source)
                new = _internal_error()
            reading, self._reading = self._reading, []
            for asked in reading:
                self._answer(asked, new)
            if is_change and reading:
                self._herald.end_reload()
        self._task = None

    def _answer(self, asked: Asked, new: StackSpec | StackError) -> None:
        try:
            if isinstance(new, StackError):
                raise new
            if asked.only_plan:
                asked.show(self._told(self._engine.stack.plan(new.services), new))
            else:
                self._become(asked, new)
        except StackError as error:
            refusal = type(error)(error.message, (*error.detail, "nothing was changed."))
            if not asked.only_plan:
                log.error("%s", "\n  ".join((refusal.message, *refusal.detail)))
            asked.refuse(refusal)
        except Exception:
            # A bug of ours: it costs this one request, and not all that come after it.
            log.exception("cannot apply %s: internal error", self._spec.source)
            asked.refuse(_internal_error())

    def _become(self, asked: Asked, new: StackSpec) -> None:
        op = self._next_operation()

        def ask(now: float) -> list[do.Action]:
            plan, begun = self._engine.stack.apply(op, new.services, now, by=asked.by)
            told = self._told(plan, new)
            _log(told)
            asked.begin(op, begun.services, told)
            return begun.actions

        self._engine.request(ask)
        control = taken_up(self._spec.control, new.control)
        # What else is in [stack] is as it was until the next stackd, and told as a difference until then.
        self._spec = msgspec.structs.replace(
            self._spec, base_dir=new.base_dir, services=new.services, control=control
        )
        self._applied(self._spec)
        asked.ordered(op)

    def _told(self, plan: core.Plan, new: StackSpec) -> plans.Plan:
        """A plan as it is told, with what differs of stackd itself."""
        of_stackd = core.compare_stackd(self._spec, new)
        changes = (*((of_stackd,) if of_stackd else ()), *plan.changes)
        return plans.Plan(source=new.source, changes=tuple(map(_message, changes)))


def _internal_error() -> StackError:
    return StackError("cannot apply the configuration: internal error", ("stackd's log has it.",))


def _in_thread(read: Callable[[], StackSpec]) -> asyncio.Future[StackSpec]:
    """What is read, by a thread that nobody waits for: a file server that hangs must not keep stackd from
    leaving, as the threads of asyncio would."""
    loop = asyncio.get_running_loop()
    future = loop.create_future()

    def settle(new: StackSpec | None, error: Exception | None) -> None:
        if future.done():
            return
        if error:
            future.set_exception(error)
        else:
            future.set_result(new)

    def work() -> None:
        new, problem = None, None
        try:
            new = read()
        except Exception as error:  # noqa: BLE001 - raised again by whoever waits for it
            problem = error
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, new, problem)

    threading.Thread(target=work, name="configuration", daemon=True).start()
    return future


def _read(spec: StackSpec, environ: Mapping[str, str]) -> StackSpec:
    """The configuration as it is now. Raises ConfigError."""
    new = load(spec.source, environ)
    if new.runtime_dir != spec.runtime_dir:
        # The pipes and sockets of what runs are there; half of the stack would be here and half there.
        what = f"cannot change while the stack runs; write {spec.runtime_dir}, or stop the stack first"
        raise complaint(spec.source, ("stack", "runtime_dir"), what)
    return new


def _message(change: core.Change) -> plans.Change:
    keys = tuple(
        plans.KeyChange(key=each.key, before=each.before, after=each.after, hidden=each.hidden)
        for each in change.keys
    )
    return plans.Change(
        what=change.what, service=change.service, keys=keys, effect=change.effect, why=change.why
    )


def _log(plan: plans.Plan) -> None:
    if not plan.changes:
        log.info("%s: nothing differs", plan.source)
        return
    lines = [line for pair in islice(plans.lines(plan), LOGGED) for line in pair]
    more = len(plan.changes) - LOGGED
    if more > 0:
        lines.append(f"and {more} more")
    log.info("%s", "\n  ".join((f"applying {plan.source}:", *lines)))
