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
    """A listening address: TCP host and port, or the path of a unix socket.

    `dual`: of the IPv6 wildcard, that it takes IPv4 as well (IPV6_V6ONLY off, ipv6(7)).
    """

    host: str = ""
    port: int = 0
    path: str = ""
    dual: bool = False

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


ProbeType = Literal["notify", "tcp", "unix", "http", "mysql", "redis", "uwsgi", "exec", "hangup", "process"]
"""`hangup`: connects, says nothing, closes its side and waits for the server to do the same; leaves no
trace in a web server's logs. `process`: only looks whether the main process was stopped (SIGSTOP)."""


class ProbeSpec(Spec, frozen=True, kw_only=True):
    """How to find out whether a service answers its own protocol.

    `address` None means: the first address that the service's own configuration test reported. Of an
    `alive` probe: so many `failures` in a row make a service count as hung, and with `any_answer` an
    answer that says "not now" (Redis that loads, a server that is full) counts as a sign of life. `eager`: of
    a `ready` probe, to be asked more often than every `interval` seconds at first.
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
    eager: bool = True
    timeout: float = 5.0
    failures: int = 3
    any_answer: bool = False


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
    """What a service's own configuration test told about its configuration.

    `hold`: those of `addresses` that stackd can hold for it. `logs`, `access_logs`: as in ServiceSpec.
    `problems`: what the service accepts and stackd cannot work with. `pid_file`: where the main process
    writes its number, empty for nowhere.
    """

    files: tuple[str, ...] = ()
    globs: tuple[str, ...] = ()
    addresses: tuple[Address, ...] = ()
    hold: tuple[Address, ...] = ()
    logs: tuple[str, ...] = ()
    access_logs: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    pid_file: str = ""


class Check(Spec, frozen=True, kw_only=True):
    """The service's own test of its configuration.

    `read` makes a report from what the test printed (stdout, stderr). `before_start`: the test is cheap and
    its report is needed, so it runs before every start and not only before a reload. `without_env`:
    variables of the service that would mislead its test. `transient`: a regular expression for
    complaints that may go away by themselves, such as a name server that is not up yet.
    """

    argv: tuple[str, ...]
    timeout: float = 10.0
    before_start: bool = False
    without_env: tuple[str, ...] = ()
    transient: str = ""
    read: Callable[[str, str], CheckReport] | None = None
    evidence: Callable[[str], tuple[str, ...]] | None = None


class Reload(Spec, frozen=True, kw_only=True):
    """How a service takes up a changed configuration without a restart.

    `new_workers`: the reload is done when the same main process has new children; the ready probe
    alone would be answered by the old ones. `failure`: a regular expression for the lines of its
    logs that say that the reload did not work. `by_successor`: where runs can hand over, by a new run in
    place of the signal, as what the service reads cannot be tested before.
    """

    signal: str
    timeout: float = 30.0
    new_workers: bool = False
    by_successor: bool = False
    failure: str = ""


class Hold(Spec, frozen=True, kw_only=True):
    """Listening sockets that stackd keeps open for a service and lends to each of its runs.

    `lend`: how a run takes them over. `nginx`: by the variable NGINX; `address`: it looks among its
    descriptors for the address that it wants; `systemd`: by LISTEN_FDS (sd_listen_fds(3)).
    `addresses` None: those that its configuration test reports. `handover`: a new run may begin while
    processes of the last one still serve. `retire_signal`: makes processes that have lost their main
    process finish and leave; empty when they do so by themselves. `mode`, `user`, `group`: of the files
    of unix sockets. `free_bind`: also at an address that this machine does not have yet (ip(7)).
    `defer_accept`: seconds for which a TCP client that says nothing is kept from the service (tcp(7)).
    """

    lend: Literal["nginx", "address", "systemd"]
    addresses: tuple[Address, ...] | None = None
    handover: bool = False
    retire_signal: str = ""
    mode: int = 0o666
    user: str = ""
    group: str = ""
    free_bind: bool = False
    defer_accept: int = 0


class Fifo(Spec, frozen=True, kw_only=True):
    """A pipe that the main process reads orders from. `{run}` in `path` is the number of the run.

    `option` tells the service to make it there, in a folder that has to be there and to belong to `user`
    (a name or a number; empty: whom the service runs as); empty when its configuration does. `stop`: the
    order to finish what it is doing and leave. `remind`: a signal for those children of the main process
    that catch it, when the order is repeated: they may have been too young to hear of it.
    """

    path: str
    option: str = ""
    user: str = ""
    stop: str = "q"
    remind: str = ""


class PrivateSocket(Spec, frozen=True, kw_only=True):
    """A unix socket of a run's own, where it can be asked apart from others that serve beside it.

    `{run}` in `path` is the number of the run; the folder is that of its pipe. `option` tells the service
    to listen there too. `speaks`: the type of a probe that asks there, in place of the ready probe's.
    """

    path: str
    option: str
    speaks: ProbeType


class PidFile(Spec, frozen=True, kw_only=True):
    """A file that is to have the number of the main process in it.

    `user`, `group`: who writes it, by name or number, where that is not whom the service is started as.
    """

    path: str
    user: str = ""
    group: str = ""


class Log(Spec, frozen=True, kw_only=True):
    """Where stdout and stderr of a service go.

    Of a file: it is rotated when it has `max_bytes`, 0 for never, and so many old ones are kept.
    """

    to: Literal["file", "journal", "inherit", "null"] = "file"
    max_bytes: int = 50 * 1024 * 1024
    keep: int = 5


class Watch(Spec, frozen=True, kw_only=True):
    """What to do when files change. No `paths`: those that the configuration test reported."""

    paths: tuple[str, ...] = ()
    action: Literal["reload", "restart"] = "reload"
    debounce: float = 0.3


class ServiceSpec(Spec, frozen=True, kw_only=True):
    """One service, complete: everything that is needed to run it and to judge it.

    `stop_again`: seconds after which the stop signal is repeated, 0 for never. `stop_when_ready`: it must
    not be told to stop while it starts. `kill`: whether SIGKILL may end a stop that takes too long.
    `stop_refusal`: a regular expression for the lines of its logs that say that it does not obey its stop
    signal. `fifo`: asked to stop by this first, where there is one. `private`: where a run is asked by
    itself. `final_exits`, `wish_exits`: exit statuses that no restart cures, and those by which it asks
    for one. `notify`: give it a notify socket also when its ready probe is another. `parent_variable`:
    where in its environment it looks for the number of its parent. `logs`: the files to which it writes what
    it has to say by itself; `access_logs`: those to which it writes what its clients ask. `pid_files`: those
    that its configuration asks for and that it does not write under stackd. `chatter`: beginnings of lines
    that it prints at each start, and that explain no end. `copy`: how a copy of its
    configuration is made that stands in for files that are broken; empty for not at all.
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
    on_dependency_crash: Literal["hold", "restart"] = "hold"
    backoff: Backoff = Backoff()
    start_limit: StartLimit = StartLimit()
    start_timeout: float = 60.0
    stop_timeout: float = 10.0
    stop_signal: str = "TERM"
    stop_again: float = 0.0
    stop_when_ready: bool = False
    stop_refusal: str = ""
    kill: bool = True
    fifo: Fifo | None = None
    private: PrivateSocket | None = None
    reload: Reload | None = None
    no_reload: str = "it has no reload_signal"
    ready: ProbeSpec | None = None
    alive: ProbeSpec | None = None
    notify: bool = False
    parent_variable: str = ""
    hold: Hold | None = None
    copy: Literal["", "nginx", "uwsgi", "redis", "mysqld"] = ""
    check: Check | None = None
    watch: Watch | None = None
    addresses: tuple[Address, ...] = ()
    preconditions: tuple[Precondition, ...] = ()
    final_exits: dict[int, str] = {}
    wish_exits: dict[int, str] = {}
    logs: tuple[str, ...] = ()
    access_logs: tuple[str, ...] = ()
    pid_files: tuple[PidFile, ...] = ()
    chatter: tuple[str, ...] = ()
    log: Log = Log()
    env: dict[str, str] = {}
    cwd: str = "/"
    user: str = ""
    group: str = ""
    umask: int | None = None
    limits: dict[str, int] = {}
    nice: int | None = None
    oom_score_adj: int | None = None

    @property
    def tells_ready(self) -> bool:
        """Whether only the service itself tells when it is ready (sd_notify(3))."""
        return self.ready is not None and self.ready.type == "notify"


