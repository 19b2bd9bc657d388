"""Whether anybody listens at the control socket, asked of the kernel.

ZeroMQ's connect never fails: without a daemon, and without permission, its messages just wait. A
plain connect(2) to the same socket answers at once, and says which of the two it is.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

from supervisor_stack.errors import (
    NotPermittedError,
    RequestError,
    StackError,
    TimedOutError,
    UnreachableError,
)

SCHEME = "ipc://"
TCP = "tcp://"
NOT_RUNNING = "it is not running"
"""How the message of an UnreachableError ends when nobody listens."""
DEFAULT_CONFIG = "/etc/stackd/stackd.toml"


def config_file(path: str | os.PathLike[str] = "") -> str:
    """The configuration file that is meant: this one, that of $STACKD_CONFIG, or the usual one."""
    return os.fspath(path) or os.environ.get("STACKD_CONFIG") or DEFAULT_CONFIG


def configured(path: str | os.PathLike[str] = "") -> str:
    """The endpoint where the stackd of that configuration file listens. Raises ConfigError."""
    # With a known endpoint nothing of the configuration is needed, tomli included.
    from supervisor_stack.config import locate

    return locate(config_file(path), os.environ).socket


def socket_path(endpoint: str) -> str:
    """The path of the unix socket behind an endpoint. Raises RequestError."""
    path = endpoint.removeprefix(SCHEME)
    if path == endpoint or not path:
        cure = f"; did you mean {SCHEME}{endpoint}?" if endpoint.startswith("/") else ""
        raise RequestError(f"cannot reach stackd at {endpoint}: it is not an {SCHEME} endpoint{cure}")
    return path


def address_of(endpoint: str) -> tuple[str, int]:
    """Host and port of a tcp endpoint. Raises RequestError."""
    host, _, port = endpoint.removeprefix(TCP).rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port[:6]) < 65536:
        raise RequestError(f"cannot reach stackd at {endpoint}: write {TCP}HOST:PORT")
    return host.strip("[]"), int(port)


def knock(endpoint: str, timeout: float) -> None:
    """Return when somebody listens there.

    Raises UnreachableError, NotPermittedError, TimedOutError (stackd exists and accepts nobody for
    `timeout` seconds) and RequestError (not an endpoint).
    """
    if endpoint.startswith(TCP):
        _knock_at_port(endpoint, timeout)
    else:
        _knock_at_path(endpoint, timeout)


def _knock_at_port(endpoint: str, timeout: float) -> None:
    try:
        socket.create_connection(address_of(endpoint), timeout).close()
    except OSError as error:
        raise not_at_port(endpoint, error, timeout) from None


def not_at_port(endpoint: str, error: OSError, timeout: float) -> StackError:
    """What is wrong when the port of a tcp endpoint cannot be connected to, within `timeout` seconds."""
    subject = f"cannot reach stackd at {endpoint}"
    match error:
        case ConnectionRefusedError():
            return UnreachableError(f"{subject}: it is not running, or listens elsewhere")
        case TimeoutError():
            return TimedOutError(
                f"{subject}: no answer within {timeout:g} s",
                ("the machine is down, or a firewall is in between",),
            )
        case _:
            return UnreachableError(f"{subject}: {error.strerror or error}")


def _knock_at_path(endpoint: str, timeout: float) -> None:
    path = socket_path(endpoint)
    subject = f"cannot reach stackd at {endpoint}"
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(timeout)
        try:
            probe.connect(path)
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            raise UnreachableError(f"{subject}: {NOT_RUNNING}") from None
        except PermissionError:
            raise NotPermittedError(f"{subject}: permission denied", _who_may(path)) from None
        except (TimeoutError, BlockingIOError):
            # unix(7), connect(2): the queue of connections that nobody accepts is full.
            raise TimedOutError(f"{subject}: it accepts no connection") from None
        except OSError as error:
            # Also a path that does not fit sockaddr_un ("AF_UNIX path too long"), which has no errno.
            raise UnreachableError(f"{subject}: {error.strerror or error}") from None


def _who_may(path: str) -> tuple[str, ...]:
    """Owner, group and mode of the socket, and who is asking."""
    me = f"you are {_user(os.geteuid())}"
    try:
        found = Path(path).stat()
    except OSError:
        return (f"{me}, who may not look into {Path(path).parent}",)
    owner, group, mode = _user(found.st_uid), _group(found.st_gid), found.st_mode & 0o7777
    return (
        f"{path} belongs to user {owner} and group {group}, mode {mode:04o}",
        f"{me}; the configuration of stackd lets others in by control.group and [control.roles]",
    )


def _user(uid: int) -> str:
    # Here and below: a name service is loaded for this one message alone.
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group(gid: int) -> str:
    import grp

    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
