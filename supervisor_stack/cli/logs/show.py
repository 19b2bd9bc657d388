"""Where lines of logs go: on stdout, for people as they are, for programs as JSON."""

from __future__ import annotations

import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from supervisor_stack.cli.logs.files import NotKeptError
from supervisor_stack.cli.logs.past import Line
from supervisor_stack.cli.logs.sources import Source
from supervisor_stack.cli.options import Options
from supervisor_stack.cli.output import emit, emit_error, tell, tell_error
from supervisor_stack.cli.render import visible
from supervisor_stack.cli.shapes import LogLine
from supervisor_stack.errors import StackError

# Of the sixteen that each terminal has, those that can be read on white and on black.
_COLORS = (36, 33, 32, 35, 34, 31)


class Display(ABC):
    """Shows lines, and complaints, each of them once.

    `reader`: a descriptor that reports an error or a hang-up (poll(2)) when nobody reads any more.
    """

    def __init__(self, reader: int) -> None:
        self.reader = reader
        self.exit_code = 0
        self._complaints: set[str] = set()

    @abstractmethod
    def show(self, lines: Iterable[tuple[Source, Line]]) -> None:
        """Show lines, in this order."""

    def complain(self, source: Source, error: OSError) -> None:
        """Tell that a file cannot be read; the others may be."""
        if isinstance(error, FileNotFoundError):
            self.remark(f"{source.service} has not written {source.path} yet")
        elif isinstance(error, NotKeptError):
            self.remark(f"{source.service} writes to {source.path}, which is no file that keeps it")
        else:
            path = error.filename or source.path
            self.fail(StackError(f"cannot read {path} of {source.service}: {error.strerror}"))

    def fail(self, error: StackError) -> None:
        """Tell what cannot be shown; the rest is."""
        if error.message not in self._complaints:
            self._complaints.add(error.message)
            self._tell_error(error)
        self.exit_code = error.exit_code

    def remark(self, text: str) -> None:
        """Tell something that is no failure."""
        if text not in self._complaints:
            self._complaints.add(text)
            self._tell(text)

    @abstractmethod
    def _tell(self, text: str) -> None:
        """Say it beside the lines."""

    @abstractmethod
    def _tell_error(self, error: StackError) -> None:
        """Say what cannot be shown, and why."""


class Printer(Display):
    """Prints lines, each with whose it is when there are several logs."""

    def __init__(self, sources: Sequence[Source], options: Options) -> None:
        super().__init__(sys.stdout.fileno())
        self._json = options.json
        self._goes_on = options.follow
        self._errors: list[StackError] = []
        self._to_terminal = sys.stdout.isatty()
        self._prefixes = prefixes(sources, _is_colorful(options) and self._to_terminal)

    def show(self, lines: Iterable[tuple[Source, Line]]) -> None:
        """Print lines; to a file or a program byte for byte, in whatever encoding the service wrote them."""
        for source, line in lines:
            if self._json:
                _emit(source, line)
            else:
                text = visible(line.text).encode() if self._to_terminal else line.text
                sys.stdout.buffer.write(self._prefixes[source] + text + b"\n")
        sys.stdout.buffer.flush()

    def _tell(self, text: str) -> None:
        tell(text)

    def _tell_error(self, error: StackError) -> None:
        # For programs an error is the last line, so it has to wait; what has no end tells it to people.
        if self._json and not self._goes_on:
            self._errors.append(error)
        else:
            tell_error(error)

    def close(self) -> None:
        """All lines are shown."""
        if self._errors:
            emit_error(_in_one(self._errors))


def _in_one(errors: Sequence[StackError]) -> StackError:
    if len(errors) == 1:
        return errors[0]
    lines = tuple(line for error in errors for line in (error.message, *error.detail))
    return StackError(f"cannot show {len(errors)} logs", lines)


def _emit(source: Source, line: Line) -> None:
    emit(
        LogLine(
            service=source.service,
            file=source.path or None,
            time=None if line.time is None else _rfc3339(line.time),
            line=line.text.decode(errors="replace"),
        )
    )


def _rfc3339(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def prefixes(sources: Sequence[Source], colorful: bool) -> dict[Source, bytes]:
    """`nginx error  | `; nothing where there is only one log. A colour for each service."""
    if len(sources) == 1:
        return {sources[0]: b""}
    width = max((len(source.label) for source in sources), default=0)
    services = list(dict.fromkeys(source.service for source in sources))
    found = {}
    for source in sources:
        prefix = f"{source.label:<{width}}  | "
        if colorful:
            prefix = f"\x1b[{_COLORS[services.index(source.service) % len(_COLORS)]}m{prefix}\x1b[0m"
        found[source] = prefix.encode()
    return found


def _is_colorful(options: Options) -> bool:
    return not (options.no_color or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb")
