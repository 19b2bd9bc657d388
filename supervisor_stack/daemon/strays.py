"""Processes that came to us and of which nobody can tell whose they were.

A service's descendant that left its session and rid itself of our marks is one. It is not lost: it is
told once, and ended after the last service.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable

from supervisor_stack.daemon import proc

log = logging.getLogger(__name__)

SETTLE = 1.0
"""Seconds from a first look at one to a second: what our own probes leave behind mostly ends at once."""

GRACE = 5.0
"""Seconds from SIGTERM to SIGKILL."""

PATIENCE = 2.0
"""Seconds after SIGKILL: what the kernel cannot end until then, it cannot."""


class Strays:
    """`children` are those of ours that we have not made; `nobodys` are those of them without an owner."""

    def __init__(self, children: Callable[[], list[int]], nobodys: Callable[[], list[int]]) -> None:
        self._children = children
        self._nobodys = nobodys
        self._settling: asyncio.TimerHandle | None = None
        self._told: set[int] = set()
        self._ended = asyncio.Event()

    def look(self) -> None:
        """Something was reaped, and may have left one."""
        self._ended.set()
        if self._settling is None:
            self._settling = asyncio.get_running_loop().call_later(SETTLE, self._settled)

    def _settled(self) -> None:
        self._settling = None
        found = set(self._living(self._nobodys()))
        for pid in sorted(found - self._told):
            log.warning(
                "pid %d (%s) is nobody's: it left its session and cleaned its environment; "
                "it is ended when stackd stops its stack",
                pid,
                proc.command(pid),
            )
        self._told = found

    async def end(self, grace: float = GRACE) -> list[int]:
        """End all that are left when every service is down; returns those that could not be ended."""
        for pid in self._living(self._children()):
            log.info("pid %d (%s) is left: ending it", pid, proc.command(pid))
        await self._send(signal.SIGTERM, grace)
        await self._send(signal.SIGKILL, PATIENCE)
        return self._living(self._children())

    def _living(self, pids: list[int]) -> list[int]:
        # The others are about to be reaped.
        return [pid for pid in pids if (told := proc.stat(pid)) and not told.ended]

    async def _send(self, number: int, patience: float) -> None:
        """Signal them, and what they leave behind when they end, until none is there."""
        sent: set[int] = set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while there := self._living(self._children()):
                    for pid in set(there) - sent:
                        with contextlib.suppress(ProcessLookupError, PermissionError):
                            os.kill(pid, number)  # our own child: nobody else can have its pid
                    sent |= set(there)
                    self._ended.clear()
                    await self._ended.wait()
