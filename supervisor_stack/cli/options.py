"""What a command line of stackctl can say."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from supervisor_stack.control.states import Awaited
from supervisor_stack.spec import Role

PROGRAM = "stackctl"
ALL = "all"
DEFAULT_LINES = 20
"""Of logs and events."""


class Options(argparse.Namespace):
    """What the command line says. The values here are those of what it does not mention."""

    config: str = ""
    socket: str = ""
    hosts: Sequence[str] = ()
    json: bool = False
    no_color: bool = False
    verb: str = "status"
    services: Sequence[str] = ()
    watch: bool = False
    interval: float = 2.0
    wait: bool = True
    timeout: float | None = None
    cascade: bool = False
    hard: bool = False
    keep_services: bool = False
    plan: bool = False
    lines: int | None = None
    follow: bool = False
    state: Awaited = "ready"
    signal: str = ""
    dot: bool = False
    period: float = 1.0
    server: bool = False
    names: Sequence[str] = ()
    role: Role | None = None
    keys: str = ""
