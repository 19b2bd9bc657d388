"""The runtime directory, which somebody may take away: a clean-up of /run, a slip of the hand.

Then nobody can reach stackd any more, and what it writes down gets lost, so it has to be made again.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable

from supervisor_stack.daemon.inotify import IN_DELETE, IN_DELETE_SELF, IN_MOVE_SELF, Inotify
from supervisor_stack.errors import StackError

log = logging.getLogger(__name__)

SETTLE = 0.1
"""Seconds: whoever removes a folder removes what is in it one after the other."""

AGAIN = 1.0
"""Seconds after which is tried again to make what could not be made."""


class RuntimeDir:
    """Calls `make` when one of these `files` in the folder is gone, until `close`; and once more later, as
    long as that raises a StackError."""

    def __init__(
        self, path: str, files: tuple[str, ...], loop: asyncio.AbstractEventLoop, make: Callable[[], None]
    ) -> None:
        self._path = path
        self._files = files
        self._loop = loop
        self._make = make
        self._problem = ""
        self._inotify: Inotify | None = None
        self._alarm: asyncio.TimerHandle | None = None

    def watch(self) -> None:
        """From now on. Where it cannot be watched that is told."""
        self.close()
        try:
            self._inotify = Inotify(self._loop)
            self._inotify.watch(self._path, IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF, self._changed)
        except OSError as error:
            log.warning(
                "cannot watch %s: %s; if it is removed, that is not noticed", self._path, error.strerror
            )

    def close(self) -> None:
        """Watch it no more."""
        if self._inotify:
            self._inotify.close()
            self._inotify = None
        if self._alarm:
            self._alarm.cancel()
            self._alarm = None

    def _changed(self) -> None:
        if self._alarm is None:
            self._alarm = self._loop.call_later(SETTLE, self._look)

    def _look(self) -> None:
        self._alarm = None
        if all(map(os.path.exists, self._files)):
            return
        if not self._problem:
            log.warning("%s was removed, or what is in it: making it again", self._path)
        try:
            self._make()
        except StackError as error:
            self._alarm = self._loop.call_later(AGAIN, self._look)
            if error.message != self._problem:
                log.error(
                    "%s; all services go on, nobody can ask for anything, and it is tried again",
                    error.message,
                )
            self._problem = error.message
            return
        if self._problem:
            log.info("%s is there again", self._path)
        self._problem = ""
        self.watch()
