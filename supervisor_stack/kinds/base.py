"""What there is to know about a kind of server, as data.

A kind is one module with one `Kind`. Where knowing needs code (finding the addresses in a
configuration file), the kind points at a small pure function; files reach it as text through
`Files`, so that nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

import msgspec

from supervisor_stack.spec import (
    Address,
    Check,
    Fifo,
    Hold,
    PidFile,
    Precondition,
    PrivateSocket,
    ProbeSpec,
    Reload,
)


class Files(Protocol):
    """Read access to files, handed in by whoever may do I/O."""

    def read(self, path: str) -> str:
        """The text of a file. Raises OSError."""

    def glob(self, pattern: str) -> list[str]:
        """The paths that match, sorted."""

    def shebang(self, path: str) -> str:
        """The interpreter of a script, or an empty string for anything else."""

    def imports(self, path: str, function: str) -> bool:
        """Whether a program takes a function from a shared library."""


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What the user wrote, with absolute paths: the input of every function of a kind.

    `cwd`: where the service will be started. `as_root`: it will run as the superuser. `has_ready`: the
    user wrote a probe, so that none has to be found. `hold`: the sockets to hold, as the user wrote
    them; None leaves them to the kind, and an empty tuple means none. `umask`: with which it will run.
    """

    name: str
    binary: str
    config: str
    args: tuple[str, ...]
    user: str
    env: dict[str, str]
    files: Files
    group: str = ""
    cwd: str = "/"
    as_root: bool = False
    has_ready: bool = False
    hold: tuple[Address, ...] | None = None
    runtime_dir: str = "/run/stackd"
    umask: int = 0o022


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What was learnt from the service's own configuration.

    `no_hold`: why no socket can be held for it, where that is not so for all services of its kind.
    `logs`, `access_logs`, `pid_files`: as in ServiceSpec.
    """

    argv: tuple[str, ...]
    addresses: tuple[Address, ...] = ()
    ready: ProbeSpec | None = None
    alive: ProbeSpec | None = None
    hold: Hold | None = None
    no_hold: str = ""
    fifo: Fifo | None = None
    private: PrivateSocket | None = None
    check: Check | None = None
    preconditions: tuple[Precondition, ...] = ()
    logs: tuple[str, ...] = ()
    access_logs: tuple[str, ...] = ()
    pid_files: tuple[PidFile, ...] = ()
    problems: tuple[str, ...] = ()


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of server. Durations are seconds.

    `binaries`: names to look for on PATH, best first. `learn` reads the service's configuration.
    `stop_again`: seconds after which the stop signal is repeated, where one that comes too early is
    lost. `reload` None comes with `no_reload`, the reason. `final_exits`: exit statuses that a restart
    cannot cure, and what each means; `wish_exits`: those by which the server asks for a restart.
    `kill`: whether a stop that takes too long may end with SIGKILL. `stop_refusal`, `notify`,
    `parent_variable`, `chatter`, `copy`: as in ServiceSpec.
    """

    name: str
    binaries: tuple[str, ...]
    learn: Callable[[Given], Facts]
    env: dict[str, str] = {}
    stop_signal: str = "TERM"
    stop_again: float = 0.0
    stop_timeout: float = 10.0
    start_timeout: float = 60.0
    reload: Reload | None = None
    no_reload: str = ""
    final_exits: dict[int, str] = {}
    wish_exits: dict[int, str] = {}
    kill: bool = True
    stop_refusal: str = ""
    stop_when_ready: bool = False
    notify: bool = False
    parent_variable: str = ""
    chatter: tuple[str, ...] = ()
    copy: Literal["", "nginx", "uwsgi", "redis", "mysqld"] = ""
    needs_config: bool = True
