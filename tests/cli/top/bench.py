"""Drives the screen by its keys, without a terminal, and reads what stands on it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic

from textual.pilot import Pilot

from supervisor_stack.cli.top.app import Top
from supervisor_stack.control.client import StackClient
from tests.cli.shop import DEADLINE

NEVER = 3600.0
"""An interval that does not come round: what is seen then was told by a notice."""


class Desk:
    """The screen in front of a person."""

    def __init__(self, app: Top, pilot: Pilot[None]) -> None:
        self.app = app
        self.pilot = pilot

    async def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        await self.pilot.press(*keys)

    def lines(self) -> list[str]:
        """What stands on the screen."""
        strips = self.app.screen._compositor.render_strips()
        return ["".join(segment.text for segment in strip).rstrip() for strip in strips]

    def text(self) -> str:
        """All of it."""
        return "\n".join(self.lines())

    def row(self, service: str) -> str:
        """The row of a service; "" when it is not to be seen."""
        return next((line for line in self.lines() if f"{line[1:]}  ".startswith(f"  {service}  ")), "")

    async def until(self, fact: Callable[[], object], what: str) -> None:
        """Wait until something is true of the screen."""
        end = monotonic() + DEADLINE
        while not fact():
            assert monotonic() < end, f"waited in vain: {what}\n{self.text()}"
            await self.pilot.pause(0.01)

    async def until_shown(self, *words: str) -> None:
        """Wait until these stand on the screen."""
        await self.until(lambda: all(word in self.text() for word in words), f"{words} are shown")

    async def until_gone(self, word: str) -> None:
        """Wait until this no longer stands on the screen."""
        await self.until(lambda: word not in self.text(), f"{word} is gone")


Scenario = Callable[[Desk], Awaitable[None]]


def at_desk(
    endpoint: str, scenario: Scenario, *, size: tuple[int, int] = (110, 30), interval: float = NEVER
) -> None:
    """Play a scenario at the screen of that stackd, and quit."""

    async def play() -> None:
        app = Top(lambda: StackClient(endpoint), interval)
        async with app.run_test(size=size) as pilot:
            desk = Desk(app, pilot)
            await desk.until(lambda: app.board.shown, "there are services")
            await pilot.pause()
            await scenario(desk)
            app.exit()
            # As in life: what is still told is handled before the widgets go.
            while app.is_running:  # noqa: ASYNC110  # textual sets no event for it
                await asyncio.sleep(0)

    asyncio.run(play())
