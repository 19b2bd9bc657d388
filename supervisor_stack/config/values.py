"""The values of the configuration that are more than a plain string or number.

Each is a class with `parse`, which makes it from what TOML holds: it raises TypeError for a type
that it never takes, and ValueError with "what is wrong; what would be right" for the rest. `noun`
and `schema` (a JSON schema) say the same to people and to editors. Nothing here looks at the
machine: whether a path or a program exists is decided where the spec is built.
"""

from __future__ import annotations

import re
import resource
import signal
from pathlib import PurePosixPath
from typing import Any, ClassVar, Protocol, Self

from supervisor_stack.config.words import did_you_mean, near, toml
from supervisor_stack.spec import Address

MAX_DURATION = 365 * 24 * 3600.0
MAX_SIZE = 2**63 - 1
MAX_PORT = 65535
# With the closing NUL sun_path has 108 bytes on Linux (unix(7)) and 104 on the BSDs and macOS: what keeps to
# the smaller one can be reached by every client.
MAX_SOCKET_PATH = 103

LIMITS = {
    name.removeprefix("RLIMIT_").lower(): getattr(resource, name)
    for name in sorted(dir(resource))
    # RLIMIT_OFILE is the BSD name of RLIMIT_NOFILE.
    if name.startswith("RLIMIT_") and name != "RLIMIT_OFILE"
}

_VARIABLE = r"^.*\$\{.*$"
_DURATION_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)?"
_SIZE_UNITS = {"": 1, "b": 1} | {
    f"{prefix}{suffix}": base**power
    for power, prefix in enumerate("kmgt", start=1)
    for suffix, base in (("b", 1000), ("ib", 1024))
}
# Twenty digits are beyond every size, and far from what makes a float infinite.
_SIZE = r"([0-9]{1,20}(?:\.[0-9]{1,20})?) ?([A-Za-z]*)"
_SIGNALS = tuple(known.name.removeprefix("SIG") for known in signal.Signals)
# Numeric: what connects must never wait for a name server.
_HOST = r"localhost|\*|[0-9.]*|\[[0-9A-Fa-f:.]+(%[0-9A-Za-z]+)?\]"


class Value(Protocol):
    """What every class here offers to the walk over the configuration."""

    noun: ClassVar[str]
    schema: ClassVar[dict[str, Any]]

    @classmethod
    def parse(cls, value: object) -> Self:
        """The value that TOML's `value` stands for."""


class Duration(float):
    """Seconds, zero or more, from a number or a string with a unit."""

    noun: ClassVar[str] = "a duration"
    schema: ClassVar[dict[str, Any]] = {
        "anyOf": [
            {"type": "number", "minimum": 0, "maximum": MAX_DURATION},
            {"type": "string", "pattern": r"^\d+(\.\d+)?(ms|s|m|h|d)?$"},
            {"type": "string", "pattern": _VARIABLE},
        ]
    }

    @classmethod
    def parse(cls, value: object) -> Self:
        """Raises ValueError beyond a year: a slip of the pen, and still far from where timers overflow."""
        if isinstance(value, str):
            match = re.fullmatch(_DURATION, value)
            if match is None:
                raise ValueError(
                    f"{toml(value)} is not a duration; write a number of seconds, "
                    'or a string such as "1.5s", "500ms", "2m" or "1h"'
                )
            seconds = float(match[1]) * _DURATION_UNITS[match[2] or "s"]
        elif isinstance(value, int | float) and not isinstance(value, bool):
            # An int of TOML may be too large for a float.
            seconds = float(min(value, MAX_DURATION + 1))
        else:
            raise TypeError
        if not 0 <= seconds <= MAX_DURATION:
            raise ValueError(f"{toml(value)} is out of range; write a duration from 0 to 365 days")
        return cls(seconds)


class Timeout(Duration):
    """Seconds, more than zero."""

    schema: ClassVar[dict[str, Any]] = {
        "anyOf": [
            {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_DURATION},
            *Duration.schema["anyOf"][1:],
        ]
    }

    @classmethod
    def parse(cls, value: object) -> Self:
        """Raises ValueError for zero as well: it would be over before it began."""
        seconds = super().parse(value)
        if not seconds:
            raise ValueError("is zero; write a duration longer than that")
        return seconds


