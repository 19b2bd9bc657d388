"""The thread that moves what services print: one for all of them.

A slow disk, or a kernel that makes writers wait until pages are on it, must not hold up the event loop.
The thread sleeps in epoll_wait(2) while nobody writes.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable

from supervisor_stack.daemon.output.plumbing import Spyglass, waiting
from supervisor_stack.daemon.output.stream import Stream

log = logging.getLogger(__name__)

RETRY = 0.1
"""Seconds until what could not be written is tried again. Up to 10 MB/s of a service can be given up
meanwhile without holding it up."""

SETTLED = 1.0
"""Seconds without a failure after which it counts as working again, even if the pipe is never empty."""

QUIET = 10.0
"""Seconds that pass between two reports of the same trouble: a full disk may have room for a few bytes at
any time."""

LONGEST_REST = 0.002
SHORTEST_REST = 0.0003
"""Seconds between two turns. Without a rest this thread and whoever writes wait for the lock of the pipe all
the time, spinning: a third of the speed at twenty times the processor time (with lines of 100 bytes)."""

TOO_FULL = 0.75
ROOMY = 0.5
"""Of a pipe after a rest: the next one is shorter, or longer. When it is full somebody waits for us."""


class Mover:
    """Moves the streams that it is given, until it is ended. Raises OSError without descriptors.

    `order` hands over what is to be done in the thread; the methods below it are such orders.
    """

    def __init__(self) -> None:
        self.spyglass = Spyglass()
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._epoll = select.epoll()
        self._epoll.register(self._bell, select.EPOLLIN)
        self._resting = select.poll()
        self._resting.register(self._bell, select.POLLIN)
        self._orders: deque[Callable[[], None]] = deque()
        self._streams: dict[int, Stream] = {}
        self._retries: dict[int, float] = {}
        self._pause = LONGEST_REST
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="output", daemon=True)
        self._thread.start()

    def order(self, what: Callable[[], None]) -> None:
        """Have it done in the thread, soon. From any thread."""
        self._orders.append(what)
        os.eventfd_write(self._bell, 1)

    def wait(self, timeout: float) -> bool:
        """Whether the thread came to its end within so many seconds, after the order to end."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    # Orders.

    def add(self, stream: Stream) -> None:
        """Move this one as well."""
        self._streams[stream.pipe.fd] = stream
        self._epoll.register(stream.pipe.fd, select.EPOLLIN)
        self._attempt(stream, stream.file.settle)

    def drain(self, stream: Stream) -> None:
        """Move what is in its pipe now, out of turn, if that is possible."""
        if stream.pipe.fd not in self._retries:
            self._attempt(stream, stream.drain)

    def remove(self, stream: Stream) -> None:
        """Move what is there, and nothing any more after that."""
        fd = stream.pipe.fd
        self._attempt(stream, stream.drain)
        if not stream.pipe.is_empty() and stream.trouble:
            log.error("%s: its last %d bytes were lost: %s", stream.name, waiting(fd), stream.trouble)
        if self._retries.pop(fd, None) is None:
            self._epoll.unregister(fd)
        del self._streams[fd]
        stream.close()

    def end(self) -> None:
        """Leave off, now."""
        self._ended = True

    # The turns.

    def _run(self) -> None:
        while True:
            ready = self._epoll.poll(self._until_retry())
            self._obey()
            if self._ended:
                break
            streams = [stream for fd, _ in ready if (stream := self._streams.get(fd))]
            fullest = max((self._move(stream) for stream in streams), default=0.0)
            self._retry()
            if fullest:
                self._rest(fullest)
        for stream in self._streams.values():
            stream.close()
        self._epoll.close()
        self.spyglass.close()
        os.close(self._bell)

    def _rest(self, fullest: float) -> None:
        """Let some more come, but not so much that somebody has to wait until there is room."""
        if fullest > TOO_FULL:
            self._pause = max(self._pause / 2, SHORTEST_REST)
        elif fullest < ROOMY:
            self._pause = min(self._pause * 1.25, LONGEST_REST)
        if self._pause >= 0.001:
            self._resting.poll(self._pause * 1000)  # which an order ends
        else:
            time.sleep(self._pause)

    def _until_retry(self) -> float | None:
        return max(0.0, min(self._retries.values()) - time.monotonic()) if self._retries else None

    def _obey(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._bell)
        while self._orders:
            try:
                self._orders.popleft()()
            except Exception:
                log.exception("cannot carry out an order about output: internal error")

    def _move(self, stream: Stream) -> float:
        """Move a share of it; returns how full its pipe was."""
        if stream.pipe.fd in self._retries:
            return 0.0
        return self._attempt(stream, stream.move) / stream.pipe.size

    def _attempt(self, stream: Stream, act: Callable[[], int | None]) -> int:
        try:
            moved = act() or 0
        except OSError as error:
            self._fail(stream, error.strerror or str(error))
            return 0
        except Exception:
            log.exception("%s: cannot move its output: internal error", stream.name)
            self._fail(stream, "internal error")
            return 0
        if stream.trouble and (stream.pipe.is_empty() or time.monotonic() - stream.failed_at > SETTLED):
            stream.recover()
        return moved

    def _fail(self, stream: Stream, cause: str) -> None:
        now = time.monotonic()
        fd = stream.pipe.fd
        if fd not in self._retries:
            self._epoll.unregister(fd)  # it stays readable
        self._retries[fd] = now + RETRY
        stream.fail(cause, now, tell=not stream.failed_at or now - stream.failed_at > QUIET)
        try:
            stream.make_room()
        except OSError as error:
            log.error("%s: cannot give up output: %s", stream.name, error.strerror)

    def _retry(self) -> None:
        now = time.monotonic()
        for fd in [fd for fd, due in self._retries.items() if due <= now]:
            stream = self._streams[fd]
            before = stream.failed_at
            self._attempt(stream, stream.move)
            if stream.failed_at == before:
                del self._retries[fd]
                self._epoll.register(fd, select.EPOLLIN)
