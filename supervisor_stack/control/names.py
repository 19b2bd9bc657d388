"""Service names that a person typed."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import islice

from supervisor_stack.errors import UnknownServiceError

LISTED = 20
"""Services that are named to somebody who named one that there is not."""

SHOWN = 60
"""Characters of what he named."""


def require_known(names: Iterable[str], known: Collection[str]) -> None:
    """Return when the stack has all of `names`. Raises UnknownServiceError with the likeliest cure."""
    for name in names:
        if name not in known:
            raise UnknownServiceError(f"no service `{_shown(name)}`; {_cure(name, known)}")


def _cure(name: str, known: Collection[str]) -> str:
    # Two thousand lines that only a mistake needs.
    from difflib import get_close_matches

    if close := get_close_matches(name, known, n=1):
        return f"did you mean {close[0]}?"
    rest = len(known) - LISTED
    named = ", ".join(islice(known, LISTED)) or "none"
    return f"there are: {named}" + (f" and {rest} more" if rest > 0 else "")


def _shown(name: str) -> str:
    return name if len(name) <= SHOWN else f"{name[:SHOWN]}..."
