"""What goes where: data to stdout, talk to stderr; with --json one object, or lines of JSON."""

from __future__ import annotations

import sys

import msgspec

from supervisor_stack.cli.options import PROGRAM
from supervisor_stack.errors import StackError

VERSION = 1
"""Of the objects that --json prints."""


class InterruptError(StackError):
    """The person pressed Ctrl-C while something was going on in stackd."""

    kind = "interrupted"
    exit_code = 130


def say(text: str) -> None:
    """A line of data for people."""
    print(text)


def tell(text: str) -> None:
    """A line of talk: progress and remarks."""
    print(text, file=sys.stderr, flush=True)


def emit(**fields: object) -> None:
    """The one object of a --json that succeeded."""
    emit_line({"v": VERSION, "ok": True, **fields})


def emit_line(message: object) -> None:
    """One line of a stream of JSON."""
    sys.stdout.buffer.write(msgspec.json.encode(message) + b"\n")
    sys.stdout.buffer.flush()


def emit_error(error: StackError, **fields: object) -> None:
    """The one object of a --json that failed, or the last line of a stream."""
    told = {"kind": error.kind, "message": error.message, "detail": error.detail}
    emit_line({"v": VERSION, "ok": False, "error": told, **fields})


def tell_error(error: StackError) -> None:
    """An error to a person: what cannot be done and why, the evidence, what is true now."""
    tell(error_text(error))


def error_text(error: StackError) -> str:
    """The lines of that."""
    return "\n  ".join((f"{PROGRAM}: {error.message}", *error.detail))
