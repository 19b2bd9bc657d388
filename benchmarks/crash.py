"""One round of the kill matrix: hit the site under load, and watch until it is whole again."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from benchmarks import census
from benchmarks.bare_redis import bare_start
from benchmarks.cases import LONG_REQUEST_MS, NO_DATABASE, Case
from benchmarks.census import Process
from benchmarks.load import Result
from benchmarks.site import HOST, Site
from benchmarks.traffic import Count, Load, tally

# Under load before the crash, and after the site is whole, for what comes late.
LEAD, TAIL = 0.5, 0.5
# How long a process that lost its master may take to finish and leave.
GRACE = 2.0
ANSWER = 2.0
# supervisord and circus never find a stopped process, so waiting for them is only bounded.
PATIENCE = {signal.SIGKILL: 30.0, signal.SIGSTOP: 10.0}


@dataclass(frozen=True)
class Round:
    """What one crash has cost; times in seconds from the signal on.

    `healed`: until every server had a live main process with its workers, nothing of an older nginx
    accepted requests, and the pages came; None: not in time, for `problem`. `answered`: until the
    server that was hit spoke again; `bare`: the same for one that is started by hand. `failures`: when a
    request was due, which one, and how it ended.
    """

    healed: float | None
    problem: str
    answered: float | None
    bare: float | None
    load: Count
    without_database: Count
    ports: Count | None
    failures: tuple[tuple[float, str, str], ...]
    long_request: str
    leftovers: tuple[str, ...]


def crash(site: Site, case: Case) -> Round:
    """Carry out one round on a site that is whole."""
    long_url, log = site.url(f"/slow?ms={LONG_REQUEST_MS}"), site.folder / "log"
    ports = [f"mysql://{HOST}:{site.ports[server]}" for server in case.ports]
    with ExitStack() as loads:
        start = loads.enter_context
        long_request = (
            start(Load(log / "long.jsonl", [long_url], "--count", "1")) if case.long_request else None
        )
        load = start(Load(log / "load.jsonl", [site.url(page) for page in case.pages]))
        prober = start(Load(log / "ports.jsonl", ports)) if ports else None
        time.sleep(LEAD)
        bare = bare_start(site) if case.bare else None
        victims = [each for each in case.victims(census.take(site.folder)) if each]
        assert victims, f"{case.name}: there is nobody to hit"
        begun = hit(victims, case.number)
        deadline = begun + PATIENCE[case.number]
        answered = until_answered(site, case.answer, deadline) if case.answer else None
        whole, problem = until_whole(site, case, deadline)
        if whole is None and case.number == signal.SIGSTOP:
            # What hangs with them would keep the load from ending.
            for each in victims:
                with suppress(ProcessLookupError):
                    os.kill(each.pid, signal.SIGCONT)
        time.sleep(TAIL)
        results = load.stop()
        return Round(
            healed=whole and whole - begun,
            problem=problem,
            answered=answered and answered - begun,
            bare=bare,
            load=tally(results),
            without_database=tally(each for each in results if each.url == site.url(NO_DATABASE)),
            ports=tally(prober.stop()) if prober else None,
            failures=tuple(failures(results, begun)),
            long_request=long_request.wait()[0].kind if long_request else "",
            leftovers=leftovers(site),
        )


def hit(victims: Sequence[Process], number: signal.Signals) -> float:
    """Signal them; returns the time of the first signal when the last one has done its work."""
    ends = [os.pidfd_open(victim.pid) for victim in victims]
    begun = time.monotonic()
    for victim in victims:
        os.kill(victim.pid, number)
    # Nobody must take one that is dying, or about to stop, for one that is well.
    for victim, end in zip(victims, ends, strict=True):
        if number == signal.SIGKILL:
            select.select([end], [], [], ANSWER)
        while number == signal.SIGSTOP and not census.look(victim.pid).is_stopped:
            time.sleep(0.001)
        os.close(end)
    return begun


def until_answered(site: Site, server: str, deadline: float) -> float | None:
    """When a server speaks again, to a millisecond."""
    while time.monotonic() < deadline:
        if site.answers(server, ANSWER):
            return time.monotonic()
        time.sleep(0.001)
    return None


def until_whole(site: Site, case: Case, deadline: float) -> tuple[float | None, str]:
    """When the site is whole, to some ten milliseconds; or None, and what is wrong at the deadline."""
    while True:
        problem = census.take(site.folder).wrong() or wrong_answers(site, case)
        now = time.monotonic()
        if not problem:
            return now, ""
        if now > deadline:
            return None, problem
        # Looking takes two of these milliseconds, on a core that the servers want too.
        time.sleep(0.01)


def wrong_answers(site: Site, case: Case) -> str:
    """What does not answer as it should; empty when all do."""
    for server in ("mysqld", "redis"):
        if not site.answers(server, ANSWER):
            return f"{server} does not answer"
    return next((f"{page} does not come" for page in case.pages if not site.shows(page, ANSWER)), "")


def failures(results: Iterable[Result], begun: float) -> Iterator[tuple[float, str, str]]:
    """What failed, with its time relative to the crash."""
    for each in results:
        if each.kind != "ok":
            yield round(each.due - begun, 4), each.url, each.kind


def leftovers(site: Site) -> tuple[str, ...]:
    """What belongs to no live main process, once all had the time to leave."""
    deadline = time.monotonic() + GRACE
    while (found := census.take(site.folder).leftovers()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return tuple(map(str, found))
