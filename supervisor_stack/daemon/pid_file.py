"""A server's own pid files, kept true while one run takes over from another.

nginx removes its pid file when it ends, without a look at whose number is in it: the file of the run
that has taken over (ngx_delete_pidfile() in src/core/ngx_cycle.c). uWSGI does so with `vacuum`, and under
stackd it writes none (kinds/uwsgi.py). Log rotation and people read them. A file is written as the service
would write it and by its user, who may own the folder: not as root, through its links.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from supervisor_stack.core import events as ev
from supervisor_stack.daemon.checks import Checks
from supervisor_stack.daemon.leaves import Leaves
from supervisor_stack.errors import SpawnError
from supervisor_stack.spec import PidFile, ServiceSpec

log = logging.getLogger(__name__)

TIMEOUT = 5.0

# `pid /dev/null;` is usual in containers: what is there and no regular file is left alone.
_WRITE = 'test -e "$1" && test ! -f "$1" || test "$(cat "$1" 2>/dev/null)" = "$2" || echo "$2" >"$1"'


class PidFiles:
    """Writes them. `pid_of`: the main process of the run that serves, 0 for none."""

    def __init__(
        self,
        post: Callable[[ev.Event], None],
        checks: Checks,
        spec_of: Callable[[str], ServiceSpec],
        pid_of: Callable[[str], int],
    ) -> None:
        self._checks = checks
        self._spec_of = spec_of
        self._pid_of = pid_of
        self._writing = Leaves(post)

    def write(self, service: str) -> None:
        """A run was made, or serves in the place of another: the files that it does not write itself."""
        if self._spec_of(service).pid_files:
            self._writing.start(service, self._write(service, self._spec_of(service).pid_files))

    async def restore(self, service: str) -> None:
        """An older run has gone, and has removed what was not its own any more."""
        spec = self._spec_of(service)
        report = self._checks.report(spec)
        own = (PidFile(path=report.pid_file),) if report and report.pid_file else ()
        await self._write(service, (*spec.pid_files, *own))

    def forget(self, service: str) -> None:
        """It was removed."""
        self._writing.stop(service)

    async def _write(self, service: str, files: Iterable[PidFile]) -> None:
        spec, pid = self._spec_of(service), self._pid_of(service)
        for file in files if pid else ():
            argv = (*_identity(file), "sh", "-c", _WRITE, "sh", file.path, str(pid))
            try:
                code, _, err = await self._checks.run_beside(spec, 0, argv, TIMEOUT)
            except (SpawnError, TimeoutError) as error:
                code, err = 1, str(error)
            if code:
                log.warning("%s: cannot write pid %d to %s: %s", spec.name, pid, file.path, err.strip())


def _identity(file: PidFile) -> tuple[str, ...]:
    if not (file.user or file.group):
        return ()
    user = (f"--reuid={file.user}",) if file.user else ()
    group = (f"--regid={file.group}",) if file.group else ()
    return ("setpriv", *user, *group, "--clear-groups", "--")
