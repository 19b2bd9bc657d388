"""The load (load.py) as seen by who measures: start it, end it, and count what became of the requests."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.load import Result
from benchmarks.site import ROOT


class Load:
    """A running load generator. Sending has begun when the constructor returns; it ends with its context."""

    def __init__(self, out: Path, urls: Sequence[str], *options: str) -> None:
        self._out = out
        argv = [sys.executable, "-m", "benchmarks.load", "--out", str(out), *options, *urls]
        self._process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"sending\n", "the load generator does not start"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.__exit__(kind, error, trace)

    def stop(self) -> list[Result]:
        """Send no more, wait for what is under way, and return all results."""
        self._process.terminate()
        return self.wait()

    def wait(self) -> list[Result]:
        """Wait until a load with --count is through, and return all results."""
        assert self._process.wait() == 0, "the load generator failed"
        return [Result(**json.loads(line)) for line in self._out.read_text().splitlines()]


@dataclass(frozen=True)
class Count:
    """What became of some requests; times in seconds.

    `gap`: the longest time without a request that ended well. `wait`: the longest that one took, well
    ended or not. `late`: the most by which the generator itself was behind its schedule.
    """

    sent: int
    failed: dict[str, int]
    gap: float
    wait: float
    late: float


def tally(results: Iterable[Result]) -> Count:
    """Count the results of one load."""
    results = sorted(results, key=lambda each: each.done)
    assert results, "nothing was sent"
    ends = [min(each.due for each in results)]
    ends += [each.done for each in results if each.kind == "ok"]
    ends.append(max(each.done for each in results))
    return Count(
        sent=len(results),
        failed=dict(Counter(each.kind for each in results if each.kind != "ok")),
        gap=max(after - before for before, after in pairwise(ends)),
        wait=max(each.done - each.due for each in results),
        late=max(each.late for each in results),
    )
