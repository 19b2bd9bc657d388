"""One death of a supervisor, under load: killed, started again, and watched."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks import census
from benchmarks.crash import failures, hit, leftovers
from benchmarks.deaths import HANDS_OVER, NOTHING, UnderWay
from benchmarks.sampler import Lives, Sampler
from benchmarks.site import Site
from benchmarks.supervised import Supervised
from benchmarks.traffic import Count, Load, tally
from supervisor_stack.control.client import Operation, StackClient
from supervisor_stack.control.messages import Start, Status
from supervisor_stack.control.parts import ServiceStatus
from supervisor_stack.errors import StackError

PAGES = ("/", "/db", "/static/site.css")
# Under load before something is begun, and after all is settled, for what comes late.
LEAD, TAIL = 0.3, 0.5
PAUSE = 0.005
# Until the services are adopted, and until all that was under way has come to its end.
PATIENCE = 20.0
# For how long a peer is watched, which adopts nobody. nginx gives up on a taken port after 2.5 s.
WATCH = 10.0
# For what takes its time and is only prepared, such as a start of all that a round has left stopped.
PREPARE = 60.0


@dataclass(frozen=True)
class Round:
    """What one death has cost; times in seconds.

    `offset`: from what was under way to the kill. `adopted`: from the exec of the next daemon until it
    answered and had all services that nothing was to happen to; `settled`: until all were as they should
    be; both None: not in time, for `problem`. `starts`: new main processes; `unexpected`: those of services
    that had not crashed and were not to be restarted, or that came too often. `forgotten`: what a service
    that went on has lost, such as its run number. `wrong`: what is not as it should be in the end.
    """

    case: str
    offset: float
    adopted: float | None
    settled: float | None
    problem: str
    starts: dict[str, int]
    unexpected: dict[str, int]
    duplicates: tuple[str, ...]
    overlaps: dict[str, float]
    forgotten: tuple[str, ...]
    wrong: tuple[str, ...]
    load: Count
    failures: tuple[tuple[float, str, str], ...]

    @property
    def is_good(self) -> bool:
        """Whether nobody noticed."""
        return self.settled is not None and not (
            self.load.failed or self.unexpected or self.duplicates or self.forgotten or self.wrong
        )


def die(supervised: Supervised, case: UnderWay, chance: random.Random, restart_sec: float) -> Round:
    """Carry out one round on a site that is whole."""
    site = supervised.site
    before = prepare(site, case) if supervised.is_stackd else {}
    urls = [site.url(page) for page in PAGES]
    with Load(site.folder / "log/load.jsonl", urls) as load, Sampler(site.folder) as sampler:
        time.sleep(LEAD)
        begun = time.monotonic()
        with begin(site, case):
            offset = chance.uniform(0, case.span)
            time.sleep(max(0.0, begun + offset - time.monotonic()))
            supervised.kill()
        killed = time.monotonic()
        if case.crash_later:
            crash(site.folder, case.crash_later)
        time.sleep(max(0.0, killed + restart_sec - time.monotonic()))
        executed = supervised.launch()
        adopted = settled = None
        forgotten: tuple[str, ...] = ()
        problem = ""
        if supervised.is_stackd:
            adopted, forgotten, problem = until_adopted(supervised, case, before, executed)
            settled, problem = until_settled(site, case, executed) if adopted else (None, problem)
        else:
            problem = watch_peer(supervised, restart_sec)
        time.sleep(TAIL)
        results = load.stop()
        wrong = tuple(strangers(supervised))
    lives: Lives = sampler.lives
    return Round(
        case=case.name,
        offset=killed - begun,
        adopted=adopted,
        settled=settled,
        problem=problem,
        starts=lives.new(),
        unexpected=lives.unexpected(case.runs),
        duplicates=lives.duplicates(HANDS_OVER),
        overlaps=lives.overlaps,
        forgotten=forgotten,
        wrong=wrong,
        load=tally(results),
        failures=tuple(failures(results, killed)),
    )


def endpoint(site: Site) -> str:
    """Where stackd listens."""
    return f"ipc://{site.folder}/run/control.sock"


def statuses(site: Site) -> dict[str, ServiceStatus]:
    """How stackd says that its services are. Raises StackError."""
    with StackClient(endpoint(site)) as client:
        return {each.name: each for each in client.request(Status()).services}


def prepare(site: Site, case: UnderWay) -> dict[str, ServiceStatus]:
    """Bring everything to where the round begins; returns how it is then."""
    carry_out(site, Start())
    settled, problem = until_settled(site, NOTHING, time.monotonic())
    assert settled, f"cannot prepare the round: {problem}"
    if case.first:
        carry_out(site, case.first)
    return statuses(site)


def carry_out(site: Site, request: Operation) -> None:
    """Ask for it, and wait until it is done."""
    with StackClient(endpoint(site)) as client:
        *_, last = client.operate(request, PREPARE)
    assert getattr(last, "ok", False), f"cannot prepare the round: {last}"


@contextmanager
def begin(site: Site, case: UnderWay) -> Iterator[None]:
    """Set going what is to be under way; who asked for it waits for the answer meanwhile."""
    if case.crash:
        crash(site.folder, case.crash)
    if case.ask is None:
        yield
        return
    with StackClient(endpoint(site)) as client:
        next(client.operate(case.ask))
        yield


def crash(folder: Path, roles: tuple[str, ...]) -> None:
    """SIGKILL for main processes of the site there."""
    found = census.take(folder)
    hit([main for role in roles if (main := found.main(role))], signal.SIGKILL)


def watch_peer(supervised: Supervised, restart_sec: float) -> str:
    """Let it do what it does, and start it again whenever it ends, as systemd would."""
    until, ends = time.monotonic() + WATCH, 0
    while time.monotonic() < until:
        if not supervised.is_running:
            ends += 1
            time.sleep(restart_sec)
            supervised.launch()
        time.sleep(PAUSE)
    if ends < 2:
        return "it starts everything again"
    last = supervised.said().strip().splitlines()[-1]
    return f"its own start fails, again and again: {last}"


def until_adopted(
    supervised: Supervised, case: UnderWay, before: dict[str, ServiceStatus], executed: float
) -> tuple[float | None, tuple[str, ...], str]:
    """When stackd answers and has all services that went on; what those have lost; what is missing."""
    deadline = executed + PATIENCE
    while True:
        try:
            now = statuses(supervised.site)
            at = time.monotonic()
            problem = next(missing(now, before, case.untouched), "")
        except StackError as error:
            problem, at = error.message, time.monotonic()
        if not supervised.is_running:
            return None, (), "stackd ended"
        if not problem:
            return at - executed, tuple(changes(now, before, case.untouched)), ""
        if at > deadline:
            return None, (), problem
        time.sleep(PAUSE)


def missing(
    now: dict[str, ServiceStatus], before: dict[str, ServiceStatus], untouched: frozenset[str]
) -> Iterator[str]:
    """Which services are not the ones that they were."""
    for name in sorted(untouched):
        if now[name].pid != before[name].pid:
            yield f"{name} was pid {before[name].pid}, is {now[name].state} ({now[name].reason})"
        elif now[name].state != "running" or not now[name].ready:
            yield f"{name} is {now[name].state}, not ready ({now[name].reason})"


def changes(
    now: dict[str, ServiceStatus], before: dict[str, ServiceStatus], untouched: frozenset[str]
) -> Iterator[str]:
    """What stackd does not know any more of services that went on."""
    for name in sorted(untouched):
        for key in ("run", "restarts", "wanted"):
            if getattr(now[name], key) != getattr(before[name], key):
                yield f"{name}: {key} was {getattr(before[name], key)}, is {getattr(now[name], key)}"
        if not now[name].adopted:
            yield f"{name}: not called adopted"


def until_settled(site: Site, case: UnderWay, since: float) -> tuple[float | None, str]:
    """When every service was in its state, and the site whole; or what was wrong at the deadline."""
    deadline = since + PATIENCE
    while True:
        try:
            problem = next(unsettled(statuses(site), case), "") or census.take(site.folder).wrong()
        except StackError as error:
            problem = error.message
        at = time.monotonic()
        if not problem:
            return at - since, ""
        if at > deadline:
            return None, problem
        time.sleep(PAUSE)


def unsettled(now: dict[str, ServiceStatus], case: UnderWay) -> Iterator[str]:
    """Which services are not in the state that was asked for."""
    for name, state in case.states.items():
        service = now[name]
        if service.state != state:
            yield f"{name} is {service.state}, not {state} ({service.reason})"
        elif state == "running" and not service.ready:
            yield f"{name} is not ready ({service.reason})"
        elif service.wanted != ("stopped" if state == "stopped" else "running"):
            yield f"{name} is wanted {service.wanted}"


def strangers(supervised: Supervised) -> Iterator[str]:
    """Who listens at a port of the site and is neither a server's process nor the supervisor."""
    found = census.take(supervised.site.folder)
    groups = {main.pid for role in found.roles if (main := found.main(role))}
    known = {each.pid for each in found.processes if each.group in groups} | {supervised.pid}
    names = {port: name for name, port in supervised.site.ports.items()}
    for connection in psutil.net_connections("tcp"):
        name = names.get(connection.laddr.port) if connection.laddr else None
        if name and connection.status == psutil.CONN_LISTEN and connection.pid not in known:
            yield f"a stranger listens at the port of {name}: {census.look(connection.pid or 0)}"
    for left in leftovers(supervised.site):
        yield f"left over: {left}"
