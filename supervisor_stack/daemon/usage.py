"""What the processes of services use: processor time and memory.

A look at one service takes some 50 us, and there may be thousands of them, while the loop has other things
to do. So it is done only when somebody asks, once for all who ask within a moment, and in slices.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

import msgspec

from supervisor_stack.control import parts
from supervisor_stack.core.state import Service
from supervisor_stack.daemon import proc

FRESH = 0.5
"""Seconds in which figures are not taken again: over a shorter time, a share of the processor is noise."""

STALE = 5.0
"""Seconds after which figures are not shown any more; younger ones are, while new ones are being taken."""

SLICE = 0.002
"""Seconds of looking at processes before the loop gets its turn."""


class Usage(msgspec.Struct, frozen=True):
    """What a service used `at` that monotonic second, when its main process was `pid`.

    `cpu_percent`: of one processor, since the look before; the first time 0.
    """

    at: float = float("-inf")
    pid: int | None = None
    processes: int = 0
    cpu_percent: float | None = None
    memory_bytes: int | None = None


_NOTHING = Usage()
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGESIZE")


class _Look(NamedTuple):
    """A process at a moment. `percent`: since the look before."""

    at: float
    seen: proc.Figures
    percent: float


class Meter:
    """Takes the figures of `services`, which are those of the stack; `pids` names the processes of one."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        services: Mapping[str, Service],
        pids: Callable[[str], list[int]],
    ) -> None:
        self._loop = loop
        self._services = services
        self._pids = pids
        self._usage: dict[str, Usage] = {}
        self._looks: dict[str, dict[int, _Look]] = {}
        self._due: dict[str, None] = {}
        self._waiting: list[tuple[set[str], Callable[[], None]]] = []
        self._is_taking = False

    def usage(self, service: Service) -> Usage:
        """The figures of a service as they were taken last."""
        return self._usage.get(service.name, _NOTHING) if _exists(service) else _NOTHING

    def read(self, names: Collection[str], then: Callable[[], None]) -> None:
        """Call `then` when the figures of these services may be shown: at once, if they are young enough or
        a slice is enough to take them."""
        now = self._loop.time()
        needed = set()
        for name in names:
            service = self._services[name]
            if not _exists(service):
                continue
            usage = self._usage.get(name, _NOTHING)
            if usage.pid != service.pid or now - usage.at > STALE:
                needed.add(name)
                self._due[name] = None
            elif now - usage.at > FRESH:
                self._due[name] = None
        self._waiting.append((needed, then))
        if self._is_taking:
            self._tell()
        else:
            self._take_some()

    def processes(self, name: str) -> tuple[parts.Process, ...]:
        """The processes of a service one by one, as they are now."""
        try:
            import psutil  # 30 ms that neither a start nor a table should wait for
        except (ImportError, OSError):
            return ()  # no descriptors left; the import system then finds no module
        found = []
        for pid, look in self._look_at(name).items():
            with contextlib.suppress(psutil.Error, OSError):  # it has ended since
                process = psutil.Process(pid)
                with process.oneshot():
                    told = parts.Process(
                        pid=pid,
                        parent=process.ppid(),
                        command=_printable(" ".join(process.cmdline()) or process.name()),
                        cpu_percent=round(look.percent, 1),
                        memory_bytes=process.memory_info().rss,
                    )
                found.append(told)
        return tuple(found)

    def forget(self, name: str) -> None:
        """Keep nothing for a service."""
        self._usage.pop(name, None)
        self._looks.pop(name, None)

    def _take_some(self) -> None:
        self._is_taking = False  # should this fail, the next who asks has it go on
        until = self._loop.time() + SLICE
        while self._due and self._loop.time() < until:
            name = next(iter(self._due))
            del self._due[name]
            self._take(name)
        self._is_taking = bool(self._due)
        if self._due:
            self._loop.call_soon(self._take_some)
        self._tell()

    def _tell(self) -> None:
        ready = [then for needed, then in self._waiting if needed.isdisjoint(self._due)]
        self._waiting = [(needed, then) for needed, then in self._waiting if not needed.isdisjoint(self._due)]
        for then in ready:
            then()

    def _take(self, name: str) -> None:
        service = self._services.get(name)
        if service is None or not _exists(service):
            return
        looks = self._look_at(name).values()
        if looks:
            self._usage[name] = Usage(
                at=self._loop.time(),
                pid=service.pid,
                processes=len(looks),
                cpu_percent=round(sum(look.percent for look in looks), 1),
                memory_bytes=sum(look.seen.pages for look in looks) * _PAGE,
            )
        else:
            self._usage.pop(name, None)  # and the next who asks has it looked at again

    def _look_at(self, name: str) -> dict[int, _Look]:
        now = self._loop.time()
        before = self._looks.get(name, {})
        try:
            pids = self._pids(name)
        except OSError:  # no descriptors left, and those of an adopted service have to be looked for
            return {}
        looks = self._looks[name] = {
            pid: _look(now, seen, before.get(pid)) for pid in pids if (seen := proc.figures(pid))
        }
        return looks


def _look(now: float, seen: proc.Figures, before: _Look | None) -> _Look:
    if before is None or before.seen.started != seen.started:
        return _Look(now, seen, 0.0)
    passed = now - before.at
    if passed < FRESH:  # somebody has just looked: counted in clock ticks, little time says nothing
        return _Look(before.at, before.seen._replace(pages=seen.pages), before.percent)
    return _Look(now, seen, (seen.ticks - before.seen.ticks) / _TICKS / passed * 100)


def _printable(words: str) -> str:
    """psutil lets bytes that are not UTF-8 through, which no message can carry."""
    return words.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _exists(service: Service) -> bool:
    return service.pid is not None or bool(service.others)
