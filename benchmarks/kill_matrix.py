"""The example site under load, crashed in every way, under stackd and under its peers.

    python -m benchmarks.kill_matrix [--rounds N] [--supervisor NAME...] [--case NAME...] [--out FILE]

For each case and supervisor, so many times: 200 requests per second with new connections, a signal to
the victims, and a watch until the site is whole again (crash.py says what that means). As root, since
each server runs as a user of its own. With PEERS (see peers/) supervisord and circus are measured too.
"""

from __future__ import annotations

import argparse
import os
import signal
import time
from pathlib import Path

from benchmarks.cases import CASES, Case
from benchmarks.crash import crash, until_whole
from benchmarks.figures import machine
from benchmarks.kill_report import Outcome, save, show
from benchmarks.site import Site, installed_site
from benchmarks.supervised import Supervised, installed

FIRST_PORT = 21500
# After so many rounds in a row without recovery there is nothing more to learn.
HOPELESS = 3
# Seconds in which a site that was not whole in time may still get there; then the supervisor starts anew.
SETTLE = 3.0
# A round with a request of 8 s takes that long.
SELDOM = 5


def measure(site: Site, name: str, case: Case, rounds: int, often: bool) -> Outcome:
    """All rounds of a case under one supervisor. `often`: stopped services are looked for often."""
    site.edit("uwsgi.ini", ("threads=2", f"threads={1 if case.long_request else 2}"))
    rounds = -(-rounds // SELDOM) if case.long_request else rounds
    supervised = Supervised(name, site, probes=often and case.number == signal.SIGSTOP)
    outcome = Outcome(case, name)
    try:
        supervised.start()
        for _ in range(rounds):
            if until_whole(site, case, time.monotonic() + SETTLE)[0] is None:
                outcome.after_stop += supervised.stop()
                supervised.start()
            outcome.rounds.append(crash(site, case))
            last = outcome.rounds[-HOPELESS:]
            if len(last) == HOPELESS and not any(each.healed for each in last):
                break
    finally:
        outcome.after_stop += supervised.stop()
    return outcome


def main() -> None:
    """Measure case by case, the supervisors in turn, so that a busy hour hits all of them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kill_matrix")
    names = [case.name for case in CASES]
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--supervisor", nargs="+", choices=installed(), default=installed())
    parser.add_argument("--case", nargs="+", choices=names, default=names)
    parser.add_argument(
        "--default-probes", action="store_true", help="stackd: stopped services are found late"
    )
    parser.add_argument("--out", type=Path, help="a file for everything that was measured, as JSON")
    options = parser.parse_args()
    machine()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its bytecode
    outcomes: list[Outcome] = []
    with installed_site(FIRST_PORT) as site:
        # Two workers, so that one can be lost; and room for all who wait while nobody answers.
        site.edit("br_api.conf", ("worker_processes  1", "worker_processes  2"), ("  1024", "  8192"))
        cases = [case for case in CASES if case.name in options.case]
        try:
            for case in cases:
                for name in options.supervisor:
                    outcome = measure(site, name, case, options.rounds, not options.default_probes)
                    outcomes.append(outcome)
                    print(outcome.line(), flush=True)
                    if options.out:
                        save(options.out, outcomes)
        finally:
            show(outcomes)


if __name__ == "__main__":
    main()
