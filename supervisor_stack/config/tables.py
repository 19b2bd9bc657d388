"""The tables inside others: of a service probe, backoff, start_limit, log, watch; of control roles, network.
See schema.py.

The defaults come from spec.py, which has the structures that these become.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from supervisor_stack import spec
from supervisor_stack.config.values import AddressText, Duration, PathText, Size, TcpEndpoint, Timeout
from supervisor_stack.kinds.alive import INTERVAL

MANY = 2**31 - 1

MAX_KEEP = 1000
"""Old log files; each rotation renames them all."""

_PROBE = spec.ProbeSpec(type="tcp")
_BACKOFF = spec.Backoff()
_LOG = spec.Log()
_START_LIMIT = spec.StartLimit()
_WATCH = spec.Watch()


def key(description: str, *, example: Any, default: Any = None) -> Meta:
    """What is to be said of a key. `example` also serves the messages, as the cure of a wrong type."""
    extra = None if default is None else {"default": default}
    return Meta(description=description, examples=[example], extra_json_schema=extra)


class Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all tables."""

    def given(self) -> dict[str, Any]:
        """The keys that the file has, with their values."""
        return {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not UNSET}


class ProbeTable(Table, frozen=True):
    """A probe: how stackd finds out whether a service answers."""

    type: (
        Annotated[
            spec.ProbeType,
            key("What to ask. Default: as the kind of the service asks; a command has none.", example="http"),
        ]
        | UnsetType
    ) = UNSET
    address: (
        Annotated[
            AddressText,
            key(
                "Where to ask: `HOST:PORT`, `[HOST]:PORT`, `:PORT` or `unix:PATH`. Default: where the "
                "service's own configuration makes it listen; a command has none.",
                example="127.0.0.1:8000",
            ),
        ]
        | UnsetType
    ) = UNSET
    path: (
        Annotated[
            str,
            key("Of `http` and `uwsgi`: the page to ask for.", default=_PROBE.path, example="/health"),
        ]
        | UnsetType
    ) = UNSET
    host: (
        Annotated[
            str,
            key(
                "Of `http` and `uwsgi`: the Host header, which picks the site.",
                default=_PROBE.host,
                example="www.example.org",
            ),
        ]
        | UnsetType
    ) = UNSET
    expect: (
        Annotated[
            tuple[Annotated[int, Meta(ge=100, le=599)], ...],
            Meta(min_length=1),
            key(
                "Of `http` and `uwsgi`: the statuses that count as an answer. Default: every status; a "
                "server that says 404 does answer.",
                example=[200],
            ),
        ]
        | UnsetType
    ) = UNSET
    password: (
        Annotated[
            str,
            key(
                "Of `redis`: the password. Default: the `requirepass` of its configuration. A redis that "
                "asks for one counts as ready.",
                example="${REDIS_PASSWORD}",
            ),
        ]
        | UnsetType
    ) = UNSET
    command: (
        Annotated[
            tuple[str, ...],
            Meta(min_length=1),
            key(
                "Of `exec`: a program and its arguments; exit status 0 means ready.",
                example=["pg_isready", "-q"],
            ),
        ]
        | UnsetType
    ) = UNSET
    interval: (
        Annotated[
            Timeout,
            key(
                f"The time between two questions. Default: {_PROBE.interval:g} s of `ready`, {INTERVAL:g} s "
                "of `alive`.",
                example="500ms",
            ),
        ]
        | UnsetType
    ) = UNSET
    timeout: (
        Annotated[Timeout, key("How long to wait for an answer.", default=_PROBE.timeout, example="2s")]
        | UnsetType
    ) = UNSET
    failures: (
        Annotated[
            int,
            Meta(ge=1, le=1000),
            key(
                "Of `alive`: after so many questions in a row without an answer the service counts as hung.",
                default=_PROBE.failures,
                example=3,
            ),
        ]
        | UnsetType
    ) = UNSET


class BackoffTable(Table, frozen=True):
    """`backoff`: the delays between restarts. There is none before the first."""

    initial: (
        Annotated[
            Duration,
            key("The delay before the second restart in a row.", default=_BACKOFF.initial, example="100ms"),
        ]
        | UnsetType
    ) = UNSET
    factor: (
        Annotated[
            float,
            Meta(ge=1, le=1000),
            key(
                "Each delay is so many times the one before.",
                default=_BACKOFF.factor,
                example=2,
            ),
        ]
        | UnsetType
    ) = UNSET
    max: Annotated[Duration, key("No delay is longer.", default=_BACKOFF.max, example="30s")] | UnsetType = (
        UNSET
    )
    reset_after: (
        Annotated[
            Duration,
            key(
                "A service that was well for so long has its failures forgotten.",
                default=_BACKOFF.reset_after,
                example="10s",
            ),
        ]
        | UnsetType
    ) = UNSET


