"""The supervisor killed under load, at random instants, and started again as systemd would.

    python -m benchmarks.supervisor_death [--rounds N] [--seconds S] [--seed N] [--supervisor NAME...]
        [--case NAME...] [--restart-sec S] [--no-rotate] [--no-store] [--out FILE]

Per round something is begun (deaths.py), SIGKILL comes at a random moment, and after --restart-sec, as long
as systemd waits (RestartSec=), the same command is started again. Meanwhile 200 requests per second with new
connections, and a service that writes 5000 numbered lines per second. What is to hold: no request fails, no
service is started that had not crashed, none twice, no line is lost. As root, since each server runs as a
user of its own. With PEERS (see peers/) supervisord and circus are measured too: with nothing under way, and
started anew for each round, as they do not heal.
"""

from __future__ import annotations

import argparse
import os
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path

from benchmarks.bystander import counts
from benchmarks.death import die
from benchmarks.death_report import Deaths, save, show
from benchmarks.deaths import NOTHING, UNDER_WAY, UnderWay
from benchmarks.descriptor_store import DescriptorStore
from benchmarks.figures import machine
from benchmarks.numbered import Lines, LogReader
from benchmarks.site import Site, installed_site
from benchmarks.supervised import Supervised, installed

FIRST_PORT = 21600
# After so many rounds in a row without recovery there is nothing more to learn.
HOPELESS = 3
PEER_ROUNDS = 3


class Life:
    """A supervisor from its start to its last stop, with all lines that the writer writes meanwhile."""

    def __init__(self, supervised: Supervised, deaths: Deaths) -> None:
        self.supervised = supervised
        self._deaths = deaths
        self._folder = supervised.site.folder / "log"
        for old in self._folder.glob("writer.*"):
            old.unlink()
        self._lines = Lines()
        self._reader = LogReader(self._folder / "writer.log")

    def read_on(self) -> None:
        """Read what was written so far, before a rotation deletes it."""
        for text in self._reader.read_on():
            self._lines.feed(text)

    def end(self) -> None:
        """Stop everything, and judge the lines."""
        self._deaths.after_stop += self.supervised.stop()
        self.read_on()
        self._reader.close()
        self._deaths.lines.append(self._lines.verdict(counts(self._folder)))


def rounds_of(cases: list[UnderWay], rounds: int, seconds: float) -> Iterator[UnderWay]:
    """What is under way, in turn: so often, or for so long."""
    until = time.monotonic() + seconds
    for number, case in enumerate(cycle(cases)):
        if (time.monotonic() > until) if seconds else (number >= rounds):
            return
        yield case


def measure(
    supervised: Supervised, deaths: Deaths, cases: Iterator[UnderWay], seed: int, restart_sec: float
) -> None:
    """All rounds of one supervisor. What did not heal is started anew."""
    chance = random.Random(seed)  # noqa: S311 - it has to be the same again
    life: Life | None = None
    try:
        for case in cases:
            if life is None:
                life = Life(supervised, deaths)
                supervised.start()
            found = die(supervised, case, chance, restart_sec)
            deaths.rounds.append(found)
            print(deaths.last(), flush=True)
            life.read_on()
            if found.settled is None or found.wrong:
                life.end()
                life = None
                last = deaths.rounds[-HOPELESS:]
                if supervised.is_stackd and len(last) == HOPELESS and not any(each.settled for each in last):
                    return
    finally:
        if life:
            life.end()


def main() -> None:
    """Measure stackd, then its peers."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.supervisor_death")
    names = [case.name for case in UNDER_WAY]
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=0.0, help="so long, however many rounds that are")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))  # noqa: S311
    parser.add_argument("--supervisor", nargs="+", choices=installed(), default=installed())
    parser.add_argument("--case", nargs="+", choices=names, default=names)
    parser.add_argument("--restart-sec", type=float, default=0.5, help="from the death to the next start")
    parser.add_argument("--no-rotate", action="store_true", help="the writer's log is one file")
    parser.add_argument("--no-store", action="store_true", help="as without systemd's descriptor store")
    parser.add_argument("--out", type=Path, help="a file for everything that was measured, as JSON")
    options = parser.parse_args()
    machine()
    print(f"--seed {options.seed}")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its bytecode
    results: list[Deaths] = []
    with installed_site(FIRST_PORT) as site:
        # Room for all who wait while nobody answers.
        site.edit("br_api.conf", ("  1024", "  8192"), ("worker_processes  1", "worker_processes  2"))
        try:
            for name in options.supervisor:
                results.append(Deaths(name))
                run(site, results[-1], options)
                if options.out:
                    save(options.out, options.seed, results)
        finally:
            show(results)


def run(site: Site, deaths: Deaths, options: argparse.Namespace) -> None:
    """Measure one supervisor."""
    with ExitStack() as stack:
        is_stackd = deaths.supervisor == "stackd"
        store = stack.enter_context(DescriptorStore(site.folder, not options.no_store)) if is_stackd else None
        supervised = Supervised(deaths.supervisor, site, beside=True, store=store)
        if is_stackd:
            supervised.rotates = not options.no_rotate and supervised.takes_rotation()
            deaths.rotates = supervised.rotates
            cases = rounds_of(
                [case for case in UNDER_WAY if case.name in options.case], options.rounds, options.seconds
            )
        else:
            cases = rounds_of([NOTHING], min(options.rounds, PEER_ROUNDS), 0.0)
        measure(supervised, deaths, cases, options.seed, options.restart_sec)


if __name__ == "__main__":
    main()
