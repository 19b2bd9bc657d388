"""Talking to stackd from Python: docs/python.md has examples.

    from supervisor_stack.control.client import StackClient

    with StackClient.from_config("/etc/stackd/stackd.toml") as client:
        client.restart("uwsgi", timeout=60)

`StackClient` waits; `AsyncStackClient` is awaited, and loaded when it is asked for: asyncio takes longer to
import than stackctl to answer. Both raise the errors of supervisor_stack.errors, and both outlive stackd:
what is asked while it is away raises UnreachableError, what is asked later goes to the next one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from supervisor_stack.control.client.blocking import StackClient
from supervisor_stack.control.client.conversation import Question, Step
from supervisor_stack.control.client.outcomes import Operation
from supervisor_stack.control.curve import CurveKeys

if TYPE_CHECKING:
    from supervisor_stack.control.client.awaitable import AsyncStackClient
else:

    def __getattr__(name: str) -> object:
        if name != "AsyncStackClient":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from supervisor_stack.control.client import awaitable

        return awaitable.AsyncStackClient


__all__ = ["AsyncStackClient", "CurveKeys", "Operation", "Question", "StackClient", "Step"]
