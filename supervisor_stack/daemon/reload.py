"""Reloading a service that has passed its test: signal, then see that it took effect.

HUP has no answer. A master that could not take up its configuration keeps its old workers and only
logs why; so the verdict is: new workers under the same main process, the ready probe answered, and
no word of failure in the logs.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable

from supervisor_stack.core.events import Event, ReloadFailed, ReloadVerified
from supervisor_stack.core.evidence import excerpt
from supervisor_stack.daemon.capture import Mark, Reader, mark
from supervisor_stack.daemon.probe import HOPELESS
from supervisor_stack.daemon.proc import descendants
from supervisor_stack.daemon.process import Process
from supervisor_stack.daemon.signals import number
from supervisor_stack.spec import Reload

FIRST_PAUSE = 0.002
LONGEST_PAUSE = 0.1


async def reload(
    service: str,
    run: int,
    process: Process,
    how: Reload,
    logs: Iterable[str],
    reader: Reader,
    ask: Callable[[], Awaitable[str]],
) -> Event:
    """Signal the main process and wait for the verdict, for at most `how.timeout` seconds.

    `ask` is the ready probe: an empty answer means ready.
    """
    marks = [mark(path) for path in logs]
    before = set(descendants(process.pid)) if how.new_workers else set()
    process.signal(number(how.signal))
    answer = "no new worker appeared"
    try:
        async with asyncio.timeout(how.timeout):
            pause = FIRST_PAUSE
            while True:
                if how.failure and (evidence := _failures(how.failure, marks, reader)):
                    return ReloadFailed(
                        service=service,
                        run=run,
                        reason="the reload failed",
                        evidence=evidence,
                        ready=not await ask(),
                    )
                if not how.new_workers or set(descendants(process.pid)) - before:
                    answer = await ask()
                    if not answer:
                        return ReloadVerified(service=service, run=run)
                    if answer in HOPELESS:
                        break
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, LONGEST_PAUSE)
        reason = answer
    except TimeoutError:
        reason = f"not verified within {how.timeout:g} s: {answer}"
    evidence = excerpt([line for place in marks for line in reader.written_since(place)])
    return ReloadFailed(service=service, run=run, reason=reason, evidence=evidence, ready=not await ask())


def _failures(pattern: str, marks: list[Mark], reader: Reader) -> tuple[str, ...]:
    return tuple(line for place in marks for line in reader.written_since(place) if re.search(pattern, line))
