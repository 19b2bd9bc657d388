"""The last configuration that was good, for a stackd that dies while somebody edits the file.

systemd keeps it, as a file in memory, as long as the unit is not stopped; and stackd hands it to itself when
it executes itself anew. So a start by hand with a wrong file is refused, and neither a crash nor a
replacement is the end of all supervision.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
from collections.abc import Mapping
from typing import Final

import msgspec

from supervisor_stack.daemon.archive import encode
from supervisor_stack.daemon.fd_store import PASSED, FdStore, passed_on
from supervisor_stack.daemon.lend import LISTEN_FDS_START
from supervisor_stack.spec import Check, StackSpec

log = logging.getLogger(__name__)

NAME: Final = "configuration"

_NO_SUCH_CODE = (pickle.UnpicklingError, AttributeError, ImportError, TypeError, EOFError)


class LastGood:
    """Keeps the specification of the stack in a store."""

    def __init__(self, store: FdStore) -> None:
        self._store = store
        self._fd = -1
        if (given := store.take(NAME)) is not None:
            os.close(given)

    def keep(self, spec: StackSpec) -> None:
        """This one is good."""
        try:
            fd = os.memfd_create(NAME, os.MFD_CLOEXEC)
        except OSError as error:  # no descriptors left
            log.warning("cannot keep the configuration for the next stackd: %s", error.strerror)
            return
        os.pwrite(fd, _packed(spec), 0)
        self._store.drop(NAME)  # it may be that of an earlier stackd
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = fd
        self._store.keep(NAME, fd)


def recall(environ: Mapping[str, str]) -> StackSpec | None:
    """What an earlier stackd left for the process that we are, itself or with systemd; takes nothing away."""
    with contextlib.suppress(ValueError, OSError, msgspec.MsgspecError):
        fd = passed_on(environ.get(PASSED, "")).get(NAME)
        if fd is None:
            fd = _kept_by_systemd(environ)
        return _unpacked(os.pread(fd, os.fstat(fd).st_size, 0))
    return None


def _kept_by_systemd(environ: Mapping[str, str]) -> int:
    """Raises ValueError when it has none."""
    if environ.get("LISTEN_PID") != str(os.getpid()):
        raise ValueError("nothing of it is for us")
    return LISTEN_FDS_START + environ.get("LISTEN_FDNAMES", "").split(":").index(NAME)


class _Packed(msgspec.Struct, frozen=True):
    """`checks`: by service, the tests of their own configurations, which read and explain with code."""

    spec: StackSpec
    checks: dict[str, bytes]


def _packed(spec: StackSpec) -> bytes:
    bare = tuple(msgspec.structs.replace(each, check=None) for each in spec.services)
    checks = {each.name: pickle.dumps(each.check) for each in spec.services if each.check}
    return encode(_Packed(msgspec.structs.replace(spec, services=bare), checks))


def _unpacked(text: bytes) -> StackSpec:
    """Raises MsgspecError for what is none of ours."""
    packed = msgspec.json.decode(text, type=_Packed)
    services = tuple(
        msgspec.structs.replace(each, check=_check(packed.checks.get(each.name)))
        for each in packed.spec.services
    )
    return msgspec.structs.replace(packed.spec, services=services)


def _check(pickled: bytes | None) -> Check | None:
    """None where a newer stackd has no such code any more: that one does without the test."""
    if pickled is not None:
        with contextlib.suppress(*_NO_SUCH_CODE):
            # From whom the programs come that are run as root: whoever could change it needs no pickle.
            made = pickle.loads(pickled)  # noqa: S301
            return made if isinstance(made, Check) else None
    return None
