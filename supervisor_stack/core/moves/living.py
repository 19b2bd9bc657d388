"""A running service that answers nobody: counted, and replaced.

The main process may be frozen while its workers serve (nginx, uWSGI): then a successor takes over, and
nothing is lost. Else it is ended first: its stop signal with SIGCONT, after its `stop_timeout` SIGKILL.
"""

from __future__ import annotations

import msgspec

from supervisor_stack.core import events as ev
from supervisor_stack.core.moves.base import Step, keep, terminate
from supervisor_stack.core.moves.succession import renew
from supervisor_stack.core.state import Ending, Service


def count_miss(service: Service, event: ev.AliveMissed, now: float, chance: float) -> Step:
    """One miss may be bad luck; `failures` in a row are a service that hangs."""
    limit = service.spec.alive.failures if service.spec.alive else 1
    missed = service.missed + 1
    if missed < limit:
        return keep(service, missed=missed, reason=f"alive probe missed {missed} of {limit}: {event.answer}")
    hung = f"hung: {event.answer} ({missed} alive probes in a row)"
    service = msgspec.structs.replace(service, missed=0, reason=hung)
    if service.can_hand_over and not service.is_leaving:
        return renew(msgspec.structs.replace(service, hung=hung), now)
    return terminate(msgspec.structs.replace(service, ending=Ending(hung, hung=True)), now)


def note_life(service: Service, event: ev.AliveAnswered, now: float, chance: float) -> Step:
    """It answers again."""
    return keep(service, missed=0, hung="", reason="", detail=())
