"""What goes where: data to stdout, talk to stderr; with --json one object, or lines of JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import IO

import msgspec

from supervisor_stack.cli.options import PROGRAM
from supervisor_stack.cli.shapes import Error, Failure
from supervisor_stack.errors import StackError


class InterruptError(StackError):
    """The person pressed Ctrl-C while something was going on in stackd."""

    kind = "interrupted"
    exit_code = 130


def say(text: str) -> None:
    """A line of data for people."""
    print(text)


def say_all(lines: Iterable[str]) -> None:
    """Lines of data for people that may be long: on a terminal they are broken between words."""
    for line in _broken(lines, sys.stdout):
        say(line)


def tell(text: str) -> None:
    """A line of talk: progress and remarks."""
    print(text, file=sys.stderr, flush=True)


def emit(message: msgspec.Struct) -> None:
    """The one object of a --json, or one line of a stream: one of the shapes of shapes.py."""
    sys.stdout.buffer.write(_encoded(message) + b"\n")
    sys.stdout.buffer.flush()


def emit_error(error: StackError) -> None:
    """The one object of a --json that failed, or the last line of a stream."""
    emit(Failure(error=shape_of(error)))


def shape_of(error: StackError) -> Error:
    """An error as --json tells it."""
    return Error(kind=error.kind, message=error.message, detail=error.detail)


def tell_error(error: StackError) -> None:
    """An error to a person: what cannot be done and why, the evidence, what is true now."""
    tell(error_text(error))


def error_text(error: StackError) -> str:
    """The lines of that, on a terminal broken between words. The words of a service among them do nothing
    to it."""
    from supervisor_stack.cli.render import harmless  # what goes well does not need it

    lines = map(harmless, "\n  ".join((f"{PROGRAM}: {error.message}", *error.detail)).split("\n"))
    return "\n".join(_broken(lines, sys.stderr))


def _broken(lines: Iterable[str], stream: IO[str]) -> Iterable[str]:
    """As they are for files and programs, which break lines by themselves, or not at all."""
    if not stream.isatty():
        return lines
    from supervisor_stack.cli.tty import broken

    return broken(lines, stream)


def _encoded(message: msgspec.Struct) -> bytes:
    try:
        return msgspec.json.encode(message)
    except UnicodeEncodeError:
        # A path or a word of the command line that is not UTF-8. Escaped, each of its bytes stays.
        from json import dumps

        return dumps(msgspec.to_builtins(message), separators=(",", ":")).encode()
