"""A service that was told to stop and says in its log that it does not.

Redis that cannot save its data goes on running, and nothing but its log tells: without this a stop
would wait for the whole of stop_timeout, and then nobody would know why.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

from supervisor_stack.core.evidence import excerpt
from supervisor_stack.daemon.capture import Mark, Reader

FIRST_PAUSE = 0.002
GROWTH = 1.5
LONGEST_PAUSE = 0.25


async def watch(marks: Sequence[Mark], reader: Reader, pattern: str) -> tuple[str, ...]:
    """Wait until a line after one of the marks matches `pattern`; the evidence is what stands around it.

    The marks are to be set before the signal is sent. Ends only so, or by being cancelled.
    """
    refusal = re.compile(pattern)
    pause = FIRST_PAUSE
    while True:
        for place in marks:
            lines = reader.written_since(place)
            if any(refusal.search(line) for line in lines):
                return tuple(excerpt(lines))
        await asyncio.sleep(pause)
        pause = min(pause * GROWTH, LONGEST_PAUSE)
