"""What has to outlive stackd: one small file for each service, in the runtime directory.

Each is replaced as a whole, so that it is either the old or the new one. Nothing is synced to a disk: a
reboot ends all processes, and files of another boot are worth nothing. Times in it are monotonic, which
all processes of one boot share.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os

import msgspec

from supervisor_stack.core.state import NEVER, Service
from supervisor_stack.daemon import proc
from supervisor_stack.daemon.capture import Mark
from supervisor_stack.daemon.listener import FileId
from supervisor_stack.daemon.watch_list import Fingerprint
from supervisor_stack.errors import SpawnError
from supervisor_stack.spec import Address

log = logging.getLogger(__name__)

VERSION = 1
"""Of the form of the files. What was written in another form is set aside."""

WRITE_AGAIN = 1.0
"""Seconds after which is tried again what could not be written."""

SUFFIX = ".json"

UNREADABLE = (OSError, ValueError, RecursionError, msgspec.MsgspecError)
"""What a file that is none of ours, or not any more, may lead to."""


class SavedRun(msgspec.Struct, frozen=True):
    """The main process of a run. `start`: with the pid its identity. `marks`: where its logs ended then."""

    pid: int
    start: int
    marks: tuple[Mark, ...] = ()
    kernel_kills: int = 0


class SavedSocket(msgspec.Struct, frozen=True):
    """A held socket. `file`: of a unix socket, the file by which clients find it."""

    address: Address
    file: FileId | None = None


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    """A service as it was. `deadline` None: never, for which JSON has no number. `shutting_down`: the whole
    stack was being stopped. `read`: the watched files when the service read them, by their names in Latin-1,
    as a name is bytes, and JSON has only text."""

    version: int = VERSION
    boot: str
    record: Service
    deadline: float | None = None
    shutting_down: bool = False
    runs: dict[int, SavedRun] = {}
    held: tuple[SavedSocket, ...] = ()
    read: Fingerprint = {}

    @property
    def files(self) -> Fingerprint:
        """The watched files when the service read them; empty when nothing is known of that."""
        return {os.fsdecode(name.encode("latin-1")): entry for name, entry in self.read.items()}

    @property
    def service(self) -> Service:
        """The record, whole again."""
        deadline = NEVER if self.deadline is None else self.deadline
        return msgspec.structs.replace(self.record, deadline=deadline)


class _Envelope(msgspec.Struct, frozen=True):
    """What is looked at before anything else."""

    version: int
    boot: str


class Archive:
    """The files of one stack in `folder`, which is `runtime_dir/state`."""

    def __init__(self, runtime_dir: str) -> None:
        self.folder = os.path.join(runtime_dir, "state")
        self._boot = boot_id()
        self._unwritten: dict[str, bytes | None] = {}
        self._alarm: asyncio.TimerHandle | None = None

    def open(self) -> None:
        """Make the folder. Raises SpawnError."""
        try:
            os.makedirs(self.folder, 0o700, exist_ok=True)
            os.chmod(self.folder, 0o700)  # whatever the umask: an environment may hold passwords
        except OSError as error:
            raise SpawnError(f"cannot make the folder {self.folder}: {error.strerror}") from error

    def load(self) -> tuple[Saved, ...]:
        """Read everything. What cannot be used is told, and set aside or removed."""
        found = []
        for path in self._paths():
            try:
                saved = self._read(path)
            except UNREADABLE as error:
                self._set_aside(path, error)
                continue
            if saved:
                found.append(saved)
            else:
                os.unlink(path)
        return tuple(found)

    def judge(self) -> tuple[str, ...]:
        """What `load` could not use, in words; changes nothing."""
        problems = []
        for path in self._paths():
            try:
                self._read(path)
            except FileNotFoundError:
                continue  # it was removed meanwhile
            except UNREADABLE as error:
                problems.append(f"cannot use {path}: {error}")
        return tuple(problems)

    def write(
        self,
        record: Service,
        runs: dict[int, SavedRun],
        held: tuple[SavedSocket, ...],
        shutting_down: bool,
        files: Fingerprint,
    ) -> None:
        """Replace what is known of a service. What cannot be written is told, and tried again later."""
        # The test of its configuration is code, which each stackd makes anew of its own kinds.
        spec = msgspec.structs.replace(record.spec, check=None)
        deadline = None if record.deadline == NEVER else record.deadline
        saved = Saved(
            boot=self._boot,
            record=msgspec.structs.replace(record, spec=spec, deadline=0.0),
            deadline=deadline,
            shutting_down=shutting_down,
            runs=runs,
            held=held,
            read={os.fsencode(path).decode("latin-1"): entry for path, entry in files.items()},
        )
        self._put(f"{record.name}{SUFFIX}", encode(saved))

    def remove(self, service: str) -> None:
        """The stack has no such service any more."""
        self._put(f"{service}{SUFFIX}", None)

    def clear(self) -> None:
        """Everything is down, in order: the next stackd begins from the beginning."""
        self._unwritten.clear()
        if self._alarm:
            self._alarm.cancel()
        for path in self._paths():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    def _paths(self) -> list[str]:
        try:
            names = sorted(os.listdir(self.folder))
        except FileNotFoundError:
            return []
        return [os.path.join(self.folder, name) for name in names if name.endswith(SUFFIX)]

    def _read(self, path: str) -> Saved | None:
        """None for one of another boot. Raises OSError, ValueError and MsgspecError."""
        with open(path, "rb") as file:
            text = file.read()
        envelope = msgspec.json.decode(text, type=_Envelope)
        if envelope.boot != self._boot:
            return None
        if envelope.version != VERSION:
            raise ValueError(f"it has the form {envelope.version}, and this stackd writes {VERSION}")
        saved = msgspec.json.decode(text, type=Saved)
        if f"{saved.record.name}{SUFFIX}" != os.path.basename(path):
            raise ValueError(f"it is about {saved.record.name}")
        return saved

    def _set_aside(self, path: str, error: Exception) -> None:
        log.error("cannot use %s: %s; it is set aside, and its service is looked for", path, error)
        try:
            os.replace(path, f"{path}.damaged")
        except OSError as problem:
            log.warning("cannot set %s aside: %s", path, problem.strerror)

    def _put(self, name: str, text: bytes | None) -> None:
        if name in self._unwritten:
            self._unwritten[name] = text
            return
        try:
            self._replace(name, text)
        except OSError as error:
            if not self._unwritten:
                log.error(
                    "cannot write down the state of the services in %s: %s; they go on, and should stackd "
                    "die now, the next one has to look for them",
                    self.folder,
                    error.strerror,
                )
            self._unwritten[name] = text
            if self._alarm is None:
                self._alarm = asyncio.get_running_loop().call_later(WRITE_AGAIN, self._write_again)

    def _write_again(self) -> None:
        self._alarm = None
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(self.folder, 0o700)  # it may have been removed
            for name in list(self._unwritten):
                self._replace(name, self._unwritten[name])
                del self._unwritten[name]
        except OSError:
            self._alarm = asyncio.get_running_loop().call_later(WRITE_AGAIN, self._write_again)
        else:
            log.info("the state of the services in %s is written down again", self.folder)

    def _replace(self, name: str, text: bytes | None) -> None:
        path = os.path.join(self.folder, name)
        if text is None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            return
        fresh = f"{path}.new"
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            if os.write(fd, text) != len(text):
                raise OSError(28, os.strerror(28))  # ENOSPC: a part went in
        finally:
            os.close(fd)
        os.rename(fresh, path)


def encode(record: msgspec.Struct) -> bytes:
    """A record as JSON."""
    return msgspec.json.encode(record, enc_hook=_plain)


def _plain(value: object) -> object:
    """The configuration reads durations, sizes and names into types of their own."""
    for kind in (float, int, str):
        if isinstance(value, kind):
            return kind(value)
    raise NotImplementedError(f"{type(value)} cannot be written down")


def boot_id() -> str:
    """Which boot of the machine this is: pids and start times of another one say nothing.

    Containers share the kernel's; there it is the start of their process 1 that makes the difference.
    """
    first = proc.stat(1)
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return f"{file.read().strip()}/{first.started if first else 0}"
