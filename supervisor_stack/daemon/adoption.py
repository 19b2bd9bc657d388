"""Finding again what an earlier stackd has left running.

What was written down says what there should be; the processes say what there is, and they count for
more. One that was made in the moment in which stackd died is not written down, and the file of a service
may be damaged: both are found by the marks that every process of a run carries.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import NamedTuple

import msgspec

from supervisor_stack.core import events as ev
from supervisor_stack.core.state import DOWN, Service, State
from supervisor_stack.daemon import launch, oom, proc
from supervisor_stack.daemon.archive import Saved, SavedRun
from supervisor_stack.daemon.fd_store import name_of
from supervisor_stack.daemon.perform import Performer
from supervisor_stack.daemon.process import Process
from supervisor_stack.daemon.runs import Run
from supervisor_stack.errors import SpawnError
from supervisor_stack.spec import ServiceSpec

log = logging.getLogger(__name__)


class Found(NamedTuple):
    """The services as they were, and what there is of them now."""

    records: tuple[Service, ...]
    facts: tuple[ev.Event, ...]


def adopt(shell: Performer, saved: Iterable[Saved], specs: Mapping[str, ServiceSpec], now: float) -> Found:
    """Take up all that is there. Raises OSError when no descriptors are left."""
    known = {each.record.name: each for each in saved}
    for spec in (*specs.values(), *(each.record.spec for each in known.values())):
        with contextlib.suppress(SpawnError):  # the system has forgotten its user, who has no processes then
            shell.marks.trust(spec.name, launch.identity(spec).user)
    leaders = shell.members.leaders()
    shell.keeper.recall(known)
    found: list[_Adoption] = []
    for name in sorted(known.keys() | leaders.keys()):
        marked = leaders.get(name, {})
        record = known[name].service if name in known else _unknown(name, marked, specs.get(name), now)
        one = _Adoption(shell, record, known[name].runs if name in known else {}, marked)
        files = {each.address: each.file for each in known[name].held} if name in known else {}
        shell.held.restore(name, files, shell.runs.pids(name))
        if name in known and known[name].files and one.has_read:
            shell.watcher.recall(name, known[name].files)
        found.append(one)
    if any(each.ended for each in found):
        shell.outputs.settle()  # their last words are the reason of their end
    return Found(tuple(each.record for each in found), tuple(fact for each in found for fact in each.facts()))


class _Adoption:
    """One service: `record` is made true, and `facts` say what there is. `ended`: the main processes that
    were there and are gone, by run."""

    def __init__(
        self, shell: Performer, record: Service, runs: Mapping[int, SavedRun], leaders: Mapping[int, int]
    ) -> None:
        self._shell = shell
        self._spec = record.spec
        self._alive: dict[int, Process] = {}
        runs = {number: saved for number, saved in runs.items() if saved.pid > 0}  # nobody writes others
        self._take_up(runs, leaders)
        self.record = self._corrected(record, leaders.keys())
        self.ended = self._ended(runs)
        shell.checks.recall(record.name, record.report)
        self._listen()
        self._read_output()

    @property
    def has_read(self) -> bool:
        """Whether its files count as it, or its last try, has read them. Else it is about to read them."""
        record = self.record
        if record.state in (State.BACKOFF, State.FAILED):
            return True
        if record.state is State.RELOADING:
            return record.successor is not None and record.successor.run in self._alive
        return record.state in (State.STARTING, State.RUNNING) and record.run in self._alive

    def facts(self) -> Iterator[ev.Event]:
        """In the order in which they are to be told."""
        yield self._adopted()
        for number, saved in self.ended.items():
            gone = Process(saved.pid, -1, lambda _: None)
            gone.end(None)
            run = self._run(number, saved)
            run.process, run.kernel_kills = gone, saved.kernel_kills
            yield self._shell.runs.end_of(run, gone)

    def _take_up(self, runs: Mapping[int, SavedRun], leaders: Mapping[int, int]) -> None:
        for number, saved in runs.items():
            self._hold(number, saved)
        # Of one that is written down and gone, only those are left that it has started.
        for number in leaders.keys() - runs.keys():
            pid = leaders[number]
            found = proc.stat(pid) if pid else None
            self._hold(number, SavedRun(pid, found.started if found else 0, kernel_kills=oom.kills()))

    def _hold(self, number: int, saved: SavedRun) -> None:
        run = self._run(number, saved)
        shell = self._shell

        def exited(process: Process) -> None:
            shell.exited(run, process)

        process = shell.processes.adopt(saved.pid, saved.start, exited) if saved.start else None
        # What it has left behind, when it is gone itself, is found by its session as well.
        shell.members.adopt(self._spec.name, number, saved.pid, saved.start)
        if process is not None:
            self._alive[number] = process
            shell.runs.adopt(run, saved, process)
        else:
            shell.runs.recall_left_behind(self._spec.name, number, saved)

    def _run(self, number: int, saved: SavedRun) -> Run:
        return Run(self._spec, number, saved.marks)

    def _corrected(self, record: Service, marked: AbstractSet[int]) -> Service:
        """What is there and was not written down. Marks alone do not displace what is."""
        newest = max(self._alive, default=0)
        is_lost = record.run not in self._alive and newest > record.last_run
        if is_lost or (record.run in self._alive and record.state in DOWN):
            log.warning("%s: found run %d, of which nothing was written down", record.name, newest)
            others = tuple({*record.others, record.run} & self._alive.keys() - {newest})
            state = State.STARTING if record.wanted else State.STOPPING
            record = msgspec.structs.replace(
                record,
                state=state,
                run=newest,
                last_run=newest,
                pid=None,
                ready=False,
                successor=None,
                others=others,
                times=None,
            )
        mine = {record.run, record.successor.run if record.successor else 0, *record.others}
        strangers = tuple(sorted((self._alive.keys() | marked) - mine))
        gone = {number for number in record.others if number not in self._alive and not self._left(number)}
        others = tuple(number for number in record.others if number not in gone)
        last = max((record.last_run, *strangers))
        return msgspec.structs.replace(record, others=(*others, *strangers), last_run=last)

    def _left(self, number: int) -> list[int]:
        return self._shell.members.left_by(self._spec.name, number)

    def _adopted(self) -> ev.Event:
        record = self.record
        successor = self._alive.get(record.successor.run) if record.successor else None
        present = self._alive.get(record.run)
        return ev.Adopted(
            service=record.name,
            pid=present.pid if present else None,
            successor_pid=successor.pid if successor else None,
        )

    def _ended(self, runs: Mapping[int, SavedRun]) -> dict[int, SavedRun]:
        record = self.record
        expected = [(record.run, record.pid)]
        if record.successor:
            expected.append((record.successor.run, record.successor.pid))
        return {
            number: runs.get(number, SavedRun(pid, 0))
            for number, pid in expected
            if pid is not None and number not in self._alive
        }

    def _listen(self) -> None:
        """Hear on what it tells of itself."""
        spec, present = self._spec, self._alive.get(self.record.run)
        if present and (spec.notify or spec.tells_ready):
            self._shell.notifications.adopt(spec.name, self.record.run, present.pid)

    def _read_output(self) -> None:
        """Move on what it has printed meanwhile. Its main process may be gone, and another hold the pipe."""
        spec, shell = self._spec, self._shell
        if spec.log.to == "file":
            kept = shell.store.take(name_of("output", spec.name))
            shell.outputs.adopt(spec, shell.runs.newest_pid(spec.name), kept)


def _unknown(name: str, runs: Mapping[int, int], spec: ServiceSpec | None, now: float) -> Service:
    """A service of which only the processes are known: its newest run has to show that it is ready."""
    newest = max(runs, key=lambda run: (runs[run] > 0, run))
    pid = runs[newest]
    log.warning("%s: nothing is written down of it, but run %d is there (pid %d)", name, newest, pid)
    spec = spec or ServiceSpec(name=name, argv=tuple(proc.command(pid).split()) or ("unknown",))
    others = tuple(sorted(runs.keys() - {newest}))
    return Service(
        spec=msgspec.structs.replace(spec, check=None),
        # Without its main process the others are of no use to anybody.
        state=State.STARTING if pid else State.KILLING,
        wanted=True,
        again=not pid,
        run=newest,
        last_run=max(runs),
        others=others,
        since=now,
        started=now,
    )
