"""A Keeper of copies, for services that run in the test's own loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from supervisor_stack.daemon import launch
from supervisor_stack.daemon.checks import Checks
from supervisor_stack.daemon.kept import Keeper
from supervisor_stack.daemon.marks import Marks
from supervisor_stack.daemon.process import Process, Processes
from supervisor_stack.daemon.signals import number
from supervisor_stack.kinds.base import Kind
from supervisor_stack.spec import CheckReport, ServiceSpec
from tests.kinds.real import given_on_disk
from tests.servers import DEADLINE


class Bench:
    """One service and its Keeper. What the service prints is in `output`, beside its configuration."""

    def __init__(self, spec: ServiceSpec) -> None:
        self.spec = spec
        self.folder = Path(spec.config).parent
        self.copy = self.folder / "kept" / f"{spec.name}.conf"
        self._processes = Processes(asyncio.get_running_loop())
        self._checks = Checks(self._processes, os.environ, str(self.folder), Marks(str(self.folder)))
        self.keeper = Keeper(self.copy.parent, self._checks.run_beside, self._processes)

    async def report(self) -> CheckReport | None:
        """What the service's own configuration test tells, where it has one."""
        if self.spec.check is None:
            return None
        tested = await self._checks.test(self.spec, 1, self.spec.check)
        assert tested.ok, tested.evidence
        return tested.report

    async def keep(self) -> str:
        """Note and keep, as for a run that read the files and proved them good."""
        self.keeper.note(self.spec, 1, await self.report())
        return await self.keeper.keep(self.spec, 1)

    @asynccontextmanager
    async def running(
        self, argv: tuple[str, ...], is_up: Callable[[], Awaitable[bool]]
    ) -> AsyncIterator[Process]:
        """The service, once it is up, and its end."""
        ended = asyncio.Event()
        with (self.folder / "output").open("wb") as output:
            process = self._processes.spawn(
                argv,
                lambda _: ended.set(),
                env=launch.environment(self.spec, launch.inherited(os.environ), {}, ""),
                cwd=self.spec.cwd,
                stdout=output,
            )
        try:
            async with asyncio.timeout(DEADLINE):
                while not await is_up():
                    assert not ended.is_set(), (self.folder / "output").read_text()
                    await asyncio.sleep(0.005)
            yield process
        finally:
            process.signal(number(self.spec.stop_signal))
            async with asyncio.timeout(DEADLINE):
                await ended.wait()


def spec_of(kind: Kind, config: Path, binary: str) -> ServiceSpec:
    """The service, as stackd makes it of its configuration."""
    facts = kind.learn(given_on_disk(config, binary))
    assert facts.problems == ()
    style: Any = kind.name
    return ServiceSpec(
        name=kind.name,
        argv=facts.argv,
        config=str(config),
        copy=style,
        check=facts.check,
        env=kind.env,
        cwd=str(config.parent),
        stop_signal=kind.stop_signal,
    )


def on_bench(spec: ServiceSpec, scenario: Callable[[Bench], Awaitable[None]]) -> None:
    """Play a scenario to its end."""

    async def play() -> None:
        await scenario(Bench(spec))

    asyncio.run(play())
