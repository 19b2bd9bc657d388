"""What the processes of services use: processor time and memory, as psutil reads them from /proc.

A look at one process takes some 50 us, and there may be thousands of them, while the loop has other things
to do. So it is done only when somebody asks, once for all who ask within a moment, and in slices.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING

import msgspec

from supervisor_stack.control import messages
from supervisor_stack.core.state import Service

if TYPE_CHECKING:
    import psutil

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
        self._known: dict[str, dict[int, psutil.Process]] = {}
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

    def processes(self, name: str) -> tuple[messages.Process, ...]:
        """The processes of a service one by one, as they are now."""
        found = []
        for process in self._look_at(name):
            try:
                with process.oneshot():
                    told = messages.Process(
                        pid=process.pid,
                        parent=process.ppid(),
                        command=" ".join(process.cmdline()) or process.name(),
                        cpu_percent=process.cpu_percent(),
                        memory_bytes=process.memory_info().rss,
                    )
            except _gone():
                continue
            found.append(told)
        return tuple(found)

    def forget(self, services: Collection[str]) -> None:
        """Keep nothing for all but these."""
        for name in self._usage.keys() - services:
            del self._usage[name]
            self._known.pop(name, None)

    def _take_some(self) -> None:
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
        waiting, self._waiting = self._waiting, []
        for needed, then in waiting:
            if needed.isdisjoint(self._due):
                then()
            else:
                self._waiting.append((needed, then))

    def _take(self, name: str) -> None:
        service = self._services.get(name)
        if service is None or not _exists(service):
            return
        count, cpu, memory = 0, 0.0, 0
        for process in self._look_at(name):
            try:
                cpu += process.cpu_percent()
                memory += process.memory_info().rss
                count += 1
            except _gone():
                continue
        if count:
            now = self._loop.time()
            self._usage[name] = Usage(now, service.pid, count, round(cpu, 1), memory)
        else:
            self._usage.pop(name, None)  # and the next who asks has it looked at again

    def _look_at(self, name: str) -> Iterator[psutil.Process]:
        try:
            import psutil  # 30 ms that the start of the services should not wait for
        except (ImportError, OSError):
            return  # no descriptors left; the import system then finds no module
        before, known = self._known.get(name, {}), {}
        for pid in self._pids(name):
            process = before.get(pid)
            try:
                if process is None or not process.is_running():
                    process = psutil.Process(pid)
            except _gone():
                continue
            known[pid] = process
            yield process
        self._known[name] = known


def _exists(service: Service) -> bool:
    return service.pid is not None or bool(service.others)


def _gone() -> tuple[type[Exception], ...]:
    """What psutil raises of a process that ended meanwhile, or is not ours to look into, and what comes when
    no descriptors are left."""
    import psutil

    return psutil.Error, OSError
