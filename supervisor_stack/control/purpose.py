"""What a request is for, to be said in a sentence."""

from __future__ import annotations

from supervisor_stack.control.messages import AnyRequest, Apply, Events, Graph, List, Shutdown, Signal, Status


def purpose(message: AnyRequest) -> str:
    """As it stands after "cannot": `start uwsgi`, `shut down the stack`."""
    match message:
        case Status():
            return "see the status"
        case Events():
            return "see the events"
        case Graph():
            return "see the graph"
        case List():
            return "see the services"
        case Apply():
            return "see what would be applied" if message.plan else "apply the configuration"
        case Signal():
            return f"send {message.signal} to {message.service}"
        case Shutdown():
            return "shut down the stack"
        case _:
            return f"{type(message).__name__.lower()} {', '.join(message.services) or 'all services'}"
