"""Which role each request takes."""

from __future__ import annotations

from typing import get_args

from supervisor_stack.control.messages import (
    AnyRequest,
    Apply,
    Events,
    Graph,
    List,
    Reload,
    Request,
    Reset,
    Restart,
    Shutdown,
    Signal,
    Start,
    Status,
    Stop,
)
from supervisor_stack.spec import Role

ROLES: tuple[Role, ...] = get_args(Role)
"""From the least to the most."""

NEEDED: dict[type[Request], Role] = {
    Status: "view",
    Events: "view",
    Graph: "view",
    List: "view",
    Start: "operate",
    Stop: "operate",
    Restart: "operate",
    Reload: "operate",
    Signal: "operate",
    Reset: "operate",
    Apply: "admin",
    Shutdown: "admin",
}


def needed(request: AnyRequest) -> Role:
    """The least role that may ask for this. Who asks for a plan only looks."""
    if isinstance(request, Apply) and request.plan:
        return ROLES[0]
    return NEEDED[type(request)]


def covers(role: Role | None, least: Role) -> bool:
    """Whether somebody with this role may do what takes at least `least`."""
    return role is not None and ROLES.index(role) >= ROLES.index(least)


def highest(roles: set[Role]) -> Role | None:
    """The one that counts, None when there is none."""
    return max(roles, key=ROLES.index, default=None)
