"""What differs between two specifications of a service, key by key, and from when on each key counts.

The keys are those that people write into stackd.toml. Much of a specification is not written there, but
follows from the kind of the service and from its own configuration; it is told as `kind` and `config`.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple, get_args

import msgspec

from supervisor_stack.core.shorthand import in_short, shortened
from supervisor_stack.spec import Address, ControlSpec, Role, ServiceSpec, StackSpec


class When(Enum):
    """From when on a changed key counts."""

    NEW_RUN = "counts from its next run"  # a process has it from the time when it was made
    AT_ONCE = "is taken up at once"
    NEXT_START = "counts from its next start"
    NEXT_STOP = "counts from its next stop"
    NEXT_RELOAD = "counts from its next reload"
    NEXT_FAILURE = "counts from its next failure"
    NEXT_STACKD = "counts from the next start of stackd"


class Field(NamedTuple):
    """A field of a specification. `key`: its key, where that has another name. `follows`: it is not
    written, but follows from what this key says."""

    when: When
    key: str = ""
    follows: str = ""


FIELDS: dict[str, Field] = {
    "kind": Field(When.NEW_RUN),
    "config": Field(When.NEW_RUN),
    "argv": Field(When.NEW_RUN, "command"),
    "type": Field(When.NEW_RUN),
    "user": Field(When.NEW_RUN),
    "group": Field(When.NEW_RUN),
    "env": Field(When.NEW_RUN),
    "cwd": Field(When.NEW_RUN),
    "umask": Field(When.NEW_RUN),
    "limits": Field(When.NEW_RUN),
    "nice": Field(When.NEW_RUN),
    "oom_score_adj": Field(When.NEW_RUN),
    "hold": Field(When.NEW_RUN),
    "log.to": Field(When.NEW_RUN),
    "log.max_bytes": Field(When.AT_ONCE),
    "log.keep": Field(When.AT_ONCE),
    "alive": Field(When.AT_ONCE),
    "watch": Field(When.AT_ONCE),
    "on_dependency_crash": Field(When.AT_ONCE),
    "requires": Field(When.NEXT_START),
    "wants": Field(When.NEXT_START),
    "after": Field(When.NEXT_START),
    "ready": Field(When.NEXT_START),
    "start_timeout": Field(When.NEXT_START),
    "stop_timeout": Field(When.NEXT_STOP),
    "stop_signal": Field(When.NEXT_STOP),
    "kill": Field(When.NEXT_STOP),
    "reload": Field(When.NEXT_RELOAD, "reload_signal"),
    "no_reload": Field(When.NEXT_RELOAD, "reload_signal", follows="kind"),
    "restart": Field(When.NEXT_FAILURE),
    "backoff": Field(When.NEXT_FAILURE),
    "start_limit": Field(When.NEXT_FAILURE),
    "autostart": Field(When.NEXT_STACKD),
    # What it listens at: the probes ask there, so they would miss a process that listens elsewhere.
    "addresses": Field(When.NEW_RUN, follows="config"),
    "fifo": Field(When.NEW_RUN, follows="config"),
    "private": Field(When.NEW_RUN, follows="config"),
    "notify": Field(When.NEW_RUN, follows="kind"),
    "parent_variable": Field(When.NEXT_START, follows="kind"),
    "copy": Field(When.NEXT_START, follows="kind"),
    "check": Field(When.NEXT_START, follows="config"),
    "preconditions": Field(When.NEXT_START, follows="config"),
    "logs": Field(When.NEXT_START, follows="config"),
    "access_logs": Field(When.NEXT_START, follows="config"),
    "pid_files": Field(When.NEXT_START, follows="config"),
    "chatter": Field(When.NEXT_START, follows="kind"),
    "stop_again": Field(When.NEXT_STOP, follows="kind"),
    "stop_when_ready": Field(When.NEXT_STOP, follows="kind"),
    "stop_refusal": Field(When.NEXT_STOP, follows="kind"),
    "final_exits": Field(When.NEXT_FAILURE, follows="kind"),
    "wish_exits": Field(When.NEXT_FAILURE, follows="kind"),
}
"""Every field of a ServiceSpec but its name, or each of its parts, in the order in which they are told."""

OF_THE_PROCESS = tuple(path for path, field in FIELDS.items() if field.when is When.NEW_RUN)

_NOT_WRITTEN = frozenset({"method", "any_answer", "eager"})
"""Parts of a probe that follow from its other keys."""

_PASSWORDS = frozenset({"ready.password", "alive.password"})


class Difference(NamedTuple):
    """A key that differs. `before`, `after`: the values in short, None where it is not set.

    `hidden`: the values are nobody's business, and empty here.
    """

    key: str
    before: str | None
    after: str | None
    when: When
    hidden: bool = False


def needs_new_run(old: ServiceSpec, new: ServiceSpec) -> bool:
    """Whether a process that was made by the old one is not what the new one says."""
    return any(_get(old, path) != _get(new, path) for path in OF_THE_PROCESS)


def differences(old: ServiceSpec, new: ServiceSpec) -> tuple[Difference, ...]:
    """The keys that differ, each once. What only follows is told where nothing else explains it."""
    written: dict[str, Difference] = {}
    following: dict[str, Difference] = {}
    for path, field in FIELDS.items():
        before, after = _get(old, path), _get(new, path)
        if before == after:
            continue
        found = () if field.follows else tuple(_written(path, field, old, new))
        for each in found:
            written.setdefault(each.key, each)
        if not found:
            key = field.follows or ("config" if new.config else "kind")
            following.setdefault(key, _follows(key, path, before, after, field.when))
    if not following or any(each.when is When.NEW_RUN for each in written.values()):
        return tuple(written.values())
    untold = [each for each in following.values() if each.when is When.NEW_RUN or not written]
    return (*written.values(), *untold)


def of_stackd(old: StackSpec, new: StackSpec) -> tuple[Difference, ...]:
    """The keys of [stack] and [control] that differ, all but `runtime_dir`, which cannot."""
    found: list[Difference] = []
    for field in ("name", "base_dir", "log_dir", "parallel"):
        when = When.AT_ONCE if field == "base_dir" else When.NEXT_STACKD
        found += _compare(f"stack.{field}", getattr(old, field), getattr(new, field), when)
    found += _of_control(old.control, new.control)
    return tuple(found)


def _of_control(old: ControlSpec, new: ControlSpec) -> Iterator[Difference]:
    """Where stackd listens waits for the next one; who may do what does not."""
    yield from _compare("control.socket", old.socket, new.socket, When.NEXT_STACKD)
    yield from _compare("control.group", old.group, new.group, When.AT_ONCE)
    for role in get_args(Role):
        # That the members of the group may look is not written there.
        named = [
            tuple(
                each.name
                for each in spec.grants
                if each.role == role and (each.role, each.name) != ("view", f"@{spec.group}")
            )
            for spec in (old, new)
        ]
        yield from _compare(f"control.roles.{role}", named[0], named[1], When.AT_ONCE)
    for field in ("listen", "events", "keys"):
        values = [getattr(spec.network, field, "") for spec in (old, new)]
        yield from _compare(f"control.network.{field}", values[0], values[1], When.NEXT_STACKD)
    clients = [spec.network.clients if spec.network else () for spec in (old, new)]
    known = [tuple(f"{key.name} ({key.role}, {key.public[:6]}…)" for key in keys) for keys in clients]
    yield from _compare("control.network.clients", known[0], known[1], When.AT_ONCE)


def of_whole(spec: ServiceSpec, *, comes: bool) -> Difference:
    """A service that comes or goes, in one key."""
    key = "config" if spec.config else "command"
    value = in_short(key, spec.config or spec.argv)
    return _shown(key, None if comes else value, value if comes else None, When.NEW_RUN)


def _get(spec: ServiceSpec, path: str) -> object:
    field, _, part = path.partition(".")
    value: object = getattr(spec, field)
    return getattr(value, part) if part else value


def _written(path: str, field: Field, old: ServiceSpec, new: ServiceSpec) -> Iterator[Difference]:
    """The keys that people write, as far as they differ."""
    match path:
        case "argv":
            yield from _command_line(old, new)
        case "hold":
            held = [spec.hold.addresses if spec.hold else None for spec in (old, new)]
            yield from _compare(path, held[0], held[1], field.when)
        case "reload":
            signals = [spec.reload.signal if spec.reload else None for spec in (old, new)]
            yield from _compare(field.key, signals[0], signals[1], field.when)
        case _:
            yield from _compare(field.key or path, _get(old, path), _get(new, path), field.when)


def _command_line(old: ServiceSpec, new: ServiceSpec) -> Iterator[Difference]:
    if old.kind != new.kind:
        return  # which says it all
    if not new.config and not old.config:
        yield from _compare("command", old.argv, new.argv, When.NEW_RUN)
        return
    yield from _compare("binary", old.argv[0], new.argv[0], When.NEW_RUN)
    args = [tuple(word for word in spec.argv[1:] if word != spec.config) for spec in (old, new)]
    yield from _compare("args", args[0], args[1], When.NEW_RUN)


def _compare(key: str, before: object, after: object, when: When) -> Iterator[Difference]:
    """The key, or those below it where both sides have some."""
    if before == after:
        return
    old, new = _parts(before), _parts(after)
    if old is not None and new is not None:
        for part in sorted(old.keys() | new.keys()):
            yield from _compare(f"{key}.{part}", old.get(part), new.get(part), when)
    elif key.startswith("env."):
        yield _hidden(key, before is not None, after is not None, when)
    elif key in _PASSWORDS:
        yield _hidden(key, bool(before), bool(after), when)
    else:
        yield _shown(key, in_short(key, before), in_short(key, after), when)


def _hidden(key: str, was_set: bool, is_set: bool, when: When) -> Difference:
    return Difference(key, "" if was_set else None, "" if is_set else None, when, hidden=True)


def _shown(key: str, before: str | None, after: str | None, when: When) -> Difference:
    return Difference(key, *shortened(before, after), when)


def _parts(value: object) -> dict[str, object] | None:
    """What stands below a key; None where that is one value."""
    if isinstance(value, dict):
        return value
    if isinstance(value, msgspec.Struct) and not isinstance(value, Address):
        parts = msgspec.structs.asdict(value)
        return {name: each for name, each in parts.items() if name not in _NOT_WRITTEN}
    return None


def _follows(key: str, path: str, before: object, after: object, when: When) -> Difference:
    if path == "addresses":
        return _shown(key, f"listens at {in_short('', before)}", f"listens at {in_short('', after)}", when)
    return _hidden(key, True, True, when)
