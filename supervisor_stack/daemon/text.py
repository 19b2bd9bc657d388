"""Words that come from services, made safe to show."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with control characters as escapes: on a terminal they are commands."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
