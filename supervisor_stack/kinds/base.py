"""What there is to know about a kind of server, as data.

A kind is one module with one `Kind`. Where knowing needs code (finding the addresses in a
configuration file), the kind points at a small pure function; files reach it as text through
`Files`, so that nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from supervisor_stack.spec import Address, Check, Precondition, ProbeSpec, Reload


class Files(Protocol):
    """Read access to files, handed in by whoever may do I/O."""

    def read(self, path: str) -> str:
        """The text of a file. Raises OSError."""

    def glob(self, pattern: str) -> list[str]:
        """The paths that match, sorted."""

    def shebang(self, path: str) -> str:
        """The interpreter of a script, or an empty string for anything else."""


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What the user wrote, with absolute paths: the input of every function of a kind.

    `cwd`: where the service will be started. `as_root`: it will run as the superuser. `has_ready`: the
    user wrote a probe, so that none has to be found.
    """

    name: str
    binary: str
    config: str
    args: tuple[str, ...]
    user: str
    env: dict[str, str]
    files: Files
    cwd: str = "/"
    as_root: bool = False
    has_ready: bool = False


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What was learnt from the service's own configuration."""

    argv: tuple[str, ...]
    addresses: tuple[Address, ...] = ()
    ready: ProbeSpec | None = None
    check: Check | None = None
    preconditions: tuple[Precondition, ...] = ()
    logs: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of server. Durations are seconds.

    `binaries`: names to look for on PATH, best first. `learn` reads the service's configuration.
    `stop_again`: seconds after which the stop signal is repeated, where one that comes too early is
    lost. `reload` None comes with `no_reload`, the reason. `final_exits`: exit statuses that a restart
    cannot cure, and what each means.
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
    needs_config: bool = True
