"""What stackd does next about a service if nothing else happens, in words, and when."""

from __future__ import annotations

from typing import NamedTuple

from supervisor_stack.core.state import NEVER, Service, State

NOTHING = "nothing until you ask"


class Outlook(NamedTuple):
    """What is done next; empty when all is as it should be. `at`: monotonic seconds; None: whenever."""

    does: str = ""
    at: float | None = None


def outlook(service: Service) -> Outlook:
    """What is done next about it."""
    match service.state:
        case State.STOPPED | State.EXITED:
            return Outlook(NOTHING)
        case State.FAILED:
            return Outlook(f"{NOTHING}, or until its files change" if _is_watched(service) else NOTHING)
        case State.WAITING:
            return Outlook("starts it as soon as what it waits for is there")
        case State.BACKOFF:
            return _in_time(
                "tries again" + (", or when its files change" if _is_watched(service) else ""), service
            )
        case State.STARTING:
            return _of_a_start(service)
        case State.RUNNING:
            return Outlook(_of_a_run(service))
        case State.RELOADING:
            return _in_time(_of_a_reload(service), service)
        case State.STOPPING:
            is_killed = service.spec.kill or (service.ending and service.ending.hung)
            return Outlook(
                "ends it with SIGKILL" if is_killed else "tells it again to stop", service.patience
            )
        case State.KILLING:
            return _in_time("sends SIGKILL again", service)


def _is_watched(service: Service) -> bool:
    return bool(service.spec.watch or service.copy)


def _in_time(does: str, service: Service) -> Outlook:
    return Outlook(does, None if service.deadline == NEVER else service.deadline)


def _of_a_start(service: Service) -> Outlook:
    if service.is_leaving:
        return Outlook("stops it when it is ready" if service.spec.stop_when_ready else "stops it")
    return _in_time("gives up this start, unless it is ready by then", service)


def _of_a_run(service: Service) -> str:
    if service.is_leaving:
        return "stops it when those who need it have stopped"
    if service.renew:
        return "begins a new run as soon as what it needs is ready"
    if service.missed and service.spec.alive:
        more = service.spec.alive.failures - service.missed
        return f"replaces it after {more} more without an answer"
    if service.spec.type == "task":
        return "waits for its end"
    return "" if service.ready else "asks on until it is ready"


def _of_a_reload(service: Service) -> str:
    if service.successor is None:
        return "gives up the reload; it goes on as it is"
    present = "the hung one is ended" if service.hung else "the present one goes on"
    return f"gives up the new run, unless it is ready by then; {present}"
