"""Room for descriptors: each service costs stackd some, and each client of the control socket one.

The soft limit of 1024 that is usual is for programs that use select(2). With none left, nothing can be
started, and nobody be let in.
"""

from __future__ import annotations

import resource
from collections.abc import MutableMapping

MOST = 65536
"""As much as the systemd unit gives."""

MOST_CLIENTS = 1024
"""Connections to one socket at once."""

INHERITED = "STACKD_NOFILE"
"""What a stackd that executes itself anew was started with, when it had other limits."""


def clients() -> int:
    """How many may be connected to one of the two sockets, so that half of the descriptors are left."""
    return min(MOST_CLIENTS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4)


def make_room(environ: MutableMapping[str, str]) -> str:
    """Raise the soft limit; returns what services are to get instead, as prlimit(1) takes it, or nothing."""
    if inherited := environ.pop(INHERITED, ""):
        return inherited
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft == resource.RLIM_INFINITY or soft >= most:
        return ""
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return f"{soft}:{'unlimited' if hard == resource.RLIM_INFINITY else hard}"
