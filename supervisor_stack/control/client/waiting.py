"""Whether services are in the state that somebody waits for, and what is wrong when they never will be."""

from __future__ import annotations

from supervisor_stack.control.messages import Notice, StatusReply
from supervisor_stack.control.parts import ServiceStatus
from supervisor_stack.control.states import STATES, Awaited
from supervisor_stack.errors import OperationError, RequestError, TimedOutError

_ALIVE = ("ready", "active", "running")
_END = {"failed": "failed for good", "exited": "came to its end"}


class Waiting:
    """For a state of some services, `timeout` seconds long. Raises RequestError for a state that is none."""

    def __init__(self, state: Awaited, timeout: float | None) -> None:
        if state not in STATES:
            raise RequestError(f"cannot wait for `{state}`: there are {', '.join(STATES)}")
        self._state = state
        self._timeout = timeout
        self._seen: StatusReply | None = None
        self._last = 0

    def is_over(self, reply: StatusReply) -> bool:
        """Whether all are in that state. Raises OperationError when only a person can bring one there."""
        if self._seen is None:
            self._last = reply.seq
        self._seen = reply
        for service in reply.services:
            is_there = self._is_there(service)
            if service.state in _END and self._state in _ALIVE and not is_there:
                raise OperationError(
                    f"cannot see {service.name} {self._state}: it {_END[service.state]}", (_truth(service),)
                )
        return all(map(self._is_there, reply.services))

    def is_news(self, notice: Notice) -> bool:
        """Whether it may not be part of the last look: it came later, or from a stackd that counts anew."""
        is_part = self._seen is not None and self._last < notice.seq <= self._seen.seq
        self._last = notice.seq
        return not is_part

    def late(self, error: TimedOutError) -> TimedOutError:
        """What is wrong when the time is over."""
        if self._timeout is None or self._seen is None:
            return error
        pending = [each for each in self._seen.services if not self._is_there(each)]
        return TimedOutError(
            f"cannot see {pending[0].name} {self._state}: not so within {self._timeout:g} s",
            tuple(map(_truth, pending)),
        )

    def _is_there(self, service: ServiceStatus) -> bool:
        return service.ready if self._state == "ready" else self._state in (service.state, service.active)


def _truth(service: ServiceStatus) -> str:
    reason = f": {service.reason}" if service.reason else ""
    return f"{service.name} is {service.active} ({service.state}){reason}."
