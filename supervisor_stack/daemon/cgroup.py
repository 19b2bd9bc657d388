"""A control group for each run of a service, below the one that systemd has delegated to stackd.

Nobody leaves a cgroup by forking, by a session of his own or by a clean environment, so it tells exactly
which processes belong to a run, and ends all of them at once. cgroups(7) and the kernel's
Documentation/admin-guide/cgroup-v2.rst have the facts.

stackd itself stays where systemd put it, in the cgroup above. That would be forbidden ("no internal
processes") if controllers were enabled below, and none is.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import logging
import os
import signal
from collections.abc import Callable, Iterator

from supervisor_stack.daemon.inotify import IN_MODIFY, Inotify
from supervisor_stack.daemon.marks import Owner
from supervisor_stack.errors import SpawnError

log = logging.getLogger(__name__)

# unit_set_xattrs... in systemd's src/core/cgroup.c, since 251: with Delegate= both are "1" (seen with 252).
# What begins with `trusted.` is shown to root only.
DELEGATED = ("trusted.delegate", "user.delegate")

# Prefixes, because all names that begin with `cgroup.` or that of a controller belong to the kernel.
_SERVICE = "service-"
_RUN = "run-"

_KILL = "cgroup.kill"

# "0" means who writes it. dash, as it is an exec of 0.6 ms and bash one of 1.3 ms.
_ENTER = 'echo 0 >"$0" || { echo "cannot enter the cgroup ${0%/*}" >&2; exit 1; }; exec "$@"'


class Cgroups:
    """The cgroups below a folder: `service-NAME/run-N`. `emptied` is called when one has become empty."""

    def __init__(self, folder: str, path: str, inotify: Inotify) -> None:
        self.folder = folder
        self.emptied: Callable[[Owner], None] = lambda _: None
        self._path = path.rstrip("/")
        self._inotify = inotify
        self._watches: dict[Owner, int] = {}
        self._unwatched: set[Owner] = set()

    def make(self, service: str, run: int) -> tuple[str, ...]:
        """Make the cgroup of a run; returns the words before its command by which it enters there.

        It enters before it is the service, so that no child can be outside. stackd could move it, but the
        move waits for a grace period of RCU (7 ms seen), and stackd would wait with it; and a child that was
        forked meanwhile would stay outside. Raises SpawnError.
        """
        folder = self._folder(service, run)
        try:
            os.makedirs(folder, exist_ok=True)
        except OSError as error:
            raise SpawnError(f"cannot make the cgroup {folder}: {error.strerror}") from error
        self.watch(service, run)
        return ("/bin/sh", "-c", _ENTER, f"{folder}/cgroup.procs")

    def watch(self, service: str, run: int) -> None:
        """Tell when the cgroup of a run becomes empty."""
        owner = Owner(service, run)
        if owner in self._watches:
            return
        try:
            self._watches[owner] = self._inotify.watch(
                f"{self._folder(service, run)}/cgroup.events", IN_MODIFY, lambda: self._changed(owner)
            )
        except OSError as error:
            self._unwatched.add(owner)
            log.warning("%s: cannot watch the cgroup of run %d: %s", service, run, error.strerror)

    def is_watched(self, service: str, run: int | None) -> bool:
        """Whether `emptied` can be told of a run, or of all runs."""
        return not any(each.service == service and run in (None, each.run) for each in self._unwatched)

    def pids(self, service: str, run: int | None) -> list[int]:
        """The processes of a run, or of all runs, also those in cgroups that they made themselves."""
        return list(_pids_below(self._folder(service, run)))

    def owner(self, pid: int) -> Owner | None:
        """In whose cgroup a process is."""
        try:
            with open(f"/proc/{pid}/cgroup") as file:
                path = _unified(file.read())
        except OSError:
            return None
        if not path.startswith(f"{self._path}/{_SERVICE}"):
            return None
        service, run, *_ = [*path[len(self._path) + 1 :].split("/"), ""]
        return _owner(service, run)

    def owners(self) -> Iterator[Owner]:
        """The runs that have a cgroup."""
        for service in _folders(self.folder):
            for run in _folders(f"{self.folder}/{service}"):
                if owner := _owner(service, run):
                    yield owner

    def kill(self, service: str, run: int | None) -> None:
        """SIGKILL for all processes of a run, or of all runs, and for what they fork meanwhile."""
        folder = self._folder(service, run)
        try:
            _write(f"{folder}/{_KILL}", "1")
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENODEV):  # the cgroup is gone, or the kernel is older
                log.warning("cannot kill the cgroup %s: %s", folder, error.strerror)
            _kill_each(folder)

    def remove(self, service: str, run: int) -> None:
        """Remove the cgroup of a run, and that of its service if it was the last one.

        One that is not empty yet stays until `emptied` is told.
        """
        folder = self._folder(service, run)
        for below in _tree(folder):
            try:
                os.rmdir(below)
            except FileNotFoundError:
                continue
            except OSError as error:
                if error.errno != errno.EBUSY:
                    log.warning("cannot remove the cgroup %s: %s", below, error.strerror)
                return
        self._unwatched.discard(Owner(service, run))
        if (watch := self._watches.pop(Owner(service, run), None)) is not None:
            self._inotify.forget(watch)
        with contextlib.suppress(OSError):  # it has other runs
            os.rmdir(self._folder(service, None))

    def _folder(self, service: str, run: int | None) -> str:
        folder = f"{self.folder}/{_SERVICE}{service}"
        return folder if run is None else f"{folder}/{_RUN}{run}"

    def _changed(self, owner: Owner) -> None:
        try:
            with open(f"{self._folder(*owner)}/cgroup.events") as file:
                is_empty = "populated 0" in file.read()
        except OSError:
            is_empty = True  # somebody else has removed it
        if is_empty:
            self.emptied(owner)


def find(loop: asyncio.AbstractEventLoop) -> Cgroups | None:
    """The cgroup that is delegated to this process, if systemd says so and it can be worked in.

    Nothing else counts: root may make cgroups anywhere, also where a container or a login session of
    somebody else is administered.
    """
    path, folder = own()
    if not folder or not any(_attribute(folder, name) == b"1" for name in DELEGATED):
        return None
    trial = f"{folder}/{_SERVICE}trial"
    try:
        if not _claim(folder):
            log.warning("another stackd uses the delegated cgroup %s; services get none", folder)
            return None
        os.makedirs(trial, exist_ok=True)
        os.rmdir(trial)
        if not os.access(f"{folder}/cgroup.procs", os.W_OK):  # needed for moves between those below
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return Cgroups(folder, path, Inotify(loop))
    except OSError as error:
        log.warning("cannot use the delegated cgroup %s: %s; services get none", folder, error.strerror)
        return None


def own() -> tuple[str, str]:
    """The cgroup of this process: its path within the hierarchy, and its folder; empty if there is none."""
    try:
        with open("/proc/self/cgroup") as file:
            path = _unified(file.read())
        with open("/proc/self/mountinfo") as file:
            mounts = [line.split(" - ", 1) for line in file]
    except OSError:
        return "", ""
    for place, kind in mounts:
        if not kind.startswith("cgroup2 "):
            continue
        # What of the hierarchy is mounted, and where: fields 4 and 5 of proc_pid_mountinfo(5).
        root, point = (_unescaped(field) for field in place.split()[3:5])
        below = os.path.relpath(path, root)
        if path and not below.startswith(".."):  # above or beside the root of a cgroup namespace
            return path, os.path.normpath(f"{point}/{below}")
    return "", ""


def _claim(folder: str) -> bool:
    """Whether it is ours alone: two stackds in one cgroup would take each other's services for their own.

    The lock is never given back: the descriptor is closed by the end of this process, or when it executes.
    """
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return False
    return True


def _unified(lines: str) -> str:
    """The path in the one hierarchy of version 2; in the hybrid layout others stand beside it."""
    return next((line[3:] for line in lines.splitlines() if line.startswith("0::")), "")


def _unescaped(field: str) -> str:
    return field.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")


def _attribute(path: str, name: str) -> bytes:
    try:
        return os.getxattr(path, name)
    except OSError:
        return b""


def _owner(service: str, run: str) -> Owner | None:
    number = run.removeprefix(_RUN)
    if service.startswith(_SERVICE) and run.startswith(_RUN) and number.isdecimal():
        return Owner(service.removeprefix(_SERVICE), int(number))
    return None


def _folders(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []  # it was removed meanwhile


def _tree(folder: str) -> Iterator[str]:
    """A cgroup and those below it, the lowest first."""
    for name in _folders(folder):
        yield from _tree(f"{folder}/{name}")
    yield folder


def _pids_below(folder: str) -> Iterator[int]:
    for each in _tree(folder):
        with contextlib.suppress(OSError), open(f"{each}/cgroup.procs") as file:
            # 0: a process of another pid namespace, which we cannot name.
            yield from (pid for pid in map(int, file) if pid)


def _kill_each(folder: str) -> None:
    """Before Linux 5.14. What is frozen neither forks nor ends, so its number is not given away; SIGKILL
    ends it all the same."""
    with contextlib.suppress(OSError):
        _write(f"{folder}/cgroup.freeze", "1")
    killed: set[int] = set()
    while fresh := set(_pids_below(folder)) - killed:
        for pid in fresh:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        killed |= fresh


def _write(path: str, word: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, word.encode())
    finally:
        os.close(fd)
