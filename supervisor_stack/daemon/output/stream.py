"""From the pipe of one service to its log file."""

from __future__ import annotations

import contextlib
import logging

from supervisor_stack.daemon.output.log_file import LogFile
from supervisor_stack.daemon.output.pipe import Pipe
from supervisor_stack.daemon.output.plumbing import Spyglass, waiting

log = logging.getLogger(__name__)

CHUNK = 1024 * 1024
"""Bytes that are moved for one service before others have their turn: all that is in its pipe. What comes
meanwhile waits for the next turn, as the kernel has the pipe locked while it is moved, and each small move
would cost as much as a large one."""

NEARLY_FULL = 0.75
"""Of a pipe, from where on the oldest half of it is given up if it cannot be moved."""


class Stream:
    """What one service prints, moved on as long as there is room for it.

    `trouble`: why it is not, or empty. `failed_at`: when that was last, in monotonic seconds.
    """

    def __init__(self, pipe: Pipe, file: LogFile, spyglass: Spyglass) -> None:
        self.pipe = pipe
        self.file = file
        self.trouble = ""
        self.failed_at = 0.0
        self.is_told = False
        self._spyglass = spyglass
        self._lost = 0
        self._lost_in_trouble = 0

    @property
    def name(self) -> str:
        """The service."""
        return self.pipe.name

    def move(self) -> int:
        """Move what is there, up to CHUNK bytes; returns how many. Raises OSError."""
        if self.pipe.is_empty() and not self.trouble:
            return 0
        self.file.settle()
        if self._lost:
            self.file.append(f"stackd: {self._lost} bytes were lost here: {self.trouble}\n".encode())
            self._lost = 0
        if self.pipe.is_empty():
            return 0
        share = self.file.share(self.pipe.fd, CHUNK)
        if not share:
            self._rotate()
            share = self.file.share(self.pipe.fd, CHUNK)
        return self.file.take(self.pipe.fd, share)

    def _rotate(self) -> None:
        try:
            self.file.rotate()
        except OSError as error:
            log.error(
                "%s: cannot rotate %s: %s; it grows on", self.name, self.file.path, error.strerror or error
            )
            self.file.settle()

    def drain(self) -> None:
        """Move what is in the pipe now; what comes meanwhile may wait. Raises OSError."""
        there = waiting(self.pipe.fd)
        while (there > 0 or self._lost) and (moved := self.move()):
            there -= moved

    def fail(self, cause: str, now: float, tell: bool) -> None:
        """It cannot be moved on."""
        if not self.trouble:
            self.is_told = False
            self._lost_in_trouble = 0
        tell = tell and not self.trouble
        self.trouble, self.failed_at = cause, now
        if tell:
            self._tell()

    def _tell(self) -> None:
        self.is_told = True
        log.error(
            "%s: cannot write %s: %s; what it prints waits, and is lost if that is more than %d KiB",
            self.name, self.file.path, self.trouble, NEARLY_FULL * self.pipe.size // 1024,
        )  # fmt: skip

    def recover(self) -> None:
        """It is moved on again."""
        if self.is_told:
            lost = f"; {self._lost_in_trouble} bytes were lost" if self._lost_in_trouble else ""
            log.warning("%s: %s is written again%s", self.name, self.file.path, lost)
        self.trouble = ""

    def make_room(self) -> None:
        """Give up the oldest half of a pipe that is nearly full, in whole lines: the service has to go on."""
        there = waiting(self.pipe.fd)
        if there < NEARLY_FULL * self.pipe.size and not self.pipe.is_full():
            return
        lost = self._spyglass.throw_away(self.pipe.fd, there // 2)
        with contextlib.suppress(BlockingIOError):
            seen = self._spyglass.look(self.pipe.fd, CHUNK)
            lost += self._spyglass.throw_away(self.pipe.fd, seen.find(b"\n") + 1 or len(seen))
        if not self.is_told:
            self._tell()
        self._lost += lost
        self._lost_in_trouble += lost

    def close(self) -> None:
        """Let go of both ends."""
        self.file.close()
        self.pipe.close()
