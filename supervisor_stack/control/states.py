"""What one may wait for: readiness, or a state of a service by either of its names."""

from __future__ import annotations

from typing import Literal, get_args

Awaited = Literal[
    "ready", "stopped", "waiting", "starting", "running", "reloading", "stopping", "killing", "backoff",
    "exited", "failed", "inactive", "activating", "active", "deactivating",
]  # fmt: skip

STATES: tuple[Awaited, ...] = get_args(Awaited)
