"""The verbs of stackctl: the arguments that each takes, and what carries it out. Help comes from here."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import NamedTuple, get_args

from supervisor_stack.cli.options import ALL, DEFAULT_LINES
from supervisor_stack.control.states import STATES
from supervisor_stack.errors import ConfigError, OperationError, StackError, TimedOutError, UnreachableError
from supervisor_stack.spec import Role


class Verb(NamedTuple):
    """One verb. `carry_out`: module below cli and function, imported when it is asked for: stackctl starts
    for every question. `codes`: the exit codes in which it differs from those of the errors. `local`: of what
    cannot be had of a host, as it needs what only this machine has: what it does, as it stands after
    "cannot"."""

    arguments: str
    summary: str
    add: Callable[[argparse.ArgumentParser], None]
    carry_out: str
    codes: dict[type[StackError], int] = {}  # noqa: RUF012
    local: str = ""

    def exit_code(self, error: StackError) -> int:
        """The exit code of this verb when it fails so."""
        return self.codes.get(type(error), error.exit_code)


# A script that asks how things are gets one code for "there is nobody to ask" (LSB: status unknown): also
# where the configuration does not tell whom.
_QUERY: dict[type[StackError], int] = {UnreachableError: 4, TimedOutError: 4, ConfigError: 4}


_SHORTEST = 0.1
"""Seconds between two questions of `top`."""


def _nothing(_parser: argparse.ArgumentParser) -> None:
    pass


def _some(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("services", nargs="*", metavar="SERVICE")


def _status(parser: argparse.ArgumentParser) -> None:
    _some(parser)
    parser.add_argument("--watch", action="store_true", help="the table, shown again with each change")
    parser.add_argument(
        "--interval", type=_seconds, metavar="S", help="with --watch: new figures every S seconds, default: 2"
    )


def _one(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("services", nargs=1, metavar="SERVICE")


class _AllAlone(argparse.Action):
    """Names, or `all` and nothing beside it: a name that is none would pass unseen."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[object] | None,
        option_string: str | None = None,  # noqa: ARG002
    ) -> None:
        names = [str(value) for value in values or ()]
        if ALL in names and len(names) > 1:
            parser.error(f"`{ALL}` stands alone: it means every service")
        setattr(namespace, self.dest, names)


def _some_or_all(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "services", nargs="+", metavar="SERVICE|all", action=_AllAlone, help="services, or all of them"
    )