class StartLimitTable(Table, frozen=True):
    """`start_limit`: when to give up on a service that keeps failing."""

    burst: (
        Annotated[
            int,
            Meta(ge=1, le=MANY),
            key("So many failures are put up with.", default=_START_LIMIT.burst, example=10),
        ]
        | UnsetType
    ) = UNSET
    interval: (
        Annotated[
            Timeout,
            key("The time within which they count.", default=_START_LIMIT.interval, example="1m"),
        ]
        | UnsetType
    ) = UNSET


class LogTable(Table, frozen=True):
    """`log`: where a service's stdout and stderr go."""

    to: (
        Annotated[
            Literal["file", "journal", "inherit", "null"],
            key(
                "`file`: to `NAME.log` in `log_dir`. `journal`: to journald, under the name of the service "
                "(`journalctl -t NAME`). `inherit`: to where stackd's own go. `null`: nowhere.",
                default=_LOG.to,
                example="journal",
            ),
        ]
        | UnsetType
    ) = UNSET
    max_bytes: (
        Annotated[
            Size,
            key(
                "Of a file: when it is so large, a new one begins, at the end of a line. 0: never. "
                f"Default: {_LOG.max_bytes // 2**20} MiB.",
                example="10MiB",
            ),
        ]
        | UnsetType
    ) = UNSET
    keep: (
        Annotated[
            int,
            Meta(ge=0, le=MAX_KEEP),
            key(
                "Of a file: how many old ones stay, as `NAME.log.1` and so on; 1 is the newest.",
                default=_LOG.keep,
                example=5,
            ),
        ]
        | UnsetType
    ) = UNSET


class WatchTable(Table, frozen=True):
    """`watch`: which files to watch, and what to do when they change."""

    paths: (
        Annotated[
            tuple[PathText, ...],
            Meta(min_length=1),
            key(
                "Files to watch. Default: those that nginx's own configuration test names; of the other "
                "servers the file that `config` names.",
                example=["settings.ini"],
            ),
        ]
        | UnsetType
    ) = UNSET
    action: (
        Annotated[
            Literal["reload", "restart"],
            key("What to do.", default=_WATCH.action, example="restart"),
        ]
        | UnsetType
    ) = UNSET
    debounce: (
        Annotated[
            Duration,
            key(
                "Wait until the files were left alone for so long.", default=_WATCH.debounce, example="300ms"
            ),
        ]
        | UnsetType
    ) = UNSET


def _role(of_what: str, example: list[str]) -> Meta:
    return key(f"{of_what} Users, and groups with an `@` before the name.", example=example)


class RolesTable(Table, frozen=True):
    """`[control.roles]`: who on this machine may do what."""

    view: (
        Annotated[
            tuple[Annotated[str, Meta(min_length=1)], ...],
            _role("Who may look: `status`, `events`, `wait`, `apply --plan`.", ["carol", "@www-data"]),
        ]
        | UnsetType
    ) = UNSET
    operate: (
        Annotated[
            tuple[Annotated[str, Meta(min_length=1)], ...],
            _role(
                "Who may besides `start`, `stop`, `restart`, `reload`, `signal` and `reset`.",
                ["alice", "@deploy"],
            ),
        ]
        | UnsetType
    ) = UNSET
    admin: (
        Annotated[
            tuple[Annotated[str, Meta(min_length=1)], ...],
            _role("Who may do everything: `apply` and `shutdown` too.", ["bob"]),
        ]
        | UnsetType
    ) = UNSET


class NetworkTable(Table, frozen=True):
    """`[control.network]`: stackd listens to other machines, with keys only."""

    listen: (
        Annotated[
            TcpEndpoint,
            key("Endpoint for requests, with a numeric host. Has to be given.", example="tcp://0.0.0.0:7890"),
        ]
        | UnsetType
    ) = UNSET
    events: (
        Annotated[
            TcpEndpoint,
            key("Endpoint for notices. Default: the next port.", example="tcp://0.0.0.0:7891"),
        ]
        | UnsetType
    ) = UNSET
    keys: (
        Annotated[
            PathText,
            key(
                "Folder of the keys, which `stackctl keygen` makes: `server.key_secret`, `clients/NAME.key` "
                "and `roles.toml`. Default: `keys` in the folder of this file.",
                example="/etc/stackd/keys",
            ),
        ]
        | UnsetType
    ) = UNSET
