"""The names of users. A name service may answer late or never, and the loop waits for nobody.

So each user is looked up once, when he comes for the first time, in a thread that may be left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import pwd
import threading
from collections.abc import Callable

PATIENCE = 0.5
"""Seconds; then he goes by his number, until he is known."""

MANY = 100
"""Requests of one user that wait for his name; those that come on top go by his number."""


class Names:
    """Names by user id."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._known = {0: "root"}
        self._waiting: dict[int, list[Callable[[str], None]]] = {}

    def tell(self, uid: int, then: Callable[[str], None]) -> None:
        """Call `then` with the name: at once when it is known, in the order of the calls otherwise."""
        if name := self._known.get(uid):
            then(name)
            return
        waiting = self._waiting.setdefault(uid, [])
        if len(waiting) >= MANY:
            then(by_number(uid))
            return
        waiting.append(then)
        if len(waiting) == 1:
            self._loop.call_later(PATIENCE, self._go_without, uid)
            # Not of the loop's pool, whose end a process waits for.
            thread = threading.Thread(target=self._look_up, args=(uid,), name=f"name of {uid}", daemon=True)
            with contextlib.suppress(RuntimeError):  # no room for a thread: he goes by his number
                thread.start()

    def _look_up(self, uid: int) -> None:
        try:
            name = pwd.getpwuid(uid).pw_name
        except (KeyError, OSError):
            name = by_number(uid)
        try:
            self._loop.call_soon_threadsafe(self._learn, uid, name)
        except RuntimeError:
            return  # the loop is closed: nobody asks any more

    def _learn(self, uid: int, name: str) -> None:
        self._known[uid] = name
        for then in self._waiting.pop(uid, ()):
            then(name)

    def _go_without(self, uid: int) -> None:
        if uid not in self._known:
            self._learn(uid, by_number(uid))


def by_number(uid: int) -> str:
    """What a user is called who has no name, or none that could be found out."""
    return f"uid {uid}"
