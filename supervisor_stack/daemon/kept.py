"""The last good configuration of each service, kept as one file that no edit can break.

A copy is made when a start or a reload was verified, of just what the service read then, and tested
before it counts. It lies where only stackd can put files, and the user of the service owns it, the only
one who may read it: it holds the passwords that the files hold.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec

from supervisor_stack.daemon.archive import encode
from supervisor_stack.daemon.conf_files import Content, Disk, FileSet, Recorder, content
from supervisor_stack.daemon.make_copy import Copier, CopyError, RunBeside, with_copy
from supervisor_stack.daemon.process import Processes
from supervisor_stack.daemon.text import printable
from supervisor_stack.errors import OperationError, SpawnError
from supervisor_stack.kinds.fold import FOLDS
from supervisor_stack.kinds.fold.base import FoldError
from supervisor_stack.spec import CheckReport, ServiceSpec

log = logging.getLogger(__name__)


class Noted(NamedTuple):
    """The files that a run was about to read, and what was in them; `problem`: why no copy can be made."""

    run: int
    files: FileSet
    content: Content
    problem: str


class Kept(NamedTuple):
    """A copy. `at`: when it was made, by the local calendar; `files`: what it was made of."""

    spec: ServiceSpec
    at: str
    files: tuple[str, ...]
    content: Content


class _Memory(msgspec.Struct, frozen=True):
    """What outlives stackd of a service."""

    noted: Noted | None
    verified: Noted | None
    kept: Kept | None


def _bare(spec: ServiceSpec) -> ServiceSpec:
    """Without its test, which is code."""
    return msgspec.structs.replace(spec, check=None)


class Keeper:
    """Keeps copies in a folder. `run_beside` runs commands as a service runs, `processes` as stackd."""

    def __init__(self, directory: Path, run_beside: RunBeside, processes: Processes) -> None:
        self._directory = str(directory)
        self._copier = Copier(run_beside, processes)
        self._noted: dict[str, Noted] = {}
        self._verified: dict[str, Noted] = {}
        self._kept: dict[str, Kept] = {}

    def recall(self, services: Iterable[str]) -> None:
        """Go on with what an earlier stackd knew of these services. What cannot be read was never kept."""
        for service in services:
            try:
                with open(self._memory(service), "rb") as file:
                    memory = msgspec.json.decode(file.read(), type=_Memory)
            except (OSError, msgspec.MsgspecError):
                continue
            if memory.noted:
                self._noted[service] = memory.noted
            if memory.verified:
                self._verified[service] = memory.verified
            if memory.kept:
                self._kept[service] = memory.kept

    def note(self, spec: ServiceSpec, run: int, report: CheckReport | None = None) -> None:
        """Remember what is in the files, right before a run reads them, at its start or at a reload.

        `report` is that of its configuration test, where that tells which files it reads.
        """
        if not spec.copy:
            return
        files, problem = FileSet(), ""
        if not FOLDS[spec.copy].dumped:
            source = Recorder(Disk())
            try:
                FOLDS[spec.copy].fold(spec.config, source, spec.cwd)
            except FoldError as error:
                problem = str(error)
            files = source.files
        elif report:
            files = FileSet(report.files, report.globs)
        else:
            problem = "its configuration test has not told which files it reads"
        self._noted[spec.name] = Noted(run, files, content(files), problem)
        self._remember(spec.name)

    async def keep(self, spec: ServiceSpec, run: int) -> str:
        """Make a copy of the configuration that a run has just proved good.

        Returns when the copy was made, as people read it. Files that are as they were then leave it, and
        its time, which tells people which version of their files it is. Raises OperationError; an older
        copy stays then.
        """
        noted = self._noted.get(spec.name)
        if noted is None or noted.run != run:
            raise self._failure(spec, f"what run {run} has read was not noted")
        kept, bare = self._copy_for(spec), _bare(spec)
        is_done = kept and noted == self._verified.get(spec.name)
        if kept and is_done and (kept.spec, kept.content) == (bare, noted.content):
            return kept.at  # by an earlier stackd
        if content(noted.files) != noted.content:
            raise self._failure(spec, f"its files have changed since run {run} read them")
        self._verified[spec.name] = noted
        self._remember(spec.name)
        if noted.problem:
            raise self._failure(spec, noted.problem)
        path = self._path(spec.name)
        kept = self._copy_for(spec)
        bare = _bare(spec)
        if kept and (kept.spec, kept.content) == (bare, noted.content):
            return kept.at
        at = time.strftime("%Y-%m-%d %H:%M:%S")
        title = f"# A copy that stackd made on {at} of {printable(spec.config)} and what it includes.\n"
        try:
            self._make_folder()
            read = await self._copier.make(spec, run, path, title, noted.content)
        except CopyError as why:
            raise self._failure(spec, why.cause, why.evidence) from None
        files = tuple(name for name, text in read.items() if text is not None)
        self._kept[spec.name] = Kept(bare, at, files, noted.content)
        self._remember(spec.name)
        return at

    def differs(self, spec: ServiceSpec) -> bool:
        """Whether the files differ from what last proved good; False when there is no copy."""
        verified = self._verified.get(spec.name)
        return bool(verified and self._copy_for(spec) and content(verified.files) != verified.content)

    def argv(self, spec: ServiceSpec) -> tuple[str, ...]:
        """The command of the service on its copy. Raises SpawnError when there is none."""
        if not self._copy_for(spec):
            raise SpawnError(f"cannot start {spec.name} on a copy of its configuration: there is none")
        return with_copy(spec.argv, spec.config, self._path(spec.name))

    def files(self, service: str) -> tuple[str, ...]:
        """The files that the copy was made of; none when there is no copy."""
        return self._kept[service].files if service in self._kept else ()

    def forget(self, service: str) -> None:
        """Keep nothing any more for a service."""
        if self._noted.pop(service, None) is None:
            return
        self._verified.pop(service, None)
        if self._kept.pop(service, None):
            with contextlib.suppress(OSError):
                os.unlink(self._path(service))
        with contextlib.suppress(OSError):
            os.unlink(self._memory(service))

    def _copy_for(self, spec: ServiceSpec) -> Kept | None:
        """The copy, if it is still there, of this file and for this kind of server."""
        kept = self._kept.get(spec.name)
        if kept is None or (kept.spec.copy, kept.spec.config) != (spec.copy, spec.config):
            return None
        return kept if os.path.exists(self._path(spec.name)) else None

    def _path(self, service: str) -> str:
        return os.path.join(self._directory, f"{service}.conf")

    def _memory(self, service: str) -> str:
        return os.path.join(self._directory, f"{service}.json")

    def _remember(self, service: str) -> None:
        """Let the next stackd know; without it that one begins without a copy."""
        memory = _Memory(self._noted.get(service), self._verified.get(service), self._kept.get(service))
        path = self._memory(service)
        try:
            self._make_folder()
            fd = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(encode(memory))
            os.replace(f"{path}.new", path)
        except (OSError, CopyError) as error:
            log.warning("%s: cannot write down what is known of its configuration: %s", service, error)

    def _make_folder(self) -> None:
        try:
            os.makedirs(self._directory, exist_ok=True)
            os.chmod(self._directory, 0o711)  # noqa: S103 - services go through it to their own file
        except OSError as error:
            raise CopyError(f"cannot make {self._directory}: {error.strerror}") from None

    def _failure(self, spec: ServiceSpec, cause: str, evidence: tuple[str, ...] = ()) -> OperationError:
        kept = self._copy_for(spec)
        now = f"the copy of {kept.at} stays" if kept else "there is no copy to fall back on"
        return OperationError(f"cannot keep a copy of {spec.config}: {cause}", (*evidence, now))
