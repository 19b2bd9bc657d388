"""What a stack IS: frozen structures without parsing and without I/O.

`config.py` makes them from the user's file, with the defaults of the service's kind folded in, so
that nothing below ever asks what kind a service is. Durations are seconds, sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all structures here: immutable, compared by value."""


class Address(Spec, frozen=True, kw_only=True):
    """A listening address: TCP host and port, or the path of a unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def dial(self) -> Address:
        """Where a client on this machine reaches it: a wildcard address becomes loopback."""
        loopback = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "*": "127.0.0.1", "::": "::1"}  # noqa: S104
        if self.path or self.host not in loopback:
            return self
        return Address(host=loopback[self.host], port=self.port)


ProbeType = Literal["notify", "tcp", "unix", "http", "mysql", "redis", "uwsgi", "exec"]


class ProbeSpec(Spec, frozen=True, kw_only=True):
    """How to find out whether a service answers its own protocol.

    `address` None means: the first address that the service's own configuration test reported.
    """

    type: ProbeType
    address: Address | None = None
    method: str = "GET"
    path: str = "/"
    host: str = "localhost"
    expect: tuple[int, ...] = ()
    password: str = ""
    command: tuple[str, ...] = ()
    interval: float = 1.0
    timeout: float = 5.0


class Backoff(Spec, frozen=True, kw_only=True):
    """Delays between restarts: none before the first, then `initial`, times `factor`, up to `max`."""

    initial: float = 0.1
    factor: float = 2.0
    max: float = 30.0
    reset_after: float = 10.0


class StartLimit(Spec, frozen=True, kw_only=True):
    """More than `burst` failures within `interval` seconds: give up until a person says start."""

    burst: int = 10
    interval: float = 60.0


class Precondition(Spec, frozen=True, kw_only=True):
    """A path that must exist before a start makes sense, and what to tell when it does not."""

    path: str
    problem: str


class CheckReport(Spec, frozen=True, kw_only=True):
    """What a service's own configuration test told about its configuration."""

    files: tuple[str, ...] = ()
    globs: tuple[str, ...] = ()
    addresses: tuple[Address, ...] = ()
    logs: tuple[str, ...] = ()


class Check(Spec, frozen=True, kw_only=True):
    """The service's own test of its configuration.

    `read` makes a report from what the test printed (stdout). `before_start`: the test is cheap and
    its report is needed, so it runs before every start and not only before a reload. `without_env`:
    variables of the service that would mislead its test. `transient`: a regular expression for
    complaints that may go away by themselves, such as a name server that is not up yet.
    """

    argv: tuple[str, ...]
    timeout: float = 10.0
    before_start: bool = False
    without_env: tuple[str, ...] = ()
    transient: str = ""
    read: Callable[[str], CheckReport] | None = None
    evidence: Callable[[str], tuple[str, ...]] | None = None


class Reload(Spec, frozen=True, kw_only=True):
    """How a service takes up a changed configuration without a restart.

    `new_workers`: the reload is done when the same main process has new children; the ready probe
    alone would be answered by the old ones. `failure`: a regular expression for the lines of its
    logs that say that the reload did not work.
    """

    signal: str
    timeout: float = 30.0
    new_workers: bool = False
    failure: str = ""


class Log(Spec, frozen=True, kw_only=True):
    """Where stdout and stderr of a service go."""

    to: Literal["file", "inherit", "null"] = "file"


class Watch(Spec, frozen=True, kw_only=True):
    """What to do when files change. No `paths`: those that the configuration test reported."""

    paths: tuple[str, ...] = ()
    action: Literal["reload", "restart"] = "reload"
    debounce: float = 0.3


class ServiceSpec(Spec, frozen=True, kw_only=True):
    """One service, complete: everything that is needed to run it and to judge it.

    `stop_again`: seconds after which the stop signal is repeated, 0 for never.
    """

    name: str
    argv: tuple[str, ...]
    kind: str = "command"
    config: str = ""
    type: Literal["service", "task"] = "service"
    requires: tuple[str, ...] = ()
    wants: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    autostart: bool = True
    restart: Literal["always", "on-failure", "never"] = "always"
    backoff: Backoff = Backoff()
    start_limit: StartLimit = StartLimit()
    start_timeout: float = 60.0
    stop_timeout: float = 10.0
    stop_signal: str = "TERM"
    stop_again: float = 0.0
    reload: Reload | None = None
    no_reload: str = "it has no reload_signal"
    ready: ProbeSpec | None = None
    check: Check | None = None
    watch: Watch | None = None
    addresses: tuple[Address, ...] = ()
    preconditions: tuple[Precondition, ...] = ()
    final_exits: dict[int, str] = {}
    logs: tuple[str, ...] = ()
    log: Log = Log()
    env: dict[str, str] = {}
    cwd: str = "/"
    user: str = ""
    group: str = ""
    umask: int | None = None
    limits: dict[str, int] = {}
    nice: int | None = None
    oom_score_adj: int | None = None


class ControlSpec(Spec, frozen=True, kw_only=True):
    """Where stackd listens, and which group may talk to it."""

    socket: str
    events: str
    group: str = ""


class StackSpec(Spec, frozen=True, kw_only=True):
    """The whole stack, services in the order of the file."""

    name: str
    base_dir: str
    runtime_dir: str
    log_dir: str
    control: ControlSpec
    services: tuple[ServiceSpec, ...] = ()
    source: str = ""
