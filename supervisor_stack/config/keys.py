"""The folder of the keys by which machines know each other (CURVE, rfc.zeromq.org/spec/26).

    server.key_secret      of this stackd; its public half is server.key, for those who connect
    clients/NAME.key       whoever may come: the public halves of their keys
    roles.toml             what each may do: NAME = "view", "operate" or "admin"

The files are ZeroMQ's certificates, as zmq.auth and czmq have them. ZeroMQ is imported only to read them.
"""

from __future__ import annotations

import re
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_args

import tomli

from supervisor_stack.config.lines import key_lines
from supervisor_stack.config.machine import problem_of_file, reason
from supervisor_stack.config.words import printable, toml
from supervisor_stack.spec import ClientKey, Role

PUBLIC, SECRET = ".key", ".key_secret"
SERVER = "server"
CLIENTS = "clients"
ROLES = "roles.toml"
KEY_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
"""A name of a key, which is that of its file."""

LEAST: Role = get_args(Role)[0]
"""Of a key that roles.toml does not name."""

_LENGTH = 32
"""Bytes of each half of a key."""


class Pair(NamedTuple):
    """Both halves of a key, in Z85."""

    public: bytes
    secret: bytes


def read_pair(path: Path) -> Pair:
    """The key pair in a file of a secret key.

    Raises ValueError with what is wrong and what would be right; also when others may read the file.
    """
    import zmq

    public, secret = _read(path, "make it with stackctl keygen, or copy it there")
    if secret is None:
        raise ValueError(f"{path} has no secret key, only a public one; name the file NAME{SECRET}")
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise ValueError(f"others may read {path} (mode {mode:04o}); chmod 600 {path}")
    try:
        fits = zmq.curve_public(secret) == public
    except zmq.ZMQError:
        fits = False
    if not fits:
        raise ValueError(f"the two keys in {path} are no pair; copy the file anew, or make another")
    return Pair(public, secret)


def read_public(path: Path) -> bytes:
    """The public key in a file of one. Raises ValueError with what is wrong and what would be right."""
    public, secret = _read(path, "copy it there from where it was made")
    if secret is not None:
        raise ValueError(
            f"{path} has a secret key, which nobody but its owner may have; put NAME{PUBLIC} there instead"
        )
    return public


def read_clients(folder: Path) -> tuple[tuple[ClientKey, ...], list[str]]:
    """Those who may come, by name, and what is wrong with their keys and roles."""
    problems = list(_open_to_others(folder))
    roles = read_roles(folder / ROLES, problems)
    owners: dict[str, str] = {}
    clients = []
    files = {path.stem: path for path in sorted((folder / CLIENTS).glob(f"*{PUBLIC}"))}
    for name, path in files.items():
        try:
            public = read_public(path).decode()
        except ValueError as error:
            problems.append(str(error))
            continue
        if re.fullmatch(KEY_NAME, name) is None:
            problems.append(f"{path} is no name of a key; use letters, digits, _, . and -")
        elif other := owners.get(public):
            problems.append(f"{path} has the same key as {other}{PUBLIC}; remove one of the two")
        else:
            owners[public] = name
            clients.append(ClientKey(name=name, public=public, role=roles.get(name, LEAST)))
    problems.extend(
        f"{_place(folder / ROLES, name)}: a role for {toml(name)}, and there is no {CLIENTS}/{name}{PUBLIC}; "
        "remove the line, or copy the key there"
        for name in roles
        if name not in files
    )
    return tuple(clients), problems


def _read(path: Path, cure: str) -> tuple[bytes, bytes | None]:
    from zmq.auth.certs import load_certificate
    from zmq.utils import z85

    if problem := problem_of_file(str(path)):
        raise ValueError(f"cannot read {path}: {problem}; {cure}")
    try:
        keys = load_certificate(path)
        sizes = {len(z85.decode(key)) for key in keys if key is not None}
    except (OSError, ValueError, IndexError, KeyError, struct.error):
        sizes = set()
    if sizes != {_LENGTH}:
        raise ValueError(
            f"{path} is no key file of ZeroMQ; copy it anew, or make another with stackctl keygen"
        )
    return keys


def _open_to_others(folder: Path) -> Iterator[str]:
    """Where somebody else could put a key of his own, or give himself a role."""
    for path in (folder, folder / CLIENTS, folder / ROLES):
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except FileNotFoundError:
            continue
        except OSError as error:
            yield f"cannot read {path}: {reason(error)}; let the user read it that stackd runs as"
            continue
        if mode & 0o022:
            yield f"others may write to {path} (mode {mode:04o}); chmod go-w {path}"


def _place(roles: Path, name: str) -> str:
    """Where a role stands. Only a file with mistakes pays for it."""
    return f"{roles}:{key_lines(roles.read_text()).get((name,), 1)}"


def read_roles(path: Path, problems: list[str]) -> dict[str, Role]:
    """The roles in a file of them, by the names of the keys. What is wrong is added to `problems`."""
    try:
        given: dict[str, Any] = tomli.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except OSError as error:
        problems.append(f"cannot read {path}: {reason(error)}; let the user read it that stackd runs as")
        return {}
    except ValueError as error:
        problems.append(f'{path} is not TOML: {printable(str(error))}; write lines as NAME = "{LEAST}"')
        return {}
    choices = get_args(Role)
    for name, role in given.items():
        if role not in choices:
            problems.append(
                f"{_place(path, name)}: the role of {toml(name)} is {toml(role)}; "
                f"write one of {', '.join(choices)}"
            )
    return {name: role for name, role in given.items() if role in choices}
