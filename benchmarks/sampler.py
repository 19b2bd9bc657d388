"""Looks at all processes of a site again and again, and remembers who was a main process, and when."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks import census
from benchmarks.census import Census, Process

# Seconds. A look takes two milliseconds, on a core that the servers want too.
PAUSE = 0.03
# For how long the main process of before may finish its requests beside the new one.
HAND_OVER = 10.0

# A process and the clock tick of its start: together they are never another one's.
Identity = tuple[int, int]


@dataclass
class Life:
    """A main process as it was seen: from when to when, in monotonic seconds."""

    process: Process
    first: float
    last: float


class Lives:
    """The main processes that were seen, by identity; and which were there when it began."""

    def __init__(self, begin: Census, at: float) -> None:
        self.lives: dict[Identity, Life] = {}
        self.overlaps: dict[str, float] = {}
        self._since: dict[str, float] = {}
        self.take(begin, at)
        self.before = frozenset(self.lives)

    def take(self, found: Census, at: float) -> None:
        """Take in what is there at a moment."""
        mains: dict[str, int] = {}
        for each in found.mains:
            life = self.lives.setdefault((each.pid, each.started), Life(each, at, at))
            life.last = at
            mains[each.role] = mains.get(each.role, 0) + 1
        for role in [*self._since]:
            if mains.get(role, 0) < 2:
                del self._since[role]
        for role, number in mains.items():
            if number > 1:
                # One look is no proof: they are looked at one after the other, and one may go meanwhile.
                since = self._since.setdefault(role, at)
                self.overlaps[role] = max(self.overlaps.get(role, 0.0), at - since)

    def new(self) -> dict[str, int]:
        """How many main processes each service got that were not there at the beginning."""
        found: dict[str, int] = {}
        for identity, life in self.lives.items():
            if identity not in self.before:
                found[life.process.role] = found.get(life.process.role, 0) + 1
        return found

    def unexpected(self, allowed: Mapping[str, int]) -> dict[str, int]:
        """How many of them are too many; `allowed`: how many a service may get."""
        too_many = {role: number - allowed.get(role, 0) for role, number in self.new().items()}
        return {role: number for role, number in too_many.items() if number > 0}

    def duplicates(self, hands_over: Iterable[str]) -> tuple[str, ...]:
        """Services of which two main processes lived at the same time, for longer than they may."""
        longest = dict.fromkeys(hands_over, HAND_OVER)
        return tuple(
            role for role, seconds in sorted(self.overlaps.items()) if seconds > longest.get(role, 0.0)
        )


class Sampler:
    """Looks as long as its context lasts. `lives` is complete after it."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.lives = Lives(census.take(folder), clock())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._end.wait(PAUSE):
            self.lives.take(census.take(self._folder), self._clock())
