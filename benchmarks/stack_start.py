"""From starting a supervisor to the whole stack up, and to a page that asks the database.

    python -m benchmarks.stack_start [ROUNDS]

In each round, one after the other: stackd in strict order, stackd with `parallel = true`, the script
ideal_start.py, which starts each server the moment that what it needs answers, and each server alone by
hand, to its first answer in its own protocol. The data directory is warm, and the one-shot `migrate` of
the example is left out.

Up is the stack when each server has answered in its own protocol; the page is HTTP 200 through nginx.
The ratios at the end: strict order to the script, and parallel to the slowest server alone, which
nothing that starts all of them can beat.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from benchmarks import ideal_start
from benchmarks.figures import machine, row
from benchmarks.site import CONVERSATIONS, HOST, ROOT, STACKD, Site, ended, installed_site, stackd

FIRST_PORT = 21500
PATIENCE = 60.0
Run = Callable[[], AbstractContextManager[subprocess.Popen[bytes]]]
STRICT, PARALLEL, BY_HAND = "stackd, strict order", "stackd, parallel", "by hand, strict order"


def describe(site: Site) -> list[ideal_start.Service]:
    """The four servers as the script knows them."""
    return [
        {"name": server.name, "argv": server.argv, "env": server.env, "cwd": str(site.folder)}
        | {"user": server.user, "group": server.user, "needs": server.needs, "stop": server.stop}
        | {"address": [HOST, site.ports[server.name]]}
        | {"say": CONVERSATIONS[server.name][0].hex(), "hear": CONVERSATIONS[server.name][1].hex()}
        for server in site.servers()
    ]


@contextmanager
def by_hand(services: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The site under the script."""
    argv = [sys.executable, str(ROOT / "benchmarks/ideal_start.py"), str(services)]
    with ended(subprocess.Popen(argv)) as process:
        yield process


def alone(service: ideal_start.Service) -> float:
    """Milliseconds from the start of one server to its first answer, with nothing else running."""
    begun = time.monotonic()
    process = ideal_start.start(service)
    try:
        while not ideal_start.answers(service):
            assert process.poll() is None, f"{service['name']} ended"
            time.sleep(0.001)
        return (time.monotonic() - begun) * 1000
    finally:
        ideal_start.stop(service, process)


def together(site: Site, run: Run) -> tuple[float, float]:
    """Milliseconds from the start of a supervisor until the stack is up, and until the page is there."""
    begun = time.monotonic()
    with run() as process:
        for server in site.ports:
            while not site.answers(server):
                assert time.monotonic() < begun + PATIENCE, f"{server} does not answer"
                time.sleep(0.001)
        up = time.monotonic()
        site.wait_for("/db", process, PATIENCE)
        return (up - begun) * 1000, (time.monotonic() - begun) * 1000


def main() -> None:
    """All in turn, so that a busy moment hits all of them."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    machine()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its bytecode
    with installed_site(FIRST_PORT) as site:
        services = describe(site)
        described, parallel = site.folder / "ideal.json", site.folder / "parallel.toml"
        described.write_text(json.dumps(services))
        strict = (site.folder / "stackd.toml").read_text()
        parallel.write_text(strict.replace("[stack]\n", "[stack]\nparallel = true\n"))
        for config in ("stackd.toml", parallel.name):
            # Or a file that stackd does not take would look like a stack that does not come up.
            subprocess.run([*STACKD, "--check", "-c", str(site.folder / config)], cwd=ROOT, check=True)
        runs: dict[str, Run] = {
            STRICT: lambda: stackd(site),
            PARALLEL: lambda: stackd(site, parallel.name),
            BY_HAND: lambda: by_hand(described),
        }
        up: dict[str, list[float]] = {name: [] for name in runs}
        page: dict[str, list[float]] = {name: [] for name in runs}
        single: dict[str, list[float]] = {service["name"]: [] for service in services}
        for _ in range(rounds):
            for name, run in runs.items():
                for figures, value in zip((up, page), together(site, run), strict=True):
                    figures[name].append(value)
            for service in services:
                single[service["name"]].append(alone(service))
    for what, figures in (("up", up), ("first database page", page), ("alone", single)):
        for name, values in figures.items():
            row(f"{what}: {name}", values)
    slowest = max(single.values(), key=statistics.median)
    for what, figures in (("up", up), ("first database page", page)):
        print(f"{what}: strict order {ratio(figures[STRICT], figures[BY_HAND])} times the script")
        print(f"{what}: parallel {ratio(figures[PARALLEL], slowest)} times the slowest server alone")


def ratio(values: list[float], base: list[float]) -> str:
    """Of the medians."""
    return f"{statistics.median(values) / statistics.median(base):.2f}"


if __name__ == "__main__":
    main()
