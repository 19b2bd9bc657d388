"""When a start came how far: seen in each change of a service, so that no move has to think of it."""

from __future__ import annotations

import msgspec

from supervisor_stack.core.state import Service, StartTimes, State, Successor


def timed(before: Service, after: Service, now: float) -> Service:
    """The service after a change, with the times of its start and of its successor's."""
    times = _of_service(before, after, now)
    successor = after.successor and _with_times(before.successor, after.successor, now)
    if times is after.times and successor is after.successor:
        return after
    return msgspec.structs.replace(after, times=times, successor=successor)


def _of_service(before: Service, after: Service, now: float) -> StartTimes | None:
    heir = before.successor
    if heir and heir.run == after.run:  # it has taken over, or goes on alone
        return heir.times and (_marked(heir.times, ready=now) if after.ready else heir.times)
    if after.state is State.WAITING is not before.state:
        return _asked(before, after, now)
    if after.state is State.STARTING is not before.state:
        return _begun(before, now)
    times = after.times
    if times is None:
        return None  # written down by an earlier version, or not at all
    if before.pid is None and after.pid is not None and not after.adopted:
        times = _marked(times, spawned=now)
    if _is_of_use(after) and not _is_of_use(before) and times.ready is None:
        times = _marked(times, ready=now)
    return times


def _asked(before: Service, after: Service, now: float) -> StartTimes:
    """Another try of a start that has not succeeded yet belongs to that start."""
    times = before.times
    if times and times.ready is None and after.failures:
        return StartTimes(asked=times.asked, tries=times.tries)
    return StartTimes(asked=now)


def _begun(before: Service, now: float) -> StartTimes:
    if before.state is not State.WAITING:  # it has not left, and is asked again whether it is ready
        return StartTimes(asked=now, begun=now)
    times = before.times or StartTimes(asked=now)
    return StartTimes(asked=times.asked, begun=now, tries=times.tries + 1)


def _with_times(before: Successor | None, after: Successor, now: float) -> Successor:
    if before is None or before.run != after.run:
        times = StartTimes(asked=now, begun=now, tries=1)
    elif before.pid is None and after.pid is not None and not after.adopted and after.times:
        times = _marked(after.times, spawned=now)
    else:
        return after
    return msgspec.structs.replace(after, times=times)


def _marked(times: StartTimes, **at: float) -> StartTimes:
    return msgspec.structs.replace(times, **at)


def _is_of_use(service: Service) -> bool:
    return service.ready or service.is_fulfilled
