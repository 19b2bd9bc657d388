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
    """A key of stackd.toml that differs, such as `log.max_bytes`.

    `before`, `after`: the values in short, null where it is not set. `hidden`: they are not told, and empty.
    """

    key: str
    before: str | None
    after: str | None
    hidden: bool = False


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What differs of one service, and what follows. `service` empty: of stackd itself.

    `unchanged`: nothing differs of it, but one that starts needs it. `effect`: what happens to it. `why`:
    what happens and why, in words.
    """

    what: Literal["added", "removed", "changed", "unchanged"]
    service: str
    keys: tuple[KeyChange, ...]
    effect: Literal["start", "stop", "restart", "none"]
    why: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between the file `source` and what stackd runs; no `changes`: nothing does."""

    source: str
    changes: tuple[Change, ...] = ()


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
