"""From `ready` or `alive` to a ProbeSpec: which keys go with which type, and what the kind knows already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from supervisor_stack.config.draft import Draft
from supervisor_stack.config.process import Process
from supervisor_stack.config.tables import ProbeTable
from supervisor_stack.config.values import parse_address
from supervisor_stack.config.words import toml
from supervisor_stack.kinds.alive import INTERVAL
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
    "hangup": ("address", *_REPEATED),
    "process": ("interval",),
}
"""The keys that each type of probe has beside `type`, and `failures` where it goes on."""

Purpose = Literal["ready", "alive"]

_NOT_FOR: dict[Purpose, dict[ProbeType | None, str]] = {
    "ready": {"process": "a process that is there need not be ready; it is for alive"},
    "alive": {"notify": "who hangs cannot say so; it is for ready"},
}

WITHOUT_ADDRESS = tuple(kind for kind, keys in KEYS.items() if "address" not in keys)


def read_probe(draft: Draft, name: Purpose, facts: Facts | None, process: Process) -> ProbeSpec | None:
    """The probe that the user wrote, completed by the kind's own one, or that one alone.

    `facts` None: what the kind would know is not known, and nothing is said of what it may complete.
    """
    own: ProbeSpec | None = getattr(facts, name) if facts else None
    written: ProbeTable | bool | None = draft.given.get(name)
    if not isinstance(written, ProbeTable):
        if written and facts is not None and own is None:
            draft.wrong((name,), f"how to ask is not known; write {name} = {{type = ...}}, or remove it")
        return own if written is not False else None
    given = written.given()
    kind = _type(draft, name, given.pop("type", own.type if own else None), facts)
    if kind is None:
        return None
    keys = _keys(draft, name, kind, given)
    given = {key: value for key, value in given.items() if key in keys}
    _check_request(draft, name, given)
    if "address" in keys:
        given["address"] = _address(draft, name, given, kind, facts)
        _check_held(draft, name, given["address"], kind, facts)
    if "command" in keys:
        given["command"] = _command(draft, name, given, process)
    if {"path", "host", "expect"} & given.keys():
        given["method"] = "GET"  # whoever names a page wants that page, whatever the kind would ask
    base = own if own and own.type == kind else ProbeSpec(type=kind)
    if name == "ready" and "interval" in given:
        given["eager"] = False
    if name == "alive":
        given["any_answer"] = "address" in keys and "expect" not in given
        given.setdefault("interval", base.interval if base is own else INTERVAL)
    return msgspec.structs.replace(base, **given)


def _type(draft: Draft, name: Purpose, kind: ProbeType | None, facts: Facts | None) -> ProbeType | None:
    """The type, or None when there is none that could be judged further."""
    at = (name, "type")
    if kind in _NOT_FOR[name]:
        draft.wrong(at, f"{toml(kind)} does not fit here: {_NOT_FOR[name][kind]}")
    elif kind is None and facts is not None and not draft.is_wrong(*at):
        types = [each for each in KEYS if each not in _NOT_FOR[name]]
        draft.wrong(at, f"is missing; write one of {', '.join(map(toml, types))}")
    return None if draft.is_wrong(*at) else kind


def _keys(draft: Draft, name: Purpose, kind: ProbeType, given: Mapping[str, Any]) -> tuple[str, ...]:
    """The keys that a probe of this type has here; what else is given is a mistake."""
    keys = (*KEYS[kind], *(("failures",) if name == "alive" else ()))
    for key in given:
        if key == "failures" and name == "ready":
            draft.wrong((name, key), "is for a probe that goes on, alive = {...}; remove it")
        elif key not in keys:
            others = f"it has {', '.join(keys)}" if keys else "it has no other keys"
            draft.wrong((name, key), f"a probe of type {toml(kind)} has no {key}; {others}")
    return keys


def _address(
    draft: Draft, name: str, given: Mapping[str, Any], kind: ProbeType, facts: Facts | None
) -> Address | None:
    if "address" in given:
        return _written_address(draft, name, given["address"], kind)
    if facts is None:
        return None
    own = facts.ready.address if facts.ready else None
    for address in (own, *facts.addresses):
        if address and _suits(address, kind):
            return address
    # None: the daemon takes the first address that the configuration test reports.
    if not draft.is_wrong(name, "address") and (facts.check is None or not facts.check.before_start):
        right = 'address = "unix:run/app.sock"' if kind == "unix" else 'address = "127.0.0.1:8000"'
        draft.wrong((name, "address"), f"is missing; write where the service listens, such as {right}")
    return None


def _check_held(
    draft: Draft, name: str, address: Address | None, kind: ProbeType, facts: Facts | None
) -> None:
    """At a held socket a connection is made by the kernel, whether or not somebody serves it."""
    hold = facts.hold if facts else None
    if kind not in ("tcp", "unix") or hold is None:
        return
    if hold.addresses is None or address in hold.addresses:
        draft.wrong(
            (name, "type"),
            "a connection says nothing where stackd holds the socket; write a type that asks something, "
            'such as "http" or "hangup", or hold = []',
        )


def _written_address(draft: Draft, name: str, written: str, kind: ProbeType) -> Address | None:
    at = (name, "address")
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


def _command(draft: Draft, key: str, given: Mapping[str, Any], process: Process) -> tuple[str, ...]:
    if "command" not in given:
        if not draft.is_wrong(key, "command"):
            draft.wrong((key, "command"), 'is missing; write what to run, such as command = ["pg_isready"]')
        return ()
    name, *args = given["command"]
    at = draft.at(key, "command", 0)
    cure = "install it, or write its whole path"
    return (draft.site.program(name, at, folders=process.path, cwd=process.cwd, cure=cure), *args)


def _check_request(draft: Draft, name: str, given: Mapping[str, Any]) -> None:
    """What goes into a request as it is must not be able to break it."""
    path, host = given.get("path", "/"), given.get("host", "localhost")
    if not path.startswith("/"):
        draft.wrong((name, "path"), f"{toml(path)} is not the path of a page; write {toml('/' + path)}")
    elif not _is_plain(path):
        draft.wrong((name, "path"), f"{toml(path)} is not a path of HTTP; write spaces and the like as %20")
    if not host or not _is_plain(host) or "/" in host:
        draft.wrong((name, "host"), f'{toml(host)} is not a host; write a name such as "www.example.org"')


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text
