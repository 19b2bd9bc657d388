"""From a `ready` table to a ProbeSpec: which keys go with which type, and what the kind knows already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from supervisor_stack.config.draft import Draft
from supervisor_stack.config.process import Process
from supervisor_stack.config.values import parse_address
from supervisor_stack.config.words import toml
from supervisor_stack.kinds.base import Facts
from supervisor_stack.spec import Address, ProbeSpec, ProbeType

_REPEATED = ("interval", "timeout")
KEYS: dict[ProbeType, tuple[str, ...]] = {
    "notify": (),
    "tcp": ("address", *_REPEATED),
    "unix": ("address", *_REPEATED),
    "http": ("address", "path", "host", "expect", *_REPEATED),
    "mysql": ("address", *_REPEATED),
    "redis": ("address", "password", *_REPEATED),
    "uwsgi": ("address", "path", "host", "expect", *_REPEATED),
    "exec": ("command", *_REPEATED),
}
"""The keys that each type of probe has beside `type`."""

WITHOUT_ADDRESS = tuple(kind for kind, keys in KEYS.items() if "address" not in keys)


def read_probe(draft: Draft, facts: Facts | None, process: Process) -> ProbeSpec | None:
    """The probe that the user wrote, completed by the kind's own one, or that one alone.

    `facts` None: what the kind would know is not known, and nothing is said of what it may complete.
    """
    own = facts.ready if facts else None
    if "ready" not in draft.given:
        return own
    given: dict[str, Any] = draft.given["ready"].given()
    kind: ProbeType | None = given.pop("type", own.type if own else None)
    if kind is None and facts is not None and not draft.is_wrong("ready", "type"):
        draft.wrong(("ready", "type"), f"is missing; write one of {', '.join(map(toml, KEYS))}")
    if kind is None or draft.is_wrong("ready", "type"):
        return None
    if "failures" in given:
        # Of a probe that goes on when the service is ready; this one asks until it is.
        draft.wrong(("ready", "failures"), "is not supported yet; remove it")
    keys = KEYS[kind]
    for key in given:
        if key not in keys:
            others = f"it has {', '.join(keys)}" if keys else "it has no other keys"
            draft.wrong(("ready", key), f"a probe of type {toml(kind)} has no {key}; {others}")
    given = {key: value for key, value in given.items() if key in keys}
    _check_request(draft, given)
    if "address" in keys:
        given["address"] = _address(draft, given, kind, facts)
    if "command" in keys:
        given["command"] = _command(draft, given, process)
    base = own if own and own.type == kind else ProbeSpec(type=kind)
    if {"path", "host", "expect"} & given.keys():
        given["method"] = "GET"  # whoever names a page wants that page, whatever the kind would ask
    return msgspec.structs.replace(base, **given)


def _address(draft: Draft, given: Mapping[str, Any], kind: ProbeType, facts: Facts | None) -> Address | None:
    if "address" in given:
        return _written_address(draft, given["address"], kind)
    if facts is None:
        return None
    own = facts.ready.address if facts.ready else None
    for address in (own, *facts.addresses):
        if address and _suits(address, kind):
            return address
    # None: the daemon takes the first address that the configuration test reports.
    if not draft.is_wrong("ready", "address") and (facts.check is None or not facts.check.before_start):
        right = 'address = "unix:run/app.sock"' if kind == "unix" else 'address = "127.0.0.1:8000"'
        draft.wrong(("ready", "address"), f"is missing; write where the service listens, such as {right}")
    return None


def _written_address(draft: Draft, written: str, kind: ProbeType) -> Address | None:
    at = ("ready", "address")
    try:
        address = parse_address(written, draft.site.base_dir)
    except ValueError as error:
        draft.wrong(at, str(error))
        return None
    if not _suits(address, kind):
        right = '"unix:" and a path' if kind == "unix" else 'a host and a port, or type = "unix"'
        draft.wrong(at, f"{address} is not for a probe of type {toml(kind)}; write {right}")
    return address


def _suits(address: Address, kind: ProbeType) -> bool:
    return {"unix": bool(address.path), "tcp": not address.path}.get(kind, True)


def _command(draft: Draft, given: Mapping[str, Any], process: Process) -> tuple[str, ...]:
    if "command" not in given:
        if not draft.is_wrong("ready", "command"):
            draft.wrong(
                ("ready", "command"), 'is missing; write what to run, such as command = ["pg_isready"]'
            )
        return ()
    name, *args = given["command"]
    at = draft.at("ready", "command", 0)
    cure = "install it, or write its whole path"
    return (draft.site.program(name, at, folders=process.path, cwd=process.cwd, cure=cure), *args)


def _check_request(draft: Draft, given: Mapping[str, Any]) -> None:
    """What goes into a request as it is must not be able to break it."""
    path, host = given.get("path", "/"), given.get("host", "localhost")
    if not path.startswith("/"):
        draft.wrong(("ready", "path"), f"{toml(path)} is not the path of a page; write {toml('/' + path)}")
    elif not _is_plain(path):
        draft.wrong(
            ("ready", "path"), f"{toml(path)} is not a path of HTTP; write spaces and the like as %20"
        )
    if not host or not _is_plain(host) or "/" in host:
        draft.wrong(("ready", "host"), f'{toml(host)} is not a host; write a name such as "www.example.org"')


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text