def _operation(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-wait", dest="wait", action="store_false", help="do not wait for the end")
    parser.add_argument("--timeout", type=_seconds, metavar="S", help="wait at most S seconds, or 5s, 2m")


def _several(parser: argparse.ArgumentParser) -> None:
    _some_or_all(parser)
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


def _apply(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--plan", action="store_true", help="only show what would be done; exit 1 when something would"
    )
    _operation(parser)


def _signal(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("signal", metavar="SIG", help="its name, with or without SIG, or its number")
    _one(parser)


def _stream(parser: argparse.ArgumentParser, of_what: str = "") -> None:
    last = f"begin with the last N{of_what}, default: {DEFAULT_LINES}"
    parser.add_argument("-n", dest="lines", type=_count, metavar="N", help=last)
    parser.add_argument("-f", dest="follow", action="store_true", help="go on with what comes, until Ctrl-C")


def _logs(parser: argparse.ArgumentParser) -> None:
    _some(parser)
    _stream(parser, " lines of all logs together")


def _graph(parser: argparse.ArgumentParser) -> None:
    _some(parser)
    parser.add_argument("--dot", action="store_true", help="for Graphviz: stackctl graph --dot | dot -Tsvg")


def _top(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--interval",
        dest="period",
        type=_period,
        metavar="S",
        help="ask for CPU and memory every S seconds, default: 1",
    )


def _wait(parser: argparse.ArgumentParser) -> None:
    _some_or_all(parser)
    states = f"what to wait for, default: ready; {', '.join(STATES)}"
    parser.add_argument("--for", dest="state", metavar="STATE", choices=STATES, help=states)
    parser.add_argument("--timeout", type=_seconds, metavar="S", help="wait at most S seconds, or 5s, 2m")


def _keygen(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="whose key it is")
    parser.add_argument("--server", action="store_true", help="the key of this stackd")
    parser.add_argument("--role", choices=get_args(Role), metavar="ROLE", help=", ".join(get_args(Role)))
    parser.add_argument("--keys", metavar="FOLDER", help="the folder of the keys; default: as configured")


_ALL = "SERVICE…|all"
_OPERATION = "[--no-wait] [--timeout S]"
VERBS = {
    "status": Verb(
        "[--watch [--interval S]] [SERVICE…]",
        "how the stack is; with names, all about these services",
        _status,
        "verbs:status",
        _QUERY,
    ),
    "list": Verb("", "the names of the services, one a line", _nothing, "names:names", _QUERY),
    "start": Verb(f"{_OPERATION} {_ALL}", "start services and what they need", _several, "operate:operate"),
    "stop": Verb(f"[--cascade] {_OPERATION} {_ALL}", "stop services", _cascading, "operate:operate"),
    "restart": Verb(
        f"[--cascade] [--hard] {_OPERATION} {_ALL}", "a new run of services", _restart, "operate:operate"
    ),
    "reload": Verb(
        f"{_OPERATION} {_ALL}",
        "have services take up their changed configuration",
        _several,
        "operate:operate",
    ),
    "apply": Verb(
        f"[--plan] {_OPERATION}",
        "read stackd.toml again, and change only what differs",
        _apply,
        "apply:apply",
    ),
    "logs": Verb(
        "[-f] [-n N] [SERVICE…]",
        "what services print and log, in one order of time",
        _logs,
        "logs.verb:logs",
        _QUERY,
        local="show logs",
    ),
    "top": Verb(
        "[--interval S]",
        "the stack live, full screen, with keys to act",
        _top,
        "top.verb:top",
        _QUERY,
        local="show top",
    ),
    "events": Verb("[-f] [-n N]", "what happened to services", _stream, "events:events", _QUERY),
    "graph": Verb(
        "[--dot] [SERVICE…]", "who needs whom; works without stackd too", _graph, "graph:graph", _QUERY
    ),
    "explain": Verb(
        "SERVICE", "why a service runs or does not, down to the cause", _one, "explain:explain", _QUERY
    ),
    "blame": Verb("[SERVICE…]", "what the start waited for, slowest first", _some, "blame:blame", _QUERY),
    "check": Verb(
        "",
        "judge the configuration, and have each service test its own",
        _nothing,
        "check:check",
        local="check the configuration",
    ),
    "is-active": Verb(
        "SERVICE", "print the state; exit 0 when active, 3 when not", _one, "verbs:is_active", _QUERY
    ),
    "wait": Verb(
        f"[--for STATE] [--timeout S] {_ALL}",
        "wait until services are ready",
        _wait,
        "verbs:wait",
        {UnreachableError: 4, ConfigError: 4, OperationError: 3},
    ),
    "signal": Verb("SIG SERVICE", "send a signal to the main process", _signal, "verbs:signal"),
    "reset": Verb(_ALL, "forget failures and counters", _some_or_all, "verbs:reset"),
    "shutdown": Verb(
        f"[--keep-services] {_OPERATION}",
        "stop all services in order, then stackd",
        _shutdown,
        "operate:operate",
    ),
    "keygen": Verb(
        "--server | NAME [--role ROLE] [--keys FOLDER]",
        "make a key for the network, of this stackd or of somebody who comes",
        _keygen,
        "keygen:keygen",
        local="make a key",
    ),
    "version": Verb("", "versions of stackctl and stackd", _nothing, "verbs:version", _QUERY),
}


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        # As the configuration has them: 5s, 2m. Not loaded for a plain number.
        from supervisor_stack.config.values import Duration

        seconds = Duration.parse(text)
    if not 0 <= seconds < 1e9:
        raise ValueError
    return seconds


def _period(text: str) -> float:
    seconds = _seconds(text)
    if seconds < _SHORTEST:
        raise ValueError
    return seconds


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError
    return number


# argparse names the type by this in "invalid … value".
_seconds.__name__ = "duration (such as 5, 5s, 2m)"
_period.__name__ = f"duration (at least {_SHORTEST:g} s)"
_count.__name__ = "count"
