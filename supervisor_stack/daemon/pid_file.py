"""A server's own pid file, kept true while one run takes over from another.

nginx removes its pid file when it ends, without a look at whose number is in it: the file of the run
that has taken over (ngx_delete_pidfile() in src/core/ngx_cycle.c). Log rotation reads it.
"""

from __future__ import annotations

import logging
import os

log = logging.getLogger(__name__)

LONGEST = 32


def restore(path: str, pid: int) -> None:
    """See that the file has this number, as the server itself would have written it."""
    text = f"{pid}\n".encode()
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o644)
        try:
            if os.read(file, LONGEST) != text:
                os.ftruncate(file, 0)
                os.pwrite(file, text, 0)
        finally:
            os.close(file)
    except OSError as error:
        log.warning("cannot write pid %d to %s: %s", pid, path, error.strerror)
