"""Which line of a server's last words tells why it ended."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Best first. A Python traceback ends with `ModuleNotFoundError: ...`, but uWSGI goes on talking
# after it; mysqld says `[ERROR] Aborting` after the line that matters.
_TELLING = (
    re.compile(r"^[\w.]*(?:Error|Exception|Exit|Interrupt|Warning): "),
    re.compile(
        r"\[(?:emerg|alert|crit|ERROR|FATAL)\](?! Aborting)|\bFATAL\b|Fatal error|panic:", re.IGNORECASE
    ),
    re.compile(r"\berror\b|\bcannot\b|\bcan't\b|\bfailed\b|denied|no such file|not found", re.IGNORECASE),
)

# What servers say when all is well is no evidence of what went wrong.
_CHATTER = re.compile(r"\[(?:debug|info|notice|warn|Note|System|Warning)\]")

_TRACEBACK = "Traceback (most recent call last):"

LINES_BEFORE = 12
LINES_AFTER = 3


def without(words: Sequence[str], beginnings: tuple[str, ...]) -> tuple[str, ...]:
    """The lines with none of these beginnings; all of them if none is left."""
    return tuple(word for word in words if not word.startswith(beginnings)) or tuple(words)


def excerpt(words: Sequence[str]) -> tuple[str, ...]:
    """The telling line with what stands around it: a traceback comes before, a summary after."""
    line = telling_line(words)
    at = max((number for number, word in enumerate(words) if word.strip() == line), default=0)
    start = max(0, at - LINES_BEFORE)
    # What was said before a traceback has nothing to do with it.
    start = next((number for number in range(start, at) if words[number].startswith(_TRACEBACK)), start)
    return tuple(words[start : at + LINES_AFTER + 1])


def telling_line(words: Sequence[str]) -> str:
    """The last line of the most telling sort, or the last one that is no chatter, or an empty string."""
    for pattern in _TELLING:
        for line in reversed(words):
            if pattern.search(line) and "[ERROR] Aborting" not in line:
                return line.strip()
    return next((line.strip() for line in reversed(words) if not _CHATTER.search(line)), "")
