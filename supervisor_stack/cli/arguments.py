"""The command line of stackctl: verbs, options, usage.

Only the parser of the verb that is asked for is built. Its options and names may come in any
order, and the common options also before the verb.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import NamedTuple, NoReturn

from supervisor_stack.errors import OperationError, RequestError, StackError, TimedOutError, UnreachableError

PROGRAM = "stackctl"
ALL = "all"
DEFAULT_LINES = 20
"""Of logs and events."""
_COMMON = "[-c FILE] [--socket ENDPOINT] [--json] [--no-color]"


STATES = (
    "ready", "stopped", "waiting", "starting", "running", "reloading", "stopping", "killing", "backoff",
    "exited", "failed", "inactive", "activating", "active", "deactivating",
)  # fmt: skip
"""What `wait --for` waits for: readiness, or a state by either of its names."""


class Options(argparse.Namespace):
    """What the command line says. The values here are those of what it does not mention."""

    config: str = ""
    socket: str = ""
    json: bool = False
    no_color: bool = False
    verb: str = "status"
    services: Sequence[str] = ()
    wait: bool = True
    timeout: float | None = None
    cascade: bool = False
    hard: bool = False
    keep_services: bool = False
    lines: int | None = None
    follow: bool = False
    state: str = "ready"
    signal: str = ""


class Verb(NamedTuple):
    """One verb. `codes`: the exit codes in which it differs from those of the errors."""

    arguments: str
    summary: str
    add: Callable[[argparse.ArgumentParser], None]
    codes: dict[type[StackError], int] = {}  # noqa: RUF012


# A script that asks how things are gets one code for "there is nobody to ask" (LSB: status unknown).
_QUERY: dict[type[StackError], int] = {UnreachableError: 4, TimedOutError: 4}


def _nothing(_parser: argparse.ArgumentParser) -> None:
    pass


def _some(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("services", nargs="*", metavar="SERVICE")


def _one(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("services", nargs=1, metavar="SERVICE")


def _operation(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-wait", dest="wait", action="store_false", help="do not wait for the end")
    parser.add_argument("--timeout", type=_seconds, metavar="S", help="wait at most S seconds")


def _several(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("services", nargs="+", metavar="SERVICE", help="a service, or all")
    _operation(parser)


def _cascading(parser: argparse.ArgumentParser) -> None:
    _several(parser)
    parser.add_argument("--cascade", action="store_true", help="also those who need them, in order")


def _restart(parser: argparse.ArgumentParser) -> None:
    _cascading(parser)
    parser.add_argument(
        "--hard", action="store_true", help="end the present run first, also where it could go on meanwhile"
    )


def _shutdown(parser: argparse.ArgumentParser) -> None:
    _operation(parser)
    parser.add_argument(
        "--keep-services",
        action="store_true",
        help="stop none: the next stackd takes them over as they are",
    )


def _reset(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("services", nargs="+", metavar="SERVICE", help="a service, or all")


def _signal(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("signal", metavar="SIG", help="its name, with or without SIG")
    _one(parser)


def _stream(parser: argparse.ArgumentParser, of_what: str = "") -> None:
    last = f"begin with the last N{of_what}, default: {DEFAULT_LINES}"
    parser.add_argument("-n", dest="lines", type=_count, metavar="N", help=last)
    parser.add_argument("-f", dest="follow", action="store_true", help="go on with what comes, until Ctrl-C")


def _logs(parser: argparse.ArgumentParser) -> None:
    _some(parser)
    _stream(parser, " lines of all logs together")


def _wait(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("services", nargs="+", metavar="SERVICE", help="a service, or all")
    parser.add_argument(
        "--for", dest="state", metavar="STATE", choices=STATES, help=f"{', '.join(STATES)}; default: ready"
    )
    parser.add_argument("--timeout", type=_seconds, metavar="S", help="wait at most S seconds")


_ALL = "SERVICE…|all"
_OPERATION = "[--no-wait] [--timeout S]"
VERBS = {
    "status": Verb("[SERVICE…]", "how the stack is; with names, all about these services", _some, _QUERY),
    "start": Verb(f"{_OPERATION} {_ALL}", "start services and what they need", _several),
    "stop": Verb(f"[--cascade] {_OPERATION} {_ALL}", "stop services", _cascading),
    "restart": Verb(f"[--cascade] [--hard] {_OPERATION} {_ALL}", "a new run of services", _restart),
    "reload": Verb(f"{_OPERATION} {_ALL}", "have services take up their changed configuration", _several),
    "logs": Verb(
        "[-f] [-n N] [SERVICE…]",
        "what services print and log, in one order of time",
        _logs,
        _QUERY,
    ),
    "events": Verb("[-f] [-n N]", "what happened to services", _stream, _QUERY),
    "check": Verb("", "judge the configuration, and have each service test its own", _nothing),
    "is-active": Verb("SERVICE", "print the state; exit 0 when active, 3 when not", _one, _QUERY),
    "wait": Verb(
        f"[--for STATE] [--timeout S] {_ALL}",
        "wait until services are ready",
        _wait,
        {UnreachableError: 4, OperationError: 3},
    ),
    "signal": Verb("SIG SERVICE", "send a signal to the main process", _signal),
    "reset": Verb(_ALL, "forget failures and counters", _reset),
    "shutdown": Verb(f"[--keep-services] {_OPERATION}", "stop all services in order, then stackd", _shutdown),
    "version": Verb("", "versions of stackctl and stackd", _nothing, _QUERY),
}


def parse(arguments: Sequence[str]) -> Options:
    """What the command line says. Raises RequestError; -h prints the usage and exits."""
    options = Options()
    parser = _Parser(f"{PROGRAM} {_COMMON} VERB [ARGUMENT…]", _overview())
    parser.add_argument("verb", nargs="?", metavar="VERB", help=argparse.SUPPRESS)
    parser.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    parser.parse_args(arguments, options)
    name = options.verb
    if name not in VERBS:
        raise RequestError(_complaint(f"no verb `{name}`{_near(name)}"), (f"usage: {parser.usage}",))
    verb = VERBS[name]
    usage = f"{PROGRAM} {_COMMON} {name} {verb.arguments}".rstrip()
    specific = _Parser(usage, f"{name}: {verb.summary}")
    verb.add(specific)
    specific.parse_intermixed_args(options.rest, options)
    return options


class _Help(argparse.RawDescriptionHelpFormatter):
    """Of a fixed width: to ask the terminal for its own, argparse imports shutil for every argument."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=100)


