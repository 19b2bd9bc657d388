"""Finding the processes of a run without a cgroup: by descent, by session and by our marks.

They are the descendants of its main process, and those that lost their parent, if they are of the main
process's session or carry our marks. One that has left the session and rid itself of the marks cannot be
told from a stranger.

What loses its parent becomes a child of ours, as we are its subreaper. Only where an earlier stackd started
the run it becomes a child of init or of somebody else, and all of /proc has to be searched.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Container
from typing import NamedTuple

from supervisor_stack.daemon import proc
from supervisor_stack.daemon.marks import Marks, Owner


class Adopted(NamedTuple):
    """A run that an earlier stackd has started, and when its main process began (proc.Stat).

    `in_cgroup`: its processes need not be searched for.
    """

    owner: Owner
    started: int
    in_cgroup: bool


class BySession:
    """Knows runs by the pid of their main process, which is also the number of its session.

    `own` has the children that we have made ourselves and not reaped yet.
    """

    def __init__(self, own: Container[int], marks: Marks) -> None:
        self._own = own
        self._marks = marks
        self._sessions: dict[int, Owner] = {}
        self._adopted: dict[int, Adopted] = {}
        self._searched: dict[str, dict[int, int]] = {}
        self._seen: list[int] | None = None

    def enrol(self, owner: Owner, pid: int) -> None:
        """A run of ours."""
        self._sessions[pid] = owner

    def adopt(self, pid: int, run: Adopted) -> None:
        """A run that an earlier stackd has started. Its main process may be gone."""
        self._adopted[pid] = run
        if not run.in_cgroup:
            self._searched.setdefault(run.owner.service, {})[run.owner.run] = pid

    def forget(self, owner: Owner, pid: int) -> None:
        """Nothing is left of this run. The number of its session may be that of others by now."""
        if self._sessions.get(pid) == owner:
            del self._sessions[pid]
        if pid in self._adopted and self._adopted[pid].owner == owner:
            del self._adopted[pid]
            self._searched.get(owner.service, {}).pop(owner.run, None)

    def owner(self, pid: int) -> Owner | None:
        """Whose a process is."""
        try:
            session = os.getsid(pid)
        except OSError:
            return None  # it is gone
        if owner := self._sessions.get(session):
            return owner
        adopted = self._adopted.get(session)
        return self._owner_in(adopted, session, pid) if adopted else self._marks.owner(pid)

    def _owner_in(self, adopted: Adopted, session: int, pid: int) -> Owner | None:
        leader = proc.stat(session)
        if leader and leader.started == adopted.started:
            return adopted.owner
        # The kernel gives no pid away that is still the number of a session. So what is left of the run has
        # it alone; but if nothing was left at some time, a daemon whose own leader has ended may have it.
        if leader or self._marks.speak_against(pid):
            return self._marks.owner(pid)
        return adopted.owner

    def left_by(self, service: str, run: int | None, known: Container[int] = ()) -> dict[int, int]:
        """What lost its main process, and what is below: pids, with the moment at which each began.

        0 for our own children: nobody else gets their number before we reap them. Those in `known` are
        left out.
        """
        found: dict[int, int] = {}
        searched = self.is_searched(service, run)
        for orphan in self.orphans(service, run, known):
            told = proc.stat(orphan) if searched else None
            # After the moment was read: then it is not that of another one who got the number.
            if searched and not (told and _is_of(self.owner(orphan), service, run)):
                continue
            found[orphan] = told.started if told else 0
            for pid in proc.descendants(orphan):
                told = proc.stat(pid)
                if told and not told.ended and told.parent in found:
                    found[pid] = told.started
        return found

    def orphans(self, service: str, run: int | None, known: Container[int] = ()) -> list[int]:
        """Those that lost their parent, and are no main process. Those in `known` are left out."""
        if self.is_searched(service, run):
            return [pid for pid in self._search(service, run) if pid not in known]
        return [pid for pid in self.strays() if pid not in known and _is_of(self.owner(pid), service, run)]

    def is_searched(self, service: str, run: int | None) -> bool:
        """Whether an earlier stackd has started any of this, so that it need not be among our children."""
        runs = self._searched.get(service, {})
        return bool(runs) if run is None else run in runs

    def _search(self, service: str, run: int | None) -> list[int]:
        members = {pid for pid in self.sessions() if _is_of(self.owner(pid), service, run)}
        return [
            pid for pid in sorted(members) if not self.is_adopted_main(pid) and self._is_orphan(pid, members)
        ]

    def sessions(self) -> dict[int, int]:
        """All processes and their sessions, without us, kernel threads, and what we have made ourselves."""
        found = {}
        for pid in proc.pids():
            try:
                session = os.getsid(pid)
            except OSError:
                continue
            # A kernel thread is in session 0. What runs beside a service has the service's marks.
            made_here = pid in self._own or (session in self._own and session not in self._sessions)
            if session and pid != os.getpid() and not made_here:
                found[pid] = session
        return found

    def strays(self) -> list[int]:
        """Children of ours that we have not made.

        Asked once in a turn of the loop, and again when something was reaped: the kernel lists every child,
        and a thousand services may end at the same moment.
        """
        if self._seen is None:
            ours = proc.children(os.getpid(), main_thread=True)
            self._seen = [pid for pid in ours if pid not in self._own and not self.is_adopted_main(pid)]
            asyncio.get_running_loop().call_soon(self.look_anew)
        return self._seen

    def undecided(self) -> list[int]:
        """Strays of which it is not known yet whose they are, as they are just executing something."""
        return [pid for pid in self.strays() if self.owner(pid) is None and proc.is_executing(pid)]

    def look_anew(self) -> None:
        """Something ended, and may have left others."""
        self._seen = None

    def is_adopted_main(self, pid: int) -> bool:
        """Whether this is the living main process of a run that was adopted."""
        adopted = self._adopted.get(pid)
        told = proc.stat(pid) if adopted else None
        return bool(adopted and told and told.started == adopted.started)

    def _is_orphan(self, pid: int, members: Container[int]) -> bool:
        # Whose parent is not us may stay a zombie for ever: not every process 1 of a container reaps.
        told = proc.stat(pid)
        return bool(told and not told.ended and told.parent not in members and told.parent not in self._own)


def _is_of(owner: Owner | None, service: str, run: int | None) -> bool:
    return owner is not None and owner.service == service and run in (None, owner.run)
