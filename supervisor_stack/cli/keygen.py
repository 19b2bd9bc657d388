"""The verb keygen: a pair of keys, its secret half for one reader only, and never written over another."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from supervisor_stack.cli.hosts import hosts_file
from supervisor_stack.cli.options import Options
from supervisor_stack.cli.output import emit, say, tell
from supervisor_stack.cli.shapes import KeyPair
from supervisor_stack.cli.target import config_file
from supervisor_stack.config.keys import CLIENTS, KEY_NAME, LEAST, PUBLIC, ROLES, SECRET, SERVER, read_roles
from supervisor_stack.config.places import keys_folder
from supervisor_stack.config.words import bare
from supervisor_stack.errors import RefusedError, RequestError
from supervisor_stack.spec import Role


class Files(NamedTuple):
    """Where the halves of a pair go."""

    public: Path
    secret: Path


def keygen(options: Options) -> int:
    """Make a key of this stackd, or of somebody who is to talk to one."""
    if options.server == bool(options.names):
        raise RequestError("cannot make a key: for whom? write keygen --server, or keygen NAME")
    try:
        return _keygen(options)
    except OSError as error:
        raise RefusedError(f"cannot make a key: {error.filename}: {error.strerror}") from error


def _keygen(options: Options) -> int:
    if options.server:
        return _for_server(options)
    name = options.names[0]
    if re.fullmatch(KEY_NAME, name) is None or name == SERVER:
        raise RequestError(f"cannot make the key {name}: use letters, digits, _, . and -, and not `{SERVER}`")
    folder = Path(options.keys or (keys_folder(config_file(options), os.environ) if options.role else ""))
    if options.role or (options.keys and (folder / f"{SERVER}{PUBLIC}").exists()):
        return _for_client_of(folder, name, options)
    return _for_myself(name, options)


def _for_server(options: Options) -> int:
    folder = Path(options.keys or keys_folder(config_file(options), os.environ))
    files = Files(folder / f"{SERVER}{PUBLIC}", folder / f"{SERVER}{SECRET}")
    (folder / CLIENTS).mkdir(0o755, parents=True, exist_ok=True)
    _make(files)
    return _tell(
        options,
        files,
        f'to be written below [control.network] in the configuration: keys = "{folder}"',
        f"to be copied to those who connect: {files.public}",
        f"to be copied to {folder / CLIENTS}: the NAME{PUBLIC} that `stackctl keygen NAME` makes there",
    )


def _for_client_of(folder: Path, name: str, options: Options) -> int:
    """Made where stackd is: the public half is where it belongs, the secret one is to be brought away."""
    role: Role = options.role or LEAST
    files = Files(folder / CLIENTS / f"{name}{PUBLIC}", folder / f"{name}{SECRET}")
    problems: list[str] = []
    given = read_roles(folder / ROLES, problems)
    if problems:
        raise RefusedError(f"cannot give {name} a role: {problems[0]}")
    if given.get(name, role) != role:
        raise RefusedError(f"cannot give {name} the role {role}: {folder / ROLES} has {given[name]}")
    files.public.parent.mkdir(0o755, parents=True, exist_ok=True)
    _make(files)
    if name not in given:
        _add_line(folder / ROLES, f'{bare(name)} = "{role}"\n')
    return _tell(
        options,
        files,
        f"{name} has the role {role} when stackd has read that: stackctl apply",
        f"to be moved, on a safe way, to whom it is for: {files.secret}",
        f"to be copied with it: {folder / SERVER}{PUBLIC}",
    )


def _for_myself(name: str, options: Options) -> int:
    folder = Path(options.keys) if options.keys else hosts_file().with_suffix("")
    files = Files(folder / f"{name}{PUBLIC}", folder / f"{name}{SECRET}")
    folder.mkdir(0o700, parents=True, exist_ok=True)
    _make(files)
    return _tell(
        options,
        files,
        f"to be copied to {CLIENTS}/ in the folder of keys of each stackd: {files.public}",
        f'to be written there to {ROLES}: {bare(name)} = "operate", say; then: stackctl apply',
        f"to be copied from there: {SERVER}{PUBLIC}",
        f'to be written here to {hosts_file()}: [hosts.NAME], with address = "tcp://HOST:7890", '
        f'server_key = "…/{SERVER}{PUBLIC}", key = "{files.secret}"',
    )


def _make(files: Files) -> None:
    import zmq

    for path in files:
        if path.exists():
            raise RefusedError(
                f"cannot make a key: {path} is there already",
                ("a key is never written over: whoever knows it would be shut out; remove it first",),
            )
    public, secret = (half.decode() for half in zmq.curve_keypair())
    head = "#   ZeroMQ CURVE {} certificate, made by stackctl keygen\n\nmetadata\ncurve\n"
    halves = f'    public-key = "{public}"\n'
    _write(files.secret, head.format("**secret**") + halves + f'    secret-key = "{secret}"\n', 0o600)
    _write(files.public, head.format("public") + halves, 0o644)


def _write(path: Path, text: str, mode: int) -> None:
    """A new file, that of whoever has the folder: stackd need not be root's."""
    owner = path.parent.stat()
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(file, "w") as stream:
        os.fchmod(file, mode)
        if os.geteuid() == 0:
            os.fchown(file, owner.st_uid, owner.st_gid)
        stream.write(text)


def _add_line(path: Path, line: str) -> None:
    if not path.exists():
        _write(path, line, 0o644)
        return
    with path.open("a+") as file:
        file.seek(0)
        text = file.read()
        file.write(line if text.endswith("\n") or not text else f"\n{line}")


def _tell(options: Options, files: Files, *what_next: str) -> int:
    if options.json:
        emit(KeyPair(public=str(files.public), secret=str(files.secret)))
        return 0
    for path in files:
        say(str(path))
    for line in what_next:
        tell(line)
    return 0
