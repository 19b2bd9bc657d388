"""stackctl, the client of stackd: from a command line to an exit code.

Started for every question, by people and by scripts: what a verb does not need is not imported.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Callable, Sequence
from errno import EDQUOT, EFBIG, EIO, ENOSPC
from importlib import import_module
from io import TextIOWrapper

from supervisor_stack.cli.arguments import parse
from supervisor_stack.cli.grammar import VERBS, Verb
from supervisor_stack.cli.options import PROGRAM, Options
from supervisor_stack.cli.output import InterruptError, emit_error, tell_error
from supervisor_stack.errors import RequestError, StackError


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line (that of the process by default); returns the exit code."""
    # At its end Python looks through all that was imported for garbage: 2 of 60 ms of a status.
    atexit.register(gc.disable)
    words = sys.argv[1:] if arguments is None else list(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # What the encoding of the terminal lacks is no reason to fail.
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            return _run(words)
        finally:
            sys.stdout.flush()  # also of -h, which exits
    except BrokenPipeError:
        # Whoever read stdout has seen enough (`| head`).
        _drop_output()
        return 141  # what a shell reports of a program that SIGPIPE ended
    except OSError as error:
        if not _is_of_output(error):
            raise
        _drop_output()
        tell_error(StackError(f"cannot write the output: {error.strerror}"))
        return StackError.exit_code


def _is_of_output(error: OSError) -> bool:
    """Whether stdout takes no more. What has a name was not written there."""
    return error.errno in (ENOSPC, EDQUOT, EFBIG, EIO) and error.filename is None


def _drop_output() -> None:
    """Python would complain once more, at its exit, of what was not written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(words: Sequence[str]) -> int:
    # Also when the rest of them cannot be understood.
    json = any(word.partition("=")[0] == "--json" for word in words)
    verb = None
    try:
        options = parse(words)
        verb = VERBS[options.verb]
        json = options.json
        if options.hosts:
            hosts = _hosts(options, verb)
            if len(hosts) > 1:
                from supervisor_stack.cli.fleet import carry_out

                return carry_out(hosts, options, words)
            options.hosts = hosts
        return _load(verb.carry_out)(options)
    except KeyboardInterrupt:
        # A person knows. What was going on in stackd and goes on has been told by the verb.
        if json:
            emit_error(InterruptError("cannot go on: interrupted"))
        return InterruptError.exit_code
    except BrokenPipeError:
        raise
    except StackError as error:
        if json:
            emit_error(error)
        else:
            tell_error(error)
        return verb.exit_code(error) if verb else error.exit_code
    except Exception as error:
        if json and not (isinstance(error, OSError) and _is_of_output(error)):
            emit_error(StackError("cannot go on: internal error", (f"{type(error).__name__}: {error}",)))
        raise


def _hosts(options: Options, verb: Verb) -> list[str]:
    """The names of the hosts that are asked. Raises RequestError, and ConfigError for their file."""
    from supervisor_stack.cli.hosts import known_hosts

    if verb.local:
        raise RequestError(
            f"cannot {verb.local} at {', '.join(options.hosts)}: what that needs is only on the host itself",
            (f"log in there, and use: {PROGRAM} {options.verb}",),
        )
    if options.config or options.socket:
        raise RequestError("cannot understand the command line: --host, --socket and -c exclude each other")
    return known_hosts(options.hosts)


def _load(carry_out: str) -> Callable[[Options], int]:
    """What carries out a verb, loaded by itself: `check` alone brings the whole configuration with it."""
    module, function = carry_out.split(":")
    loaded: Callable[[Options], int] = getattr(import_module(f"supervisor_stack.cli.{module}"), function)
    return loaded


if __name__ == "__main__":
    sys.exit(main())
