"""Who may do what: `[control.roles]` and `[control.network]`, the users, groups and keys that they name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from supervisor_stack.config.keys import SECRET, SERVER, read_clients, read_pair
from supervisor_stack.config.lines import KeyPath
from supervisor_stack.config.site import Site
from supervisor_stack.config.tables import NetworkTable, RolesTable
from supervisor_stack.config.values import MAX_PORT, TcpEndpoint
from supervisor_stack.config.words import toml
from supervisor_stack.spec import ClientKey, Grant, NetworkSpec, Role

_ROLES = ("control", "roles")
_NETWORK = ("control", "network")


def read_grants(group: str, roles: RolesTable | None, site: Site) -> tuple[Grant, ...]:
    """The roles of users and groups. The members of the `group` of the socket may look."""
    named: list[tuple[Role, str, KeyPath]] = []
    if group:
        named.append((get_args(Role)[0], f"@{group}", ("control", "group")))
    for role in get_args(Role):
        for index, name in enumerate(roles.given().get(role, ()) if roles else ()):
            named.append((role, name, (*_ROLES, role, index)))
    return tuple(_grants(named, site))


def _grants(named: list[tuple[Role, str, KeyPath]], site: Site) -> Iterator[Grant]:
    for role, name, at in named:
        plain = name.removeprefix("@")
        is_group = plain != name
        number = site.group_id(plain) if is_group else site.user_id(plain)
        if number is not None:
            yield Grant(role=role, name=name, number=number)
        elif is_group:
            site.mistakes.add(at, f"there is no group {toml(plain)}; create it, or name another")
        elif site.group_id(plain) is not None:
            site.mistakes.add(at, f"there is no user {toml(plain)}; a group is written {toml('@' + plain)}")
        else:
            site.mistakes.add(at, f"there is no user {toml(plain)}; create it, or name another")


def read_network(table: NetworkTable | None, site: Site) -> NetworkSpec | None:
    """Where stackd listens to the network, and for which keys."""
    if table is None:
        return None
    given: dict[str, Any] = table.given()
    keys = Path(site.absolute(given.get("keys", site.keys)))
    if "listen" not in given:
        if not site.mistakes.has(*_NETWORK, "listen"):
            site.mistakes.add(_NETWORK, 'has no listen; write listen = "tcp://0.0.0.0:7890", say')
        return None
    listen = given["listen"]
    events = given.get("events") or _next_port(listen, site)
    if events == listen:
        site.mistakes.add((*_NETWORK, "events"), "is where requests go; write another port")
    clients, problems = _read_keys(keys)
    site.mistakes.add((*_NETWORK, "keys"), *problems)
    return NetworkSpec(listen=str(listen), events=str(events), keys=str(keys), clients=clients)


def _next_port(listen: TcpEndpoint, site: Site) -> str:
    host, _, port = listen.rpartition(":")
    if int(port) >= MAX_PORT:
        site.mistakes.add((*_NETWORK, "listen"), "leaves no port behind it for events; write a smaller port")
    return f"{host}:{int(port) + 1}"


def _read_keys(folder: Path) -> tuple[tuple[ClientKey, ...], list[str]]:
    if not folder.is_dir():
        return (), [f"there is no folder {folder}; make it: stackctl keygen --server --keys {folder}"]
    clients, problems = read_clients(folder)
    try:
        read_pair(folder / f"{SERVER}{SECRET}")
    except ValueError as error:
        problems.insert(0, str(error))
    return clients, problems
