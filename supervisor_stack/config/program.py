"""What a service runs: the command that the user wrote, or what its kind makes of a configuration file."""

from __future__ import annotations

from supervisor_stack.config.addresses import overlap
from supervisor_stack.config.draft import Draft
from supervisor_stack.config.machine import problem_of_file
from supervisor_stack.config.probe import WITHOUT_ADDRESS
from supervisor_stack.config.process import Process
from supervisor_stack.config.service_table import COMMAND
from supervisor_stack.config.values import parse_address
from supervisor_stack.config.words import near, toml
from supervisor_stack.kinds import KINDS
from supervisor_stack.kinds.base import Facts, Given, Kind
from supervisor_stack.kinds.listen import can_be_held, tcp
from supervisor_stack.spec import Address

_EXAMPLES = {"mysqld": "my.cnf", "uwsgi": "uwsgi.ini"}
"""The usual name of the configuration file, where it is not `KIND.conf`."""


def read_program(draft: Draft, process: Process) -> Facts | None:
    """What there is to know of the program, or None when the mistakes leave nothing."""
    facts = _command(draft, process) if draft.is_command else _server(draft, process)
    if facts is not None:
        draft.wrong(("config",), *facts.problems)
        if draft.given.get("hold") and facts.hold is None and not draft.is_wrong("hold"):
            reason = facts.no_hold or f"{draft.kind.name} cannot take over a socket"
            draft.wrong(("hold",), f"{reason}; remove the key")
    return facts


def _command(draft: Draft, process: Process) -> Facts | None:
    given = draft.given
    of_servers = [key for key in ("config", "binary") if key in given]
    for key in of_servers:
        draft.wrong((key,), f"a service of kind {toml(COMMAND)} has no {key}; {_cure_of_server_key(draft)}")
    if "command" not in given:
        if not of_servers and not draft.is_wrong("command"):
            draft.wrong(
                ("command",), 'is missing; write command = ["PROGRAM", "ARGUMENT"], or the kind of server'
            )
        return Facts(argv=())
    name, *args = given["command"]
    path = draft.site.program(
        name,
        draft.at("command", 0),
        folders=process.path,
        cwd=process.cwd,
        cure="install it, or write its whole path (in a virtualenv it is VENV/bin/PROGRAM)",
    )
    return _learn(draft, process, binary=path, args=(*args, *given.get("args", ())))


def _cure_of_server_key(draft: Draft) -> str:
    """A server whose `kind` was forgotten is mostly named after it."""
    kind = near(draft.name, [name for name in KINDS if name != COMMAND])
    if kind and "kind" not in draft.given:
        return f"did you mean kind = {toml(kind)}?"
    return "write what to run as command"


def _server(draft: Draft, process: Process) -> Facts | None:
    kind = draft.kind
    if "command" in draft.given:
        draft.wrong(
            ("command",),
            f"kind {toml(kind.name)} makes its own command; write what is to be added to it as args",
        )
    config = _config(draft)
    binary = _binary(draft, process)
    if config is None or not binary:
        return None
    return _learn(draft, process, binary=binary, config=config, args=draft.given.get("args", ()))


def _learn(draft: Draft, process: Process, *, binary: str, args: tuple[str, ...], config: str = "") -> Facts:
    probe = draft.given["ready"].given() if "ready" in draft.given else {}
    return draft.kind.learn(
        Given(
            name=draft.name,
            binary=binary,
            config=config,
            args=args,
            user=process.user,
            # A configuration may refer to whatever the service will find in its environment.
            env={**draft.site.environ, **process.env},
            files=draft.site.files,
            group=process.group,
            cwd=process.cwd,
            as_root=process.as_root,
            has_ready="address" in probe or probe.get("type") in WITHOUT_ADDRESS,
            hold=_hold(draft),
            runtime_dir=draft.site.runtime_dir,
            umask=draft.given.get("umask", draft.site.umask),
        )
    )


def _hold(draft: Draft) -> tuple[Address, ...] | None:
    """The sockets that the user wants to be held; None leaves them to the kind."""
    if "hold" not in draft.given:
        return None
    found: list[Address] = []
    for index, text in enumerate(draft.given["hold"]):
        address = parse_address(text, draft.site.base_dir)
        if not address.path:
            address = tcp(address.host, address.port)
        if not can_be_held(address):
            cure = 'write "unix:" and a path' if address.path else f'write "127.0.0.1:{address.port}", say'
            what = "an abstract socket" if address.path else f"{address.host} is no address, so it"
            draft.wrong(("hold", index), f"{what} cannot be held; {cure}")
        elif address in found:
            draft.wrong(("hold", index), f"{address} is there twice; remove one")
        elif other := next((each for each in found if overlap(each, address)), None):
            draft.wrong(("hold", index), f"{address} and {other} are in each other's way; remove one")
        else:
            found.append(address)
    return tuple(found)


def _config(draft: Draft) -> str | None:
    """The configuration file, empty for none. None when it cannot be read."""
    kind = draft.kind
    if draft.is_wrong("config"):
        return None
    if "config" not in draft.given:
        if kind.needs_config:
            draft.wrong(
                ("config",), f"is missing; write the path of its configuration file, {_example(kind)}"
            )
            return None
        return ""
    path = draft.site.absolute(draft.given["config"])
    if problem := problem_of_file(path):
        draft.wrong(
            ("config",),
            f"cannot read {path}: {problem}; write the path of its configuration file, {_example(kind)}",
        )
        return None
    return path


def _example(kind: Kind) -> str:
    return f"such as config = {toml(_EXAMPLES.get(kind.name, f'{kind.name}.conf'))}"


def _binary(draft: Draft, process: Process) -> str:
    site, given, kind = draft.site, draft.given, draft.kind
    if "binary" in given:
        cure = f"install it, or write the path of {kind.binaries[0]}"
        at = draft.at("binary")
        return site.program(given["binary"], at, folders=process.path, cwd=site.base_dir, cure=cure)
    found = site.first_program(kind.binaries, process.path)
    if not found:
        names, folders = " or ".join(kind.binaries), ":".join(process.path)
        draft.wrong(
            ("binary",), f"there is no {names} in {folders}; install {kind.binaries[0]}, or write where it is"
        )
    return found
