"""stackd's own log, on stderr, written by a thread: whoever reads it may stop reading.

A terminal at Ctrl-S, a paused pager or a stuck collector blocks a write for ever, and the loop with it.
"""

from __future__ import annotations

import logging
import os
import queue
import sys
from logging.handlers import QueueHandler, QueueListener

LEVELS = {"debug": 7, "info": 6, "warning": 4, "error": 3}
"""Log levels, with the priorities that journald reads at the start of a line (sd-daemon(3))."""

WAITING_LINES = 10_000
"""Lines that wait for a slow reader; what comes on top is dropped, and counted."""

LAST_CHANCE = 2.0
"""Seconds that the last lines get at the end."""


class _Dropping(QueueHandler):
    """Never waits: drops when the queue is full, and says how many as soon as there is room."""

    def __init__(self, lines: queue.Queue[logging.LogRecord | None]) -> None:
        super().__init__(lines)
        self._lines = lines
        self._dropped = 0

    def enqueue(self, record: logging.LogRecord) -> None:
        if self._dropped and not self._lines.full():
            told = f"{self._dropped} lines were lost: nobody read them"
            self._lines.put_nowait(
                logging.makeLogRecord({"msg": told, "levelname": "WARNING", "levelno": 30})
            )
            self._dropped = 0
        try:
            self._lines.put_nowait(record)
        except queue.Full:
            self._dropped += 1


class Log:
    """The root logger's way to stderr, until `close`."""

    def __init__(self, level: str) -> None:
        handler = logging.StreamHandler(sys.stderr)
        # journald sets JOURNAL_STREAM for what it listens to, and wants a priority instead of a time.
        journal = "JOURNAL_STREAM" in os.environ
        form = "<%(priority)d>%(message)s" if journal else "%(asctime)s %(levelname)s %(message)s"
        handler.setFormatter(logging.Formatter(form))
        handler.addFilter(_add_priority)
        lines: queue.Queue[logging.LogRecord | None] = queue.Queue(WAITING_LINES)
        self._listener = QueueListener(lines, handler)
        self._listener.start()
        logging.basicConfig(level=level.upper(), format="%(message)s", handlers=[_Dropping(lines)])

    def close(self) -> None:
        """Write what is waiting, but not for ever; the thread ends with the process."""
        thread = self._listener._thread
        self._listener.enqueue_sentinel()
        if thread is not None:
            thread.join(LAST_CHANCE)


def _add_priority(record: logging.LogRecord) -> bool:
    record.priority = LEVELS.get(record.levelname.lower(), 2)
    return True
