"""Visitors who keep coming while something happens to the site: 200 requests a second, none put off."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


class Visits:
    """What became of the requests. `failed`: how often each kind of failure, by name."""

    def __init__(self) -> None:
        self.sent = 0
        self.failed: Counter[str] = Counter()
        self.longest = 0.0

    def count(self, line: str) -> None:
        """Take in one result of benchmarks.load."""
        result = json.loads(line)
        self.sent += 1
        self.longest = max(self.longest, result["done"] - result["due"])
        if result["kind"] != "ok":
            self.failed[result["kind"]] += 1


@contextmanager
def visitors(*urls: str, rate: int = 200) -> Iterator[Visits]:
    """Ask for these pages in turn until the block ends; the visits are complete after it."""
    visits = Visits()
    with tempfile.NamedTemporaryFile() as out:
        argv: Sequence[str] = (
            sys.executable,
            "-m",
            "benchmarks.load",
            "--rate",
            str(rate),
            "--out",
            out.name,
        )
        load = subprocess.Popen((*argv, *urls), cwd=ROOT, stdout=subprocess.PIPE)
        try:
            assert load.stdout is not None
            assert load.stdout.readline() == b"sending\n"
            yield visits
        finally:
            load.terminate()
            load.communicate(timeout=60)
        for line in out:
            visits.count(line.decode())
    assert visits.sent
