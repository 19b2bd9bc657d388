"""Work that takes time, beside the loop's turn: one task for each service and purpose at most.

A leaf ends as a fact. What was stopped posts the fact that it was given for that case, if any.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from supervisor_stack.core import events as ev

log = logging.getLogger(__name__)


class Leaves:
    """Leaf tasks of one purpose, by service."""

    def __init__(self, post: Callable[[ev.Event], None]) -> None:
        self._post = post
        self._tasks: dict[str, asyncio.Task[ev.Event | None]] = {}

    def start(
        self, service: str, work: Coroutine[Any, Any, ev.Event | None], otherwise: ev.Event | None = None
    ) -> None:
        """Run it in place of an earlier one; what it returns is posted, or `otherwise` when it is stopped."""
        self.stop(service)
        task = asyncio.get_running_loop().create_task(work, name=service)
        self._tasks[service] = task
        task.add_done_callback(functools.partial(self._ended, otherwise))

    def stop(self, service: str) -> None:
        """End it, if there is one."""
        if task := self._tasks.pop(service, None):
            task.cancel()

    def _ended(self, otherwise: ev.Event | None, task: asyncio.Task[ev.Event | None]) -> None:
        service = task.get_name()
        if self._tasks.get(service) is task:
            del self._tasks[service]
        fact = otherwise
        if not task.cancelled():
            if error := task.exception():
                log.error("cannot complete a task of %s: internal error", service, exc_info=error)
            else:
                fact = task.result()
        if fact is not None:
            self._post(fact)
