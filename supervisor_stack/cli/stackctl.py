"""stackctl, the client of stackd: from a command line to an exit code.

Started for every question, by people and by scripts: what a verb does not need is not imported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from io import TextIOWrapper

from supervisor_stack.cli.arguments import VERBS, Options, parse
from supervisor_stack.cli.output import InterruptError, emit_error, tell_error
from supervisor_stack.errors import StackError


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line (that of the process by default); returns the exit code."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # What the encoding of the terminal lacks is no reason to fail.
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(words)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read stdout has seen enough (`| head`). Python would complain once more at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141  # what a shell reports of a program that SIGPIPE ended
    return code


def _run(words: Sequence[str]) -> int:
    json = "--json" in words  # also when the rest of them cannot be understood
    codes: dict[type[StackError], int] = {}
    try:
        options = parse(words)
        json, codes = options.json, VERBS[options.verb].codes
        return _verb(options.verb)(options)
    except KeyboardInterrupt:
        return InterruptError.exit_code
    except StackError as error:
        if json:
            emit_error(error)
        else:
            tell_error(error)
        return codes.get(type(error), error.exit_code)


def _verb(name: str) -> Callable[[Options], int]:
    """What carries out a verb, loaded by itself: `check` alone brings the whole configuration with it."""
    match name:
        case "start" | "stop" | "restart" | "reload" | "shutdown":
            from supervisor_stack.cli.operate import operate

            return operate
        case "logs":
            from supervisor_stack.cli.logs.verb import logs

            return logs
        case "events":
            from supervisor_stack.cli.events import events

            return events
        case "check":
            from supervisor_stack.cli.check import check

            return check
        case _:
            from supervisor_stack.cli.verbs import QUICK

            return QUICK[name]


if __name__ == "__main__":
    sys.exit(main())