Role = Literal["view", "operate", "admin"]
"""What somebody may do. Each role includes those before it."""


class Grant(Spec, frozen=True, kw_only=True):
    """The role of a user of this machine, or of all members of a group.

    `name`: as in the configuration, that of a group with an @ before it. `number`: its uid or gid.
    """

    role: Role
    name: str
    number: int

    @property
    def is_group(self) -> bool:
        """Whether it is for the members of a group."""
        return self.name.startswith("@")


class ClientKey(Spec, frozen=True, kw_only=True):
    """Somebody who may come over the network. `public`: of his key pair, in Z85 (rfc.zeromq.org/spec/32)."""

    name: str
    public: str
    role: Role


class NetworkSpec(Spec, frozen=True, kw_only=True):
    """Where stackd listens to the network, for whom, and the folder that has the keys.

    The secret key of the server is read from there when it is needed: a specification is shown and kept.
    """

    listen: str
    events: str
    keys: str
    clients: tuple[ClientKey, ...] = ()


class ControlSpec(Spec, frozen=True, kw_only=True):
    """Where stackd listens, and who may do what. `group`: whose members may open the socket."""

    socket: str
    events: str
    group: str = ""
    grants: tuple[Grant, ...] = ()
    network: NetworkSpec | None = None


class StackSpec(Spec, frozen=True, kw_only=True):
    """The whole stack, services in the order of the file.

    `parallel`: a service may start together with one that it requires, when that one's sockets are held.
    """

    name: str
    base_dir: str
    runtime_dir: str
    log_dir: str
    control: ControlSpec
    parallel: bool = False
    services: tuple[ServiceSpec, ...] = ()
    source: str = ""