class Size(int):
    """Bytes, from a number or a string with a unit; kB is 1000, KiB is 1024."""

    noun: ClassVar[str] = "a size"
    schema: ClassVar[dict[str, Any]] = {
        "anyOf": [
            {"type": "integer", "minimum": 0},
            {"type": "string", "pattern": r"^\d+(\.\d+)? ?([kKmMgGtT][iI]?)?[bB]?$"},
            {"type": "string", "pattern": _VARIABLE},
        ]
    }

    @classmethod
    def parse(cls, value: object) -> Self:
        """Raises ValueError for a unit that does not say whether it means 1000 or 1024."""
        if isinstance(value, str):
            match = re.fullmatch(_SIZE, value)
            if match is None or match[2].lower() not in _SIZE_UNITS:
                raise ValueError(
                    f"{toml(value)} is not a size; write a number of bytes, "
                    'or a string such as "10MiB" or "1GB"'
                )
            size = int(float(match[1]) * _SIZE_UNITS[match[2].lower()])
        elif isinstance(value, int) and not isinstance(value, bool):
            size = value
        else:
            raise TypeError
        if not 0 <= size <= MAX_SIZE:
            raise ValueError(f"{toml(value)} is out of range; write a size from 0 to {MAX_SIZE} bytes")
        return cls(size)


class Limit(Size):
    """A resource limit: a number, a size, or -1 for none (as `resource.RLIM_INFINITY`)."""

    noun: ClassVar[str] = 'a whole number, a size or "infinity"'
    schema: ClassVar[dict[str, Any]] = {"anyOf": [*Size.schema["anyOf"], {"const": "infinity"}]}

    @classmethod
    def parse(cls, value: object) -> Self:
        """Raises ValueError for what is no Size either."""
        if value == "infinity":
            return cls(resource.RLIM_INFINITY)
        try:
            return super().parse(value)
        except ValueError as error:
            raise ValueError(f"{toml(value)} is not a limit; write {cls.noun}") from error


class SignalName(str):
    """A signal without its SIG, as in `HUP`."""

    __slots__ = ()
    noun: ClassVar[str] = "the name of a signal"
    schema: ClassVar[dict[str, Any]] = {"type": "string", "pattern": r"^(SIG)?[A-Z0-9]+$|\$\{"}

    @classmethod
    def parse(cls, value: object) -> Self:
        """Raises ValueError for a signal that this system does not have."""
        if not isinstance(value, str):
            raise TypeError
        name = value.upper().removeprefix("SIG")
        if name not in _SIGNALS:
            cure = did_you_mean(near(name, _SIGNALS)) or 'write a name such as "TERM", "QUIT" or "HUP"'
            raise ValueError(f"{toml(value)} is not a signal; {cure}")
        return cls(name)


class Umask(int):
    """A file mode creation mask, from octal digits."""

    noun: ClassVar[str] = "a string of octal digits"
    schema: ClassVar[dict[str, Any]] = {"type": "string", "pattern": r"^(0o?)?[0-7]{1,3}$|\$\{"}

    @classmethod
    def parse(cls, value: object) -> Self:
        """Raises TypeError for a number: TOML's 27 is not 0o27, and 0o27 arrives here as 23."""
        if not isinstance(value, str):
            raise TypeError
        if re.fullmatch("(0o?)?[0-7]{1,3}", value) is None:
            raise ValueError(f'{toml(value)} is not a umask; write three octal digits, such as "027"')
        return cls(int(value.removeprefix("0o"), 8))


class PathText(str):
    """A path that is not empty."""

    __slots__ = ()
    noun: ClassVar[str] = "a path"
    schema: ClassVar[dict[str, Any]] = {"type": "string", "minLength": 1}

    @classmethod
    def parse(cls, value: object) -> Self:
        """Raises ValueError for an empty one, which would mean the folder it is relative to."""
        if not isinstance(value, str):
            raise TypeError
        if not value:
            raise ValueError("is empty; write a path, or remove the key for its default")
        if value == "~" or value.startswith("~/"):
            raise ValueError(f"{toml(value)} has a ~, which only shells know; write the whole path")
        return cls(value)


class AddressText(str):
    """An address to reach a service at; `parse_address` has made sure that it is one."""

    __slots__ = ()
    noun: ClassVar[str] = "an address"
    schema: ClassVar[dict[str, Any]] = {"type": "string", "pattern": r"^(unix:.+|.*:\d+)$|\$\{"}

    @classmethod
    def parse(cls, value: object) -> Self:
        """Raises ValueError as parse_address does."""
        if not isinstance(value, str):
            raise TypeError
        parse_address(value, "/")
        return cls(value)


