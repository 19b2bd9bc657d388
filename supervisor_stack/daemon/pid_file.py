"""A server's own pid file, kept true while one run takes over from another.

nginx removes its pid file when it ends, without a look at whose number is in it: the file of the run
that has taken over (ngx_delete_pidfile() in src/core/ngx_cycle.c). Log rotation reads it. It is written
as the service would write it and by its user, who may own the folder: not as root, through its links.
"""

from __future__ import annotations

import logging

from supervisor_stack.daemon.checks import Checks
from supervisor_stack.errors import SpawnError
from supervisor_stack.spec import ServiceSpec

log = logging.getLogger(__name__)

TIMEOUT = 5.0

# `pid /dev/null;` is usual in containers: what is there and no regular file is left alone.
_WRITE = 'test -e "$1" && test ! -f "$1" || test "$(cat "$1" 2>/dev/null)" = "$2" || echo "$2" >"$1"'


async def restore(checks: Checks, spec: ServiceSpec, path: str, pid: int) -> None:
    """See that the file has this number."""
    try:
        code, _, err = await checks.run_beside(spec, 0, ("sh", "-c", _WRITE, "sh", path, str(pid)), TIMEOUT)
    except (SpawnError, TimeoutError) as error:
        code, err = 1, str(error)
    if code:
        log.warning("%s: cannot write pid %d to %s: %s", spec.name, pid, path, err.strip())
