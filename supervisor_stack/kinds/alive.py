"""How often servers are asked whether they still answer, where nothing else is said."""

from __future__ import annotations

from supervisor_stack.spec import Address, ProbeSpec, ProbeType

# With three misses, the default of ProbeSpec, a server that hangs is found within half a minute, and one
# that is only slow has that long to come back. In between nothing costs anything.
INTERVAL = 5.0


def alive(kind: ProbeType, address: Address | None = None, password: str = "") -> ProbeSpec:
    """A probe that goes on: whatever the server says, it is a sign of life."""
    return ProbeSpec(
        type=kind, address=address, password=password, interval=INTERVAL, any_answer=kind != "process"
    )
