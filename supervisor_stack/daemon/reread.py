"""SIGHUP: read the configuration again, and change only what differs. A bad file changes nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

import msgspec

from supervisor_stack.config import load
from supervisor_stack.core import actions as do
from supervisor_stack.daemon.engine import Engine
from supervisor_stack.daemon.herald import Herald
from supervisor_stack.errors import StackError
from supervisor_stack.spec import StackSpec

log = logging.getLogger(__name__)


class Rereader:
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
        self._task: asyncio.Task[None] | None = None
        self._again = False

    def begin(self) -> None:
        """Read it, off the loop. Asked again meanwhile, it is read once more after that."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._read())
        else:
            self._again = True

    async def _read(self) -> None:
        self._herald.begin_reload()
        while True:
            self._again = False
            try:
                self._become(await asyncio.to_thread(load, self._spec.source, self._environ))
            except StackError as error:
                log.error("SIGHUP: %s", "\n  ".join((error.message, *error.detail, "nothing was changed")))
            if not self._again:
                break
        self._herald.end_reload()

    def _become(self, new: StackSpec) -> None:
        if new.runtime_dir != self._spec.runtime_dir:
            # The pipes and sockets of what runs are there; half of the stack would be here and half there.
            log.error(
                "SIGHUP: runtime_dir cannot change while stackd runs; nothing was changed; restart stackd"
            )
            return
        if msgspec.structs.replace(new, services=self._spec.services) != self._spec:
            log.warning("SIGHUP: changes of [stack] and [control] wait for the next start of stackd")

        def ask(now: float) -> list[do.Action]:
            plan, begun = self._engine.stack.apply(self._next_operation(), new.services, now)
            told = "; ".join(f"{what}: {', '.join(names)}" for what, names in plan._asdict().items() if names)
            log.info("SIGHUP: %s", told or "nothing differs")
            return begun.actions

        self._engine.request(ask)
        self._spec = msgspec.structs.replace(self._spec, services=new.services)
        self._applied(self._spec)
