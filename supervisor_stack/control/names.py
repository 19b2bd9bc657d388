"""Service names that a person typed."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from supervisor_stack.errors import UnknownServiceError


def require_known(names: Iterable[str], known: Collection[str]) -> None:
    """Return when the stack has all of `names`. Raises UnknownServiceError with the likeliest cure."""
    for name in names:
        if name not in known:
            raise UnknownServiceError(f"no service `{name}`; {_cure(name, known)}")


def _cure(name: str, known: Collection[str]) -> str:
    # Two thousand lines that only a mistake needs.
    from difflib import get_close_matches

    close = get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else f"there are: {', '.join(known) or 'none'}"
