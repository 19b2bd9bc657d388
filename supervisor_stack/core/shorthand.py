"""Values of the configuration in short, for people: as they are written, on one line, not too long."""

from __future__ import annotations

import shlex

import msgspec

from supervisor_stack.spec import Address, ProbeSpec, Watch

LONGEST = 60
"""Characters of a value that are shown."""

_CONTEXT = 8
"""Characters that are shown around what differs in a longer one."""

_ELLIPSIS = "…"

_SECONDS = frozenset(
    {
        "start_timeout", "stop_timeout", "interval", "timeout", "initial", "max", "reset_after", "debounce",
    }
)  # fmt: skip
_BYTES = frozenset({"max_bytes"})
_COMMANDS = frozenset({"command", "args"})
_UNITS = ("", "KiB", "MiB", "GiB", "TiB")


def in_short(key: str, value: object) -> str | None:
    """A value of this key (`log.max_bytes`) as one writes it; None for one that is not set."""
    match value:
        case None | "":
            return None
        case bool():
            return "true" if value else "false"
        case int() | float():
            return _number(key, value)
        case tuple():
            return _on_one_line(_list(key, value)) or None
        case ProbeSpec():
            return f"{value.type} {value.address or ''}".rstrip()
        case Watch():
            return f"{value.action} at changes of {', '.join(value.paths) or 'its own files'}"
        case msgspec.Struct() if not isinstance(value, Address):
            return " ".join(in_short("", each) or "-" for each in msgspec.structs.astuple(value))
        case _:
            return _on_one_line(str(value))


def _number(key: str, value: float) -> str:
    name = key.rpartition(".")[2]
    if isinstance(value, int):
        if name in _BYTES:
            return _size(value)
        if name == "umask":
            return f"{value:03o}"
        if key.startswith("limits.") and value < 0:
            return "infinity"
        if name not in _SECONDS:
            return str(value)
    return f"{value:g} s" if name in _SECONDS else f"{value:g}"


def _list(key: str, value: tuple[object, ...]) -> str:
    if key.rpartition(".")[2] in _COMMANDS:
        return shlex.join(map(str, value))
    return f"[{', '.join(in_short('', each) or '' for each in value)}]"


def shortened(before: str | None, after: str | None) -> tuple[str | None, str | None]:
    """Both, and where they are long, only what differs between them."""
    if before is None or after is None or max(len(before), len(after)) <= LONGEST:
        return before and _cut(before), after and _cut(after)
    start = max(0, _alike(before, after) - _CONTEXT)
    end = max(0, _alike(before[start:][::-1], after[start:][::-1]) - _CONTEXT)
    return _part(before, start, end), _part(after, start, end)


def _alike(one: str, other: str) -> int:
    """How many characters at the beginning are the same."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(one), len(other)))


def _part(text: str, start: int, end: int) -> str:
    part = _cut(text[start : len(text) - end])
    return (_ELLIPSIS if start else "") + part + (_ELLIPSIS if end else "")


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + _ELLIPSIS


def _size(number: int) -> str:
    unit = 0
    while number and number % 1024 == 0 and unit < len(_UNITS) - 1:
        number, unit = number // 1024, unit + 1
    return f"{number}{_UNITS[unit]}"


def _on_one_line(text: str) -> str:
    """With control characters as escapes: on a terminal they are commands."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
