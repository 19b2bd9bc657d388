"""What is added to logs from now on, as it comes."""

from __future__ import annotations

import select
from collections.abc import Iterator, Mapping
from operator import itemgetter
from time import sleep
from typing import Never

from supervisor_stack.cli.logs.changes import Changes
from supervisor_stack.cli.logs.files import Tail
from supervisor_stack.cli.logs.journal import Journal
from supervisor_stack.cli.logs.past import Line
from supervisor_stack.cli.logs.show import Display
from supervisor_stack.cli.logs.sources import Source
from supervisor_stack.cli.logs.times import Clock

_TOGETHER = 0.05
"""Seconds within which lines of several logs are put in order; a person does not see less."""
_PERIOD = 0.5
"""Seconds between two looks where the kernel cannot tell."""
_GONE = select.POLLERR | select.POLLHUP | select.POLLNVAL


class Followed:
    """A log that is followed. `time`: what its last line told, which is that of a next one without a time."""

    def __init__(self, source: Source, tail: Tail, time: float | None) -> None:
        self.source = source
        self.tail = tail
        self._clock = Clock()
        self._time = time

    def more(self) -> Iterator[tuple[Source, Line]]:
        """What was added since the last look. Raises OSError."""
        texts = list(self.tail.more())
        if texts and not self.tail.is_behind:
            # The last line is as old as the file, which tells whether the log is in our zone.
            last = self._clock.time_of(texts[-1])
            if last is not None:
                self._clock.settled(last, self.tail.written)
        for text in texts:
            time = self._clock.time_of(text)
            self._time = self._time if time is None else time
            yield self.source, Line(self._time or 0.0, self._time, text)


def follow(
    logs: list[Followed], journal: Journal | None, of_journal: Mapping[str, Source], display: Display
) -> Never:
    """Show what comes, until somebody ends this. Raises BrokenPipeError when nobody reads it any more."""
    wake = _Wake(journal, display)
    has_entries = False
    while True:
        lines: list[tuple[Source, Line]] = []
        for log in logs:
            try:
                lines += log.more()
            except OSError as error:
                display.complain(log.source, error)
        if journal and has_entries:
            lines += ((of_journal[name], line) for name, line in journal.more() if name in of_journal)
        display.show(_ordered(lines))
        goes_on = wake.watch(logs) or any(log.tail.is_behind for log in logs)
        has_entries = not goes_on and wake.wait()


def _ordered(lines: list[tuple[Source, Line]]) -> list[tuple[Source, Line]]:
    """By time, where no log has lines of it that go back: each one keeps its order."""
    latest: dict[Source, float] = {}
    placed = []
    for source, line in lines:
        latest[source] = max(line.at, latest.get(source, line.at))
        placed.append((latest[source], source, line))
    return [(source, line) for _, source, line in sorted(placed, key=itemgetter(0))]


class _Wake:
    """Waits for something to happen to the logs, or to whoever reads what is shown of them."""

    def __init__(self, journal: Journal | None, display: Display) -> None:
        self._display = display
        self._journal = journal.follow() if journal else -1
        self._poll = select.poll()
        # No event asked for: a pipe whose reader has gone reports an error by itself (poll(2)).
        self._poll.register(display.reader, 0)
        if journal:
            self._poll.register(self._journal, select.POLLIN)
        self._changes: Changes | None = None
        try:
            self._changes = Changes()
            self._poll.register(self._changes.fileno(), select.POLLIN)
        except OSError as error:
            self._go_without(error)

    def watch(self, logs: list[Followed]) -> bool:
        """Be woken by these. Returns whether some of them are to be looked at once more."""
        if not self._changes:
            return False
        try:
            return self._changes.watch(
                [log.tail.path for log in logs], [file for log in logs for file in log.tail.files]
            )
        except OSError as error:
            self._poll.unregister(self._changes.fileno())
            self._changes.close()
            self._changes = None
            self._go_without(error)
            return True

    def wait(self) -> bool:
        """Until something happens, and a moment longer for what happens together with it.

        Returns whether there are entries in the journal. Raises BrokenPipeError.
        """
        ready = dict(self._poll.poll(None if self._changes else _PERIOD * 1000))
        if ready.get(self._display.reader, 0) & _GONE:
            raise BrokenPipeError
        sleep(_TOGETHER)
        if self._changes:
            self._changes.clear()
        return self._journal in ready

    def _go_without(self, error: OSError) -> None:
        self._display.remark(
            f"cannot be told of changes: {error.strerror} ({error.filename}); looking every {_PERIOD:g} s"
        )