class Endpoint(str):
    """The endpoint of the control socket, `ipc://PATH`."""

    __slots__ = ()
    noun: ClassVar[str] = "an endpoint"
    schema: ClassVar[dict[str, Any]] = {"type": "string", "pattern": r"^ipc://.+|\$\{"}

    @classmethod
    def parse(cls, value: object) -> Self:
        """Raises ValueError for every other transport."""
        if not isinstance(value, str):
            raise TypeError
        if value.startswith("tcp://"):
            raise ValueError(
                "the network takes keys, and has a table of its own; remove the key, and write "
                f"[control.network] listen = {toml(value)}"
            )
        if not value.startswith("ipc://") or value == "ipc://":
            path = "/run/stackd/control.sock" if "://" in value else value.removeprefix("unix:")
            raise ValueError(f"{toml(value)} is not an endpoint; write socket = {toml('ipc://' + path)}")
        if value.startswith("ipc://@"):
            raise ValueError(
                "an abstract socket has no permissions, so anybody could connect; write a path after ipc://"
            )
        return cls(value)


class TcpEndpoint(str):
    """Where to listen to the network, `tcp://HOST:PORT`."""

    __slots__ = ()
    noun: ClassVar[str] = "an endpoint"
    schema: ClassVar[dict[str, Any]] = {"type": "string", "pattern": r"^tcp://.*:\d+$|\$\{"}

    @classmethod
    def parse(cls, value: object) -> Self:
        """Raises ValueError for every other transport, and for a host that is a name."""
        if not isinstance(value, str):
            raise TypeError
        if not value.startswith("tcp://"):
            raise ValueError(f'{toml(value)} is not an endpoint; write "tcp://0.0.0.0:7890", say')
        parse_address(value.removeprefix("tcp://"), "/")
        return cls(value)


def absolute(path: str, base_dir: str) -> str:
    """`path`, or the same below `base_dir`. `..` stays: behind a symlink only the kernel knows it."""
    return str(PurePosixPath(base_dir, path))


def parse_address(text: str, base_dir: str) -> Address:
    """The address that `HOST:PORT`, `[HOST]:PORT`, `:PORT` or `unix:PATH` stands for.

    A PATH is relative to `base_dir`. Raises ValueError with what is wrong and what would be right.
    """
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path:
            raise ValueError('has no path; write "unix:" and the path of a socket')
        # unix(7): a name that begins with @ is abstract, and no path.
        path = path if path.startswith("@") else absolute(path, base_dir)
        check_socket_path(path)
        return Address(path=path)
    if text.startswith(("/", "./")):
        raise ValueError(f"{toml(text)} is a path; write {toml('unix:' + text)}")
    if "://" in text:
        raise ValueError(
            f'{toml(text)} is a URL; write "HOST:PORT", and what follows it as path = "/…" of an http probe'
        )
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit():
        example = f"127.0.0.1:{text}" if text.isascii() and text.isdigit() else "127.0.0.1:8000"
        raise ValueError(f'{toml(text)} is not an address; write "HOST:PORT", such as {toml(example)}')
    # Six digits at most: int() refuses thousands of them with an error of its own.
    if len(port) > 6 or not 1 <= int(port) <= MAX_PORT:
        raise ValueError(f"{port[:12]} is not a port; write a number from 1 to {MAX_PORT}")
    if host.count(":") > 1 and not host.startswith("["):
        raise ValueError(f"{toml(text)} does not tell host from port; write {toml(f'[{host}]:{port}')}")
    if not re.fullmatch(_HOST, host):
        raise ValueError(
            f"{toml(host)} is not a numeric address; write the one that the service listens on, "
            f"such as {toml(f'127.0.0.1:{port}')}"
        )
    host = "127.0.0.1" if host == "localhost" else host.strip("[]")
    return Address(host=host, port=int(port))


def check_socket_path(path: str) -> None:
    """Raises ValueError for a path that no unix socket can have."""
    length = len(path.encode(errors="surrogateescape"))
    if length > MAX_SOCKET_PATH:
        raise ValueError(
            f"{path} has {length} bytes, and the path of a unix socket has at most {MAX_SOCKET_PATH}; "
            "choose a shorter one"
        )
