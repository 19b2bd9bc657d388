"""What a changed configuration means, and in words: the same for stackctl and for stackd's log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

SIGNS = {"added": "+", "removed": "-", "changed": "~", "unchanged": "="}
"""What the first line of a change begins with."""

_GAP = "  "
_INDENT = "    "


class KeyChange(msgspec.Struct, frozen=True, kw_only=True):
    """A key of stackd.toml that differs."""

    key: str  #: its path, such as `log.max_bytes`
    before: str | None  #: its value, in short; null: it was not set
    after: str | None  #: its value, in short; null: it is not set
    hidden: bool = False  #: the values are not told, and empty


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What differs of one service, and what follows."""

    what: Literal["added", "removed", "changed", "unchanged"]  #: unchanged: one that starts needs it
    service: str  #: which; empty: stackd itself
    keys: tuple[KeyChange, ...]  #: those that differ
    effect: Literal["start", "stop", "restart", "none"]  #: what happens to it
    why: str  #: what happens and why, in words


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between the configuration file and what stackd runs."""

    source: str  #: the path of the configuration file
    changes: tuple[Change, ...] = ()  #: none: nothing differs


def lines(plan: Plan) -> Iterator[tuple[str, str]]:
    """Two lines for each change: what differs; what happens and why."""
    for change in plan.changes:
        what = _GAP.join(filter(None, (SIGNS[change.what], change.service, _keys(change))))
        yield what, _INDENT + change.why


def _keys(change: Change) -> str:
    return ", ".join(_key(key, change.what == "changed") for key in change.keys) or "as it is"


def _key(key: KeyChange, differs: bool) -> str:
    """`log.keep: 5 -> 3`, `env.DEBUG added`, and of a whole service `command: sleep 5`."""
    if key.hidden:
        how = "added" if key.before is None else "removed" if key.after is None else "changed"
        return f"{key.key} {how}"
    if not differs:
        return f"{key.key}: {key.after or key.before}"
    before, after = ("not set" if value is None else value for value in (key.before, key.after))
    return f"{key.key}: {before} -> {after}"
