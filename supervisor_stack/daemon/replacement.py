"""Becoming another version of stackd without an end in between: the same process, another program.

The children stay our children, so that their exit statuses are still told to us, and descriptors go along.
The new program is tried first, beside this one: whether its code loads, whether it accepts the
configuration, and whether it can read what is written down.
"""

from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping
from typing import NamedTuple

from supervisor_stack.daemon import limits
from supervisor_stack.daemon.fd_store import FdStore
from supervisor_stack.daemon.process import Processes
from supervisor_stack.daemon.systemd import Systemd
from supervisor_stack.errors import OperationError, SpawnError

REHEARSE = "--rehearse"
"""The option of stackd that tries whether it could take over, and starts nothing."""

TIMEOUT = 30.0
LAST_LINES = 20


class Successor(NamedTuple):
    """What is executed in the place of this program."""

    argv: tuple[str, ...]
    environ: dict[str, str]

    def execute(self) -> None:
        """Never returns. Raises OSError, and then this process can only end: the services go on."""
        os.execve(self.argv[0], self.argv, self.environ)  # noqa: S606 - no shell is wanted


class Replacement:
    """Tries and prepares the program that takes the place of this one. `nofile`: see limits."""

    def __init__(
        self,
        processes: Processes,
        store: FdStore,
        systemd: Systemd,
        environ: MutableMapping[str, str],
        nofile: str,
    ) -> None:
        self._processes = processes
        self._store = store
        self._systemd = systemd
        self._environ = environ
        self._nofile = nofile

    async def rehearse(self) -> tuple[str, ...]:
        """The command of the program that is installed now, when it can take over.

        Raises OperationError and OSError.
        """
        argv = command()
        trial = (*argv, REHEARSE)
        try:
            code, out, err = await self._processes.run(trial, TIMEOUT, env=self._environ, cwd=os.getcwd())
        except SpawnError as error:
            raise OperationError(f"cannot replace stackd: {error.message}", error.detail) from None
        except TimeoutError:
            told = f"cannot replace stackd: the new one did not load within {TIMEOUT:g} s"
            raise OperationError(told) from None
        if code:
            said = (out + err).strip().splitlines()[-LAST_LINES:]
            told = f"cannot replace stackd: {' '.join(trial)} exited {code}"
            raise OperationError(told, tuple(said))
        return argv

    def prepare(self, argv: tuple[str, ...]) -> Successor:
        """The program, with all that it takes over. Raises OSError, and then nothing has changed."""
        environ = dict(self._environ) | self._systemd.given
        if self._nofile:
            environ[limits.INHERITED] = self._nofile
        self._store.hand_over(environ)
        return Successor(argv, environ)


def command() -> tuple[str, ...]:
    """How this program was started. A script is executed by its path, since that may mean another one now.

    Raises OSError when the folder where it was started is gone.
    """
    script = sys.argv[0]
    if os.path.isfile(script) and os.access(script, os.X_OK):
        return (os.path.abspath(script), *sys.argv[1:])
    return (sys.executable, *sys.orig_argv[1:])
