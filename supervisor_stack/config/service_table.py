"""The keys of a service. See schema.py."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from msgspec import UNSET, Meta, UnsetType

from supervisor_stack import spec
from supervisor_stack.config.tables import (
    BackoffTable,
    LogTable,
    ProbeTable,
    StartLimitTable,
    Table,
    WatchTable,
    key,
)
from supervisor_stack.config.values import LIMITS, AddressText, Limit, PathText, SignalName, Timeout, Umask
from supervisor_stack.config.words import did_you_mean, near, toml
from supervisor_stack.kinds import KINDS

COMMAND = "command"
KIND_NAMES = (COMMAND, *sorted(name for name in KINDS if name != COMMAND))

_SERVICE = spec.ServiceSpec(name="", argv=())


class KindName(str):
    """The name of a kind of service."""

    __slots__ = ()
    noun: ClassVar[str] = "the name of a kind"
    schema: ClassVar[dict[str, Any]] = {"enum": list(KIND_NAMES)}

    @classmethod
    def parse(cls, value: object) -> Self:
        """Raises ValueError for a kind that stackd does not know."""
        if not isinstance(value, str):
            raise TypeError
        if value not in KIND_NAMES:
            cure = did_you_mean(near(value, KIND_NAMES)) or f"the kinds are {', '.join(KIND_NAMES)}"
            raise ValueError(f"{toml(value)} is no kind of service; {cure}")
        return cls(value)


class ServiceTable(Table, frozen=True):
    """`[services.NAME]`: one service."""

    kind: (
        Annotated[
            KindName,
            key("What stackd is to know about it.", default="command", example="nginx"),
        ]
        | UnsetType
    ) = UNSET
    config: (
        Annotated[
            PathText,
            key(
                "The service's own configuration file, as you wrote it. Every kind but `command` needs one.",
                example="nginx.conf",
            ),
        ]
        | UnsetType
    ) = UNSET
    binary: (
        Annotated[
            PathText,
            key(
                "The program of the server: a name, looked up on the PATH, or a path. Default: the names "
                "that the kind goes by.",
                example="/usr/local/nginx/sbin/nginx",
            ),
        ]
        | UnsetType
    ) = UNSET
    command: (
        Annotated[
            tuple[str, ...],
            Meta(min_length=1),
            key(
                "Of kind `command`: the program and its arguments. It has to stay in the foreground.",
                example=["celery", "-A", "br_api", "worker"],
            ),
        ]
        | UnsetType
    ) = UNSET
    args: (
        Annotated[
            tuple[str, ...],
            key("Arguments to add at the end of the command line.", example=["--verbose"]),
        ]
        | UnsetType
    ) = UNSET
    requires: (
        Annotated[
            tuple[str, ...],
            key(
                "Services that it cannot do without: started before it, stopped after it.", example=["mysqld"]
            ),
        ]
        | UnsetType
    ) = UNSET
    wants: (
        Annotated[
            tuple[str, ...],
            key(
                "Services that are started before it as well, but it starts also when they fail.",
                example=["redis"],
            ),
        ]
        | UnsetType
    ) = UNSET
    after: (
        Annotated[
            tuple[str, ...],
            key("Only the order: if both are to start, it waits for these.", example=["migrate"]),
        ]
        | UnsetType
    ) = UNSET
    autostart: (
        Annotated[
            bool,
            key("Whether stackd starts it by itself.", default=_SERVICE.autostart, example=False),
        ]
        | UnsetType
    ) = UNSET
    type: (
        Annotated[
            Literal["service", "task"],
            key(
                "A `service` runs until it is stopped. A `task` runs to its end; exit status 0 means done.",
                default=_SERVICE.type,
                example="task",
            ),
        ]
        | UnsetType
    ) = UNSET
    restart: (
        Annotated[
            Literal["always", "on-failure", "never"],
            key(
                "After which end it is started again. Default: `always`, of a task `on-failure`.",
                example="on-failure",
            ),
        ]
        | UnsetType
    ) = UNSET
    backoff: (
        Annotated[
            BackoffTable,
            key("The delays between restarts.", example={"initial": "100ms", "max": "30s"}),
        ]
        | UnsetType
    ) = UNSET
    start_limit: (
        Annotated[
            StartLimitTable,
            key("When to give up on it.", example={"burst": 10, "interval": "1m"}),
        ]
        | UnsetType
    ) = UNSET
    on_dependency_crash: (
        Annotated[
            Literal["hold", "restart"],
            key(
                "What happens to it when a service that it requires crashes. `hold`: it goes on. "
                "`restart`: it is stopped, and started again when the other one is ready.",
                default=_SERVICE.on_dependency_crash,
                example="restart",
            ),
        ]
        | UnsetType
    ) = UNSET
    start_timeout: (
        Annotated[
            Timeout,
            key(
                "How long it may take to get ready. Default: the kind's; of a command "
                f"{_SERVICE.start_timeout:g} s.",
                example="90s",
            ),
        ]
        | UnsetType
    ) = UNSET
    stop_timeout: (
        Annotated[
            Timeout,
            key(
                "How long it may take to stop; `kill` says what comes then. Default: the kind's; of a "
                f"command {_SERVICE.stop_timeout:g} s.",
                example="30s",
            ),
        ]
        | UnsetType
    ) = UNSET
    kill: (
        Annotated[
            bool,
            key(
                "Whether a stop that takes too long may end with SIGKILL. Default: the kind's; of a command "
                f"{toml(_SERVICE.kill)}.",
                example=True,
            ),
        ]
        | UnsetType
    ) = UNSET
    stop_signal: (
        Annotated[
            SignalName,
            key("The signal that stops it. Default: the kind's; of a command `TERM`.", example="INT"),
        ]
        | UnsetType
    ) = UNSET
    reload_signal: (
        Annotated[
            SignalName,
            key("The signal that makes it read its configuration again. Default: the kind's.", example="HUP"),
        ]
        | UnsetType
    ) = UNSET
    ready: (
        Annotated[
            ProbeTable,
            key(
                "The probe that tells when it is ready. Default: the kind's; a command is ready at once, and "
                "one that ends within half a second makes `stackctl start` fail.",
                example={"type": "tcp", "address": "127.0.0.1:8000"},
            ),
        ]
        | UnsetType
    ) = UNSET
    alive: (
        Annotated[
            bool | ProbeTable,
            key(
                "The probe that tells, from then on, whether it still answers; `false` for none. Default: "
                "the kind's; a command has none.",
                example={"type": "http", "address": "127.0.0.1:8000"},
            ),
        ]
        | UnsetType
    ) = UNSET
    hold: (
        Annotated[
            tuple[AddressText, ...],
            key(
                "Listening sockets that stackd keeps open for it, so that its clients wait while it is "
                "restarted, as `HOST:PORT`, `[HOST]:PORT`, `:PORT` or `unix:PATH`; `[]` for none. A command "
                "gets them as systemd hands them over (`sd_listen_fds(3)`), in this order. Default: those "
                "that the server's own configuration names, where it can take them over (not Redis, not "
                "MySQL); a command has none.",
                example=["127.0.0.1:8000"],
            ),
        ]
        | UnsetType
    ) = UNSET
    user: (
        Annotated[
            str,
            Meta(min_length=1),
            key(
                "The user that it runs as. Default: the one that stackd runs as.",
                example="www-data",
            ),
        ]
        | UnsetType
    ) = UNSET
    group: (
        Annotated[
            str,
            Meta(min_length=1),
            key("The group that it runs as. Default: that of the user.", example="www-data"),
        ]
        | UnsetType
    ) = UNSET
    env: (
        Annotated[
            dict[str, str],
            key(
                "Environment variables, added to those that stackd has.",
                example={"DJANGO_SETTINGS_MODULE": "br_api.prod"},
            ),
        ]
        | UnsetType
    ) = UNSET
    env_file: (
        Annotated[
            PathText,
            key(
                "A file with environment variables, `NAME=VALUE` a line. `env` wins over it.", example=".env"
            ),
        ]
        | UnsetType
    ) = UNSET
    cwd: (
        Annotated[
            PathText,
            key("The folder that it is started in. Default: `base_dir`.", example="/srv/br_api"),
        ]
        | UnsetType
    ) = UNSET
    umask: (
        Annotated[
            Umask,
            key("File mode creation mask, in octal digits. Default: as stackd's.", example="027"),
        ]
        | UnsetType
    ) = UNSET
    limits: (
        Annotated[
            dict[str, Limit],
            key(
                "Resource limits, soft and hard, see setrlimit(2): a number, a size or `infinity` for "
                f"each of {', '.join(f'`{name}`' for name in LIMITS)}.",
                example={"nofile": 65536},
            ),
        ]
        | UnsetType
    ) = UNSET
    nice: (
        Annotated[int, Meta(ge=-20, le=19), key("Scheduling priority, lower is better.", example=10)]
        | UnsetType
    ) = UNSET
    oom_score_adj: (
        Annotated[
            int,
            Meta(ge=-1000, le=1000),
            key(
                "How soon the kernel kills it for want of memory; -1000 is never.",
                example=-500,
            ),
        ]
        | UnsetType
    ) = UNSET
    log: (
        Annotated[LogTable, key("Where its stdout and stderr go.", example={"to": "inherit"})] | UnsetType
    ) = UNSET
    watch: (
        Annotated[
            bool | WatchTable,
            key("Whether to reload it when files change. Default: false.", example=True),
        ]
        | UnsetType
    ) = UNSET
