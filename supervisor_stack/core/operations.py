"""What requests set going, and when that has come to its end for each service."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import Literal

import msgspec

from supervisor_stack.core import actions as do
from supervisor_stack.core.state import NEVER, Service, State
from supervisor_stack.errors import RefusedError

Verb = Literal["start", "stop", "restart", "reload"]


class Verdict(msgspec.Struct, frozen=True):
    """The end of an operation for one service; `error` empty means as wanted."""

    error: str = ""
    detail: tuple[str, ...] = ()


class Operations:
    """The operations that somebody waits for, by service: only those are looked at on a change."""

    def __init__(self) -> None:
        self._open: dict[str, dict[int, tuple[Verb, int]]] = {}
        self._settling: list[tuple[float, str]] = []

    def open(self, op: int, verb: Verb, service: Service) -> None:
        """Begin to wait for a service; to be called before the request is carried out."""
        # A run that is under way beside the present one is none that was asked for here.
        run = service.last_run if verb == "restart" else service.run
        self._open.setdefault(service.name, {})[op] = (verb, run)

    def forget(self, op: int, names: Iterable[str]) -> None:
        """Nobody waits any more for what comes of it for these services."""
        for name in names:
            self._open.get(name, {}).pop(op, None)

    @property
    def deadline(self) -> float:
        """When a service is to be concluded once more, in monotonic seconds; infinity when never."""
        return self._settling[0][0] if self._settling else NEVER

    def next_settling(self) -> str:
        """The service that this is, which is not told again."""
        return heapq.heappop(self._settling)[1]

    def conclude(self, service: Service, now: float) -> list[do.Action]:
        """The operations that end with what the service is now.

        A success of what cannot be asked whether it is ready has to last for a moment.
        """
        waiting = self._open.get(service.name)
        if not waiting:
            return []
        finished: list[do.Action] = []
        for op, (verb, run) in list(waiting.items()):
            verdict = judge(verb, run, service)
            if verdict and not verdict.error and now < service.steady_at:
                heapq.heappush(self._settling, (service.steady_at, service.name))
            elif verdict:
                del waiting[op]
                finished.append(
                    do.Finish(
                        service=service.name,
                        op=op,
                        state=service.state,
                        error=verdict.error,
                        detail=verdict.detail,
                        retry=service.deadline if service.state is State.BACKOFF else NEVER,
                    )
                )
        return finished


def refuse_reload(service: Service) -> RefusedError | None:
    """Why a service cannot be reloaded now, if it cannot."""
    subject = f"cannot reload {service.name}"
    if service.spec.reload is None:
        return RefusedError(f"{subject}: {service.spec.no_reload}", ("nothing was reloaded",))
    if service.state not in (State.RUNNING, State.RELOADING) or service.is_leaving:
        why = f": {service.reason}" if service.reason else ""
        return RefusedError(f"{subject}: it is not running", (f"{service.name} is {service.state}{why}",))
    return None


def judge(verb: Verb, run: int, service: Service) -> Verdict | None:
    """How the operation ended, or None while it goes on. `run` was the service's when it was asked; for a
    restart the last one that had begun."""
    match verb:
        case "start":
            return _start(service)
        case "restart":
            return _restart(run, service)
        case "stop":
            return _stop(service)
        case "reload":
            return _reload(run, service)


def _restart(run: int, service: Service) -> Verdict | None:
    if service.successor or service.renew:
        return None
    if service.wanted and not service.is_stuck and (service.again or service.run <= run):
        if service.state is State.RUNNING and not service.again:
            return Verdict(service.rejected, (*service.rejected_detail, _goes_on(service)))
        return Verdict(service.reason) if _waits_in_vain(service) else None
    if service.is_fulfilled and service.copy:  # its own files were to be taken up
        return Verdict(service.rejected, service.rejected_detail)
    return _start(service)


def _goes_on(service: Service) -> str:
    return f"{service.name} goes on as it was (pid {service.pid}, run {service.run})."


def _start(service: Service) -> Verdict | None:
    if service.is_stuck:
        return Verdict(service.reason)
    if not service.wanted:
        return Verdict("it was stopped meanwhile") if service.is_down else None
    if service.is_fulfilled:
        return Verdict()
    match service.state:
        case State.RUNNING if service.spec.type == "service" and not service.again:
            return Verdict(f"it runs and does not answer: {service.reason}", service.rejected_detail)
        case State.EXITED:
            return Verdict() if service.spec.type == "task" else Verdict(service.reason, service.detail)
        case State.FAILED:
            return Verdict(service.reason, service.detail)
        case State.BACKOFF:
            return Verdict(service.reason, service.detail)
        case State.WAITING if _waits_in_vain(service):
            return Verdict(service.reason)
        case _:
            return None


def _waits_in_vain(service: Service) -> bool:
    """Whether what it waits for has failed. It may be tried again, and this one come after all; but as with a
    failure of its own, whoever has asked for it is told at once."""
    return service.state is State.WAITING and (service.blocked or service.stalled)


def _stop(service: Service) -> Verdict | None:
    if service.is_stuck:
        return Verdict(service.reason, service.detail)
    if service.wanted:
        return Verdict("it was started meanwhile")
    return Verdict() if service.is_down else None


def _reload(run: int, service: Service) -> Verdict | None:
    if service.state is State.RELOADING or service.renew or service.again:
        return None
    was_replaced = any(exit_.run == run and exit_.replaced for exit_ in service.exits)
    if was_replaced:
        return _start(service)
    if service.run != run or service.state is not State.RUNNING:
        return Verdict(f"it ended during the reload: {service.reason}", service.detail)
    if not service.rejected:
        return Verdict()
    truth = f"{service.name} goes on with its previous configuration (pid {service.pid}, run {service.run})."
    return Verdict(service.rejected, (*service.rejected_detail, truth))