class _Parser(argparse.ArgumentParser):
    """Raises instead of exiting, and leaves what is not given to the defaults of Options."""

    def __init__(self, usage: str, description: str) -> None:
        super().__init__(
            prog=PROGRAM,
            usage=usage,
            description=description,
            formatter_class=_Help,
            argument_default=argparse.SUPPRESS,
            allow_abbrev=False,
        )
        self.add_argument("-c", dest="config", metavar="FILE", help="the configuration of the stack")
        self.add_argument("--socket", metavar="ENDPOINT", help="where stackd listens, instead of -c")
        self.add_argument("--json", action="store_true", help="for programs: one object, or JSON lines")
        self.add_argument("--no-color", action="store_true", help="no colours on a terminal")

    def error(self, message: str) -> NoReturn:
        raise RequestError(_complaint(message), (f"usage: {self.usage}",))


def _complaint(cause: str) -> str:
    return f"cannot understand the command line: {cause}"


def _overview() -> str:
    verbs = "\n".join(f"  {name:<10} {verb.summary}" for name, verb in VERBS.items())
    return f"Talk to stackd about its stack.\n\nverbs (default: status):\n{verbs}"


def _near(name: str) -> str:
    # Two thousand lines that only a mistake needs.
    from difflib import get_close_matches

    close = get_close_matches(name, VERBS, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < 1e9:
        raise ValueError
    return seconds


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError
    return number


# argparse names the type by this in "invalid … value".
_seconds.__name__ = "number of seconds"
_count.__name__ = "count"
