"""Which processes belong to a service and to which of its runs, and how to be rid of them.

A run has a cgroup of its own where one is delegated to stackd (`cgroup`). What is in none of ours is looked
for by session and marks (`by_session`): everything where nothing is delegated, and else the runs that an
earlier stackd started without one, and what a probe left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from typing import NamedTuple

from supervisor_stack.daemon import proc
from supervisor_stack.daemon.by_session import Adopted, BySession
from supervisor_stack.daemon.cgroup import Cgroups
from supervisor_stack.daemon.ends import Ends
from supervisor_stack.daemon.marks import Marks, Owner
from supervisor_stack.daemon.process import Processes
from supervisor_stack.daemon.strays import GRACE, Strays

DECIDED = 0.005
"""Seconds after which a process that was executing something is looked at again."""


class Clearing(NamedTuple):
    """Waiting until nothing is left of one run of a service, or of all of them (`run` None).

    `kill`: and doing something for it. `main_is_gone`: whether the main processes are, which are not
    looked for here. `done` is called once.
    """

    service: str
    run: int | None
    kill: bool
    main_is_gone: Callable[[], bool]
    done: Callable[[], None]


class Place(NamedTuple):
    """What a run is started with so that it is found again: words before its command, and its standard
    input."""

    argv: tuple[str, ...]
    input: int


class Members:
    """Finds and ends the processes of services."""

    def __init__(self, processes: Processes, marks: Marks, cgroups: Cgroups | None = None) -> None:
        self._processes = processes
        self._marks = marks
        self._cgroups = cgroups
        self._by_session = BySession(processes.pids, marks)
        self._runs: dict[str, dict[int, int]] = {}
        self._clearings: dict[str, dict[int | None, Clearing]] = {}
        self._ends = Ends(self.look_again)
        self._strays = Strays(self._by_session.strays, self.unattributed)
        processes.reaped = self._reaped
        processes.stray_reaped = self._look_again
        if cgroups:
            cgroups.emptied = self._emptied

    @contextlib.contextmanager
    def place(self, service: str, run: int) -> Iterator[Place]:
        """For the start of a run. Raises SpawnError and OSError; nothing stays behind if that fails."""
        try:
            words = self._cgroups.make(service, run) if self._cgroups else ()
            fd = self._marks.open_input(service, run)
            try:
                yield Place(words, fd)
            finally:
                os.close(fd)
        except Exception:
            if self._cgroups:
                self._cgroups.remove(service, run)
            raise

    def enrol(self, service: str, run: int, pid: int) -> None:
        """The main process of a new run; its pid is also the number of its session."""
        self._by_session.enrol(Owner(service, run), pid)
        self._runs.setdefault(service, {})[run] = pid

    def adopt(self, service: str, run: int, pid: int, started: int) -> None:
        """A run that an earlier stackd has started. Its main process began at `started` (proc.Stat), and may
        be gone, or not be known (0): then the others are there to be cleared."""
        owner = Owner(service, run)
        inside = self._cgroups.pids(service, run) if self._cgroups else []
        if self._cgroups and inside:
            self._cgroups.watch(service, run)
        told = proc.stat(pid)
        is_there = told is not None and told.started == started
        if pid:
            in_cgroup = pid in inside if is_there else bool(inside)
            self._by_session.adopt(pid, Adopted(owner, started, in_cgroup))
        self._runs.setdefault(service, {})[run] = pid

    def leaders(self) -> dict[str, dict[int, int]]:
        """The main processes of this stack, by service and run, as far as cgroups and marks tell.

        The main process is the leader of a session and older than all others of its run. If it is gone, the
        oldest of its descendants that made a session of their own is taken for it; if there is none, a run
        with a cgroup has 0. For a start, when nothing is enrolled yet: empty cgroups are removed.
        """
        sessions = self._by_session.sessions()
        found: dict[Owner, tuple[int, int]] = {}
        for pid, owner in self._owners([pid for pid, session in sessions.items() if pid == session]).items():
            if (told := proc.stat(pid)) and not told.ended:
                found[owner] = min(found.get(owner, (told.started, pid)), (told.started, pid))
        for owner in list(self._cgroups.owners()) if self._cgroups else []:
            if self._cgroups and owner not in found:
                if self._cgroups.pids(*owner):
                    found[owner] = 0, 0
                else:
                    self._cgroups.remove(*owner)
        leaders: dict[str, dict[int, int]] = {}
        for owner, (_, pid) in found.items():
            leaders.setdefault(owner.service, {})[owner.run] = pid
        return leaders

    def forget(self, service: str, run: int | None) -> None:
        """Nothing is left of a run, or of all of them: the numbers of its sessions are free for others."""
        runs = self._runs.get(service, {})
        for number in [run] if run is not None else list(runs):
            if session := runs.pop(number, None):
                self._by_session.forget(Owner(service, number), session)
            if self._cgroups:
                self._cgroups.remove(service, number)

    def knows(self, service: str, run: int) -> bool:
        """Whether something of this run may be there."""
        return run in self._runs.get(service, {})

    def owns(self, service: str, pid: int) -> bool:
        """Whether this process belongs to the service."""
        owner = self._owner(pid)
        return owner is not None and owner.service == service

    def pids(self, service: str, run: int, pid: int) -> list[int]:
        """The processes of a run whose main process is there, that one first."""
        found = self._cgroups.pids(service, run) if self._cgroups else []
        # It may still be on its way into its cgroup, or an earlier stackd had none.
        return list(dict.fromkeys((pid, *(found if pid in found else proc.descendants(pid)))))

    def orphans(self, service: str, run: int | None) -> list[int]:
        """Processes of a run, or of all of them, that have lost their parent."""
        inside = set(self._cgroups.pids(service, run)) if self._cgroups else set()
        found = [pid for pid in sorted(inside) if not self._is_main(service, pid)]
        orphans = [pid for pid in found if (told := proc.stat(pid)) and told.parent not in inside]
        return [*orphans, *self._by_session.orphans(service, run, known=inside)]

    def tell_orphans(self, service: str, run: int | None, number: int) -> None:
        """Signal each process that has lost its parent."""
        for pid in self.orphans(service, run):
            told = proc.stat(pid)
            # The second look is after the start was read: it is still the same one.
            if told and (owner := self._owner(pid)) and owner.service == service:
                proc.send(pid, told.started, number)

    def left_by(self, service: str, run: int | None) -> list[int]:
        """What is there of a run whose main process is gone, or of all of them; else what may be of it."""
        inside = self._inside(service, run)
        outside = self._by_session.left_by(service, run, known=set(inside))
        return [*inside, *outside] or self._undecided()

    def unattributed(self) -> list[int]:
        """Children of ours that we have not made, and that cannot be told to belong to any service."""
        return [pid for pid in self._by_session.strays() if self._owner(pid) is None]

    async def end_strays(self, grace: float = GRACE) -> list[int]:
        """End what is left when every service is down: `grace` seconds after SIGTERM by SIGKILL.

        Returns what the kernel could not end within another 2 seconds.
        """
        return await self._strays.end(grace)

    def clear(self, clearing: Clearing) -> None:
        """Wait until nothing is left, and kill what there is if that is wanted. Replaces one that waits."""
        self._clearings.setdefault(clearing.service, {})[clearing.run] = clearing
        self._go_on(clearing)

    def look_again(self, service: str) -> None:
        """A process of the service ended."""
        for clearing in list(self._clearings.get(service, {}).values()):
            self._go_on(clearing)

    def _look_again(self) -> None:
        for service in list(self._clearings):
            self.look_again(service)

    def _reaped(self) -> None:
        self._by_session.look_anew()  # what has just ended may have left some
        self._strays.look()

    def _emptied(self, owner: Owner) -> None:
        self.look_again(owner.service)
        if self._cgroups and owner.run not in self._runs.get(owner.service, {}):
            self._cgroups.remove(*owner)

    def _go_on(self, clearing: Clearing) -> None:
        service, run = clearing.service, clearing.run
        if self._clearings.get(service, {}).get(run) is not clearing:
            return  # one that was done before it has replaced it
        inside = self._inside(service, run)
        outside = self._by_session.left_by(service, run, known=set(inside))
        if clearing.kill:
            if inside and self._cgroups:
                self._cgroups.kill(service, run)
            for pid, started in outside.items():
                proc.send(pid, started, signal.SIGKILL)
        if not inside and not outside and self._undecided():
            asyncio.get_running_loop().call_later(DECIDED, self.look_again, service)
        elif not inside and not outside and clearing.main_is_gone():
            del self._clearings[service][run]
            if not self._clearings[service]:
                del self._clearings[service]
            self.forget(service, run)
            clearing.done()
        elif untold := self._untold(service, run, inside, outside):
            self._ends.wait(service, untold)

    def _undecided(self) -> list[int]:
        return [pid for pid in self._by_session.undecided() if self._owner(pid) is None]

    def _untold(
        self, service: str, run: int | None, inside: list[int], outside: dict[int, int]
    ) -> dict[int, int]:
        """Of whose end we would not hear: neither children of ours nor in a cgroup that is watched."""
        untold = dict(outside) if self._by_session.is_searched(service, run) else {}
        if self._cgroups and not self._cgroups.is_watched(service, run):
            untold |= {pid: told.started for pid in inside if (told := proc.stat(pid))}
        return untold

    def _inside(self, service: str, run: int | None) -> list[int]:
        """What is in the cgroup of a run, or of all of them, apart from main processes."""
        pids = self._cgroups.pids(service, run) if self._cgroups else []
        return [pid for pid in pids if not self._is_main(service, pid)]

    def _is_main(self, service: str, pid: int) -> bool:
        return pid in self._runs.get(service, {}).values() and (
            pid in self._processes.pids or self._by_session.is_adopted_main(pid)
        )

    def _owner(self, pid: int) -> Owner | None:
        return (self._cgroups.owner(pid) if self._cgroups else None) or self._by_session.owner(pid)

    def _owners(self, leaders: list[int]) -> dict[int, Owner]:
        """Of which run each of these is the main process, as far as cgroups and marks tell."""
        cgroups = self._cgroups
        inside = {pid: owner for owner in cgroups.owners() for pid in cgroups.pids(*owner)} if cgroups else {}
        found = {pid: inside.get(pid) or self._marks.owner_of_main(pid) for pid in leaders}
        return {pid: owner for pid, owner in found.items() if owner}
