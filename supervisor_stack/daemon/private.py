"""What one run has of its own, below the runtime directory: the pipe from which it reads orders, and a
socket where it can be asked apart from other runs."""

from __future__ import annotations

import contextlib
import os
import pwd
from pathlib import Path

from supervisor_stack.daemon import launch
from supervisor_stack.errors import SpawnError
from supervisor_stack.spec import Address, ProbeSpec, ServiceSpec

APART = frozenset({"uwsgi", "http", "tcp", "unix"})
"""Types of ready probes that are asked at an address, and can be asked at another one as well."""


def prepare(spec: ServiceSpec, run: int) -> tuple[str, ...]:
    """Make the folder, and return the arguments that tell the run what to make in it. Raises SpawnError."""
    words: list[str] = []
    if not _can_pass(spec):
        return ()
    for option, path in _made_for(spec, run):
        _make_folder(os.path.dirname(path), spec)
        words += [option, path]
    return tuple(words)


def remove(spec: ServiceSpec, run: int) -> None:
    """The run is over."""
    for _, path in _made_for(spec, run):
        with contextlib.suppress(OSError):  # it did so itself, or somebody removed the folder
            os.unlink(path)


def ready_probe(spec: ServiceSpec, run: int) -> ProbeSpec | None:
    """The ready probe as it is to be asked of this run alone; None where that cannot be done."""
    if spec.private is None or spec.ready is None or spec.ready.type not in APART:
        return None
    address = Address(path=numbered(spec.private.path, run))
    changes = {"type": spec.private.speaks, "address": address}
    return ProbeSpec(**{field: getattr(spec.ready, field) for field in ProbeSpec.__struct_fields__} | changes)


def numbered(path: str, run: int) -> str:
    """The path of a run."""
    return path.replace("{run}", str(run))


def _made_for(spec: ServiceSpec, run: int) -> list[tuple[str, str]]:
    own = (each for each in (spec.fifo, spec.private) if each and each.option)
    return [(each.option, numbered(each.path, run)) for each in own]


def _can_pass(spec: ServiceSpec) -> bool:
    """Whether its user gets to the folder; where it does not, it goes without, and is asked by signals."""
    who = _owner(spec)[0]
    if who in (None, os.geteuid()):
        return True
    own = next((each for each in (spec.fifo, spec.private) if each and each.option), None)
    if own is None:
        return True
    # The folder of the run, that of all runs, and the runtime directory with what it is in.
    above = Path(own.path).parents
    return all(not folder.exists() or folder.stat().st_mode & 0o001 for folder in above[2:])


def _make_folder(path: str, spec: ServiceSpec) -> None:
    """A folder in which the service may make files, and nobody else may look; the one above is ours."""
    try:
        user, group = _owner(spec)
        above = os.path.dirname(path)
        os.makedirs(above, exist_ok=True)
        os.chmod(above, 0o711)  # noqa: S103 - whatever the umask: services pass through to their own
        os.makedirs(path, exist_ok=True)
        os.chmod(path, 0o700)
        if user is not None and os.geteuid() == 0:
            os.chown(path, user, -1 if group is None else group)
    except OSError as error:
        raise SpawnError(f"cannot make the folder {path}: {error.strerror}") from error


def _owner(spec: ServiceSpec) -> tuple[int | None, int | None]:
    if not spec.fifo or not spec.fifo.user:
        who = launch.identity(spec)
        return who.user, who.group
    name = spec.fifo.user
    if name.isdecimal():  # in a container it mostly has no name
        return int(name), None
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        raise SpawnError(f"cannot make a folder for {name}: no such user") from None
    return user.pw_uid, user.pw_gid
