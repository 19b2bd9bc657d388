"""How a process is known as one of ours: by what all processes of a run inherit.

Two marks say the same. One is in the environment. The other is the standard input, which is empty as
/dev/null is, but a file in memory whose name /proc shows. Either may be lost: nginx and Redis write their
titles over their environment (seen in /proc with nginx 1.22 and Redis 7.0), uWSGI opens another input.

Anybody can write such an environment, and would be signalled, or taken for a service, by a stackd that is
root. So the first counts only for users that the service runs as. The second cannot be forged: the file
belongs to whoever made it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping
from typing import NamedTuple

from supervisor_stack.daemon import proc

MARKER = "STACKD_SERVICE"
RUN_MARKER = "STACKD_RUN"
STACK_MARKER = "STACKD_STACK"
"""Environment variables: the service's name, the number of the run, the runtime directory of its stackd."""

BESIDE = {"STACKD_BESIDE": "1"}
"""For a test or a probe, which belongs to a service and never is its main process."""

_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


class Owner(NamedTuple):
    """Whose a process is."""

    service: str
    run: int


class Marks:
    """The marks of one stack, which is known by its runtime directory: no two stackds share one."""

    def __init__(self, runtime_dir: str) -> None:
        self._stack = os.path.realpath(runtime_dir)
        self._users: dict[str, set[int]] = {}

    def trust(self, service: str, user: int | None) -> None:
        """Processes of this user may be of the service; None: of ours."""
        self._users.setdefault(service, set()).add(os.geteuid() if user is None else user)

    def environment(self, service: str, run: int) -> Mapping[str, str]:
        """The variables that mark a run."""
        return {MARKER: service, RUN_MARKER: str(run), STACK_MARKER: self._stack}

    def open_input(self, service: str, run: int) -> int:
        """A standard input that marks a run: a file that stays empty. The caller closes it."""
        name = f"stackd:{run}:{service}:{self._stack}"
        try:
            fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        except OSError:
            # The name has more than 249 bytes, or the administrator forbids it (vm.memfd_noexec).
            return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)  # what one process wrote, another would read
        return fd

    def owner(self, pid: int) -> Owner | None:
        """What the marks of a process say; None if it has none of this stack, or is gone."""
        return self._by_input(pid) or self._by_environment(pid, beside=True)

    def owner_of_main(self, pid: int) -> Owner | None:
        """The same, and None also for what only ran beside a service."""
        return self._by_input(pid) or self._by_environment(pid, beside=False)

    def speak_against(self, pid: int) -> bool:
        """Whether a process shows an environment in which our marks are missing.

        One that was overwritten or is empty says nothing.
        """
        try:
            return b"=" in proc.environment(pid) and self.owner(pid) is None
        except OSError:
            return True

    def _by_input(self, pid: int) -> Owner | None:
        try:
            # "/memfd:NAME (deleted)", as every file without a place in a file system.
            path = f"/proc/{pid}/fd/0"
            name = os.readlink(path).removeprefix("/memfd:").removesuffix(" (deleted)")
            if name.startswith("stackd:") and os.stat(path).st_uid != os.geteuid():
                return None
        except OSError:
            return None  # it is gone, not ours to look into, or has closed it
        match name.split(":", 3):
            case "stackd", run, service, self._stack if run.isdecimal():
                return Owner(service, int(run))
        return None

    def _by_environment(self, pid: int, beside: bool) -> Owner | None:
        try:
            found = proc.environment(pid)
        except OSError:
            return None
        entries = [entry for entry in found.split(b"\0") if entry.startswith(b"STACKD_")]
        marks = dict(os.fsdecode(entry).split("=", 1) for entry in entries if b"=" in entry)
        if marks.get(STACK_MARKER) != self._stack or (not beside and BESIDE.keys() <= marks.keys()):
            return None
        try:
            owner = Owner(marks[MARKER], int(marks[RUN_MARKER]))
            # By proc(5) its effective user, or root where it may not be looked into by that one.
            user = os.stat(f"/proc/{pid}").st_uid
        except (KeyError, ValueError, OSError):
            return None
        return owner if user in self._users.get(owner.service, ()) or user == os.geteuid() else None
