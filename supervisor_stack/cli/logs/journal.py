"""What services print into the journal, by journalctl(1): whoever may read it reads it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from supervisor_stack.cli.logs.past import Line
from supervisor_stack.errors import StackError

_BLOCK = 1024 * 1024


class _Entry(msgspec.Struct):
    """A line of `journalctl -o json` (systemd.journal-fields(7)). A message that is no text is numbers.

    Whoever logs may give a field several times, and then it is an array of all of them.
    """

    SYSLOG_IDENTIFIER: str | list[str]
    REALTIME: str = msgspec.field(name="__REALTIME_TIMESTAMP")
    CURSOR: str = msgspec.field(name="__CURSOR")
    MESSAGE: str | list[int | str | list[int]] | None = None

    def text(self) -> bytes:
        """The message; of several the first."""
        message = self.MESSAGE
        if isinstance(message, list) and message and not isinstance(message[0], int):
            message = message[0]  # type: ignore[assignment]
        if isinstance(message, str):
            return message.encode()
        return bytes(number for number in message or () if isinstance(number, int))


_decode = msgspec.json.Decoder(_Entry).decode


class Journal:
    """The entries of some identifiers. Raises StackError where journalctl is missing or refuses."""

    def __init__(self, identifiers: Sequence[str]) -> None:
        # --all: without it what is longer than 4096 bytes is left out (null).
        self._command = (
            *("journalctl", "--quiet", "--no-pager", "--all"),
            *("--output=json", "--output-fields=MESSAGE,SYSLOG_IDENTIFIER"),
            *(f"--identifier={identifier}" for identifier in identifiers),
        )
        self._identifiers = frozenset(identifiers)
        self._cursor = ""
        self._begun = b""
        self._process: subprocess.Popen[bytes] | None = None

    def last(self, count: int) -> list[tuple[str, Line]]:
        """The last lines, in order, each with its identifier."""
        # At least one, to know where to go on from.
        argv = (*self._command, f"--lines={max(count, 1)}")
        try:
            ran = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        except OSError as error:
            raise StackError(
                f"cannot read the journal: cannot execute {argv[0]}: {error.strerror}"
            ) from error
        if ran.returncode:
            evidence = tuple(ran.stderr.decode(errors="replace").splitlines()[-5:])
            raise StackError(f"cannot read the journal: {argv[0]} exited {ran.returncode}", evidence)
        lines = list(self._lines(ran.stdout.splitlines()))
        return lines[len(lines) - min(count, len(lines)) :]

    def follow(self) -> int:
        """Begin to read what comes after those; returns a descriptor to poll."""
        # Without an entry yet, all that there will be.
        after = (f"--after-cursor={self._cursor}",) if self._cursor else ()
        argv = (*self._command, "--follow", "--lines=all", *after)
        self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        return self._output

    def more(self) -> Iterator[tuple[str, Line]]:
        """What came since; waits when there is nothing. Raises StackError when journalctl has ended."""
        block = os.read(self._output, _BLOCK)
        if not block:
            raise StackError("cannot follow the journal: journalctl has ended")
        *whole, self._begun = (self._begun + block).split(b"\n")
        yield from self._lines(whole)

    def close(self) -> None:
        """End journalctl."""
        if self._process:
            self._process.terminate()
            self._process.communicate()

    @property
    def _output(self) -> int:
        assert self._process  # noqa: S101
        assert self._process.stdout  # noqa: S101
        return self._process.stdout.fileno()

    def _lines(self, entries: Iterable[bytes]) -> Iterator[tuple[str, Line]]:
        for entry in map(_decode, filter(None, entries)):
            self._cursor = entry.CURSOR
            time = int(entry.REALTIME) / 1e6
            identifier = entry.SYSLOG_IDENTIFIER
            if isinstance(identifier, list):  # one of them is what was asked for
                identifier = next(each for each in identifier if each in self._identifiers)
            for line in entry.text().split(b"\n"):
                yield identifier, Line(time, time, line)
