"""What a command prints, kept up to a limit while it runs.

A pipe, and no file in memory: that would grow as fast as the command can write, and one that is sealed at its
greatest length refuses whoever opens /dev/stderr to append, as servers in containers do.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from types import TracebackType
from typing import Self

MAX_OUTPUT = 16 * 1024 * 1024
"""Bytes of one command; a dump of a large nginx configuration is 1 MB."""

CAPACITY = 64 * 1024
"""Bytes that a pipe holds, pipe(7): read in one turn of the loop, and all that can be left at last."""


class Printed:
    """One stream of a command, which gets `fd`. Within its context it is read; once it is too long it is not
    read on, so that the command stands still, and `too_long` is called.

    `user`: may open it once more by /dev/stdout; None: only we. Raises OSError when no descriptors are left.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, user: int | None, too_long: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._too_long = too_long
        self._text = bytearray()
        self._end, self.fd = os.pipe()
        os.set_blocking(self._end, False)
        if user is not None:
            with contextlib.suppress(PermissionError):  # who may not do this cannot run it either
                os.fchown(self.fd, user, -1)

    def __enter__(self) -> Self:
        self._loop.add_reader(self._end, self._take)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.remove_reader(self._end)
        os.close(self._end)
        os.close(self.fd)

    def text(self) -> str:
        """All of it, when the command has ended. Others that it has left behind are not waited for."""
        self._take()
        return self._text.decode("utf-8", "replace")

    def _take(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._text += os.read(self._end, CAPACITY)
        if len(self._text) > MAX_OUTPUT:
            self._loop.remove_reader(self._end)
            self._too_long()
