"""Descriptors that have to outlive this process: kept by systemd for the next one, or handed to ourselves
when stackd executes itself anew. Whoever owns such a descriptor says so here, by a name.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import re
from collections.abc import Iterator, MutableMapping
from typing import Final

from supervisor_stack.daemon.lend import LISTEN_FDS_START
from supervisor_stack.daemon.listener import FIRST_FD
from supervisor_stack.daemon.systemd import Systemd

log = logging.getLogger(__name__)

PASSED: Final = "STACKD_FDS"
"""What stackd hands to itself: the number of a file with `NAME=FD` for each, in words."""

_PLAIN: Final = re.compile(rb"[^A-Za-z0-9._-]")

LONGEST_NAME: Final = 255
"""FDNAME= takes no longer one, no colon and nothing that is not printable ASCII (sd_notify(3))."""


class FdStore:
    """The descriptors of one stackd by name. Those that were handed over and are not taken get closed."""

    def __init__(self, systemd: Systemd, handed_over: dict[str, int]) -> None:
        self._systemd = systemd
        self._handed_over = handed_over
        self._kept: dict[str, int] = {}

    def keep(self, name: str, fd: int) -> None:
        """This one is to outlive us. It stays its owner's, who closes it after `drop`."""
        self._kept[name] = fd
        if len(name) <= LONGEST_NAME:
            self._systemd.store(name, fd)

    def drop(self, name: str) -> None:
        """Nobody needs it any more, whoever kept it."""
        self._kept.pop(name, None)
        self._systemd.unstore(name)

    def take(self, name: str) -> int | None:
        """What was handed over under this name, from now on the caller's; None for nothing."""
        return self._handed_over.pop(name, None)

    def close_rest(self) -> None:
        """What was handed over and nobody has taken is of no use to anybody."""
        for name, fd in self._handed_over.items():
            log.warning("a descriptor named %s was handed over, and nothing here needs it: closed", name)
            self._systemd.unstore(name)
            os.close(fd)
        self._handed_over.clear()

    def hand_over(self, environ: MutableMapping[str, str]) -> None:
        """Let the program that this process is about to execute have all of them. Raises OSError.

        Copies, as their owners may be gone before that.
        """
        copies: dict[str, int] = {}
        try:
            # The list is a file as well: a variable may not have more than 128 KiB (execve(2)).
            copies[""] = os.memfd_create(PASSED, 0)
            for name, fd in self._kept.items():
                copies[name] = os.dup(fd)
                os.set_inheritable(copies[name], True)
            words = " ".join(f"{name}={fd}" for name, fd in copies.items() if name)
            os.pwrite(copies[""], words.encode(), 0)
        except OSError:
            for fd in copies.values():
                os.close(fd)
            raise
        environ[PASSED] = str(copies[""])

    def take_all(self, what: str, *words: str) -> dict[str, int]:
        """What was handed over under all names that begin so; from now on the caller's."""
        start = name_of(what, *words, "")
        names = [name for name in self._handed_over if name.startswith(start)]
        return {name: self._handed_over.pop(name) for name in names}


def name_of(what: str, *words: str) -> str:
    """A name for a descriptor, of words that may contain anything."""
    return "/".join((what, *(_PLAIN.sub(_quoted, word.encode()).decode() for word in words)))


def _quoted(found: re.Match[bytes]) -> bytes:
    return b"%%%02x" % found[0][0]


def handed_over(environ: MutableMapping[str, str], systemd: Systemd) -> dict[str, int]:
    """What systemd kept for us, or we for ourselves. None of it gets to a service by accident.

    Several of one name cannot be told apart; systemd calls what it was given without a name `stored`.
    """
    found: dict[str, int] = {}
    for name, number in (*_from_systemd(systemd.given), *_from_ourselves(environ.pop(PASSED, ""))):
        try:
            fd = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, FIRST_FD)
        except OSError as error:
            if error.errno == errno.EBADF:
                continue  # the variable is not true
            raise
        os.close(number)
        if name in found:
            os.close(found[name])
        found[name] = fd
    return found


def _from_systemd(given: MutableMapping[str, str]) -> Iterator[tuple[str, int]]:
    # sd_listen_fds(3): the pid tells for whom they are, as variables are inherited.
    count = given.pop("LISTEN_FDS", "")
    names = given.pop("LISTEN_FDNAMES", "").split(":")
    if given.pop("LISTEN_PID", "") == str(os.getpid()) and count.isdecimal():
        for index in range(int(count)):
            yield names[index] if index < len(names) else "unknown", LISTEN_FDS_START + index


def _from_ourselves(passed: str) -> Iterator[tuple[str, int]]:
    if found := passed_on(passed):
        os.close(int(passed))
    yield from found.items()


def passed_on(passed: str) -> dict[str, int]:
    """What the list says that we have left for ourselves; takes nothing away. `passed`: see PASSED."""
    found: dict[str, int] = {}
    with contextlib.suppress(ValueError, OSError):
        for word in os.pread(int(passed), os.fstat(int(passed)).st_size, 0).decode().split():
            name, _, number = word.rpartition("=")
            found[name] = int(number)
    return found
