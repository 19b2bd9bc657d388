"""The command line of stackctl, understood.

Only the parser of the verb that is asked for is built. Its options and names may come in any
order, and the common options also before the verb.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NoReturn

from supervisor_stack import __version__
from supervisor_stack.cli.grammar import VERBS
from supervisor_stack.cli.options import PROGRAM, Options
from supervisor_stack.errors import RequestError

_HELP = "help"
_COMMON = "[-c FILE | --socket ENDPOINT | --host NAME[,NAME…]] [--json] [--no-color]"


def parse(arguments: Sequence[str]) -> Options:
    """What the command line says. Raises RequestError; -h and --version print and exit."""
    options = Options()
    parser = _first()
    parser.add_argument("verb", nargs="?", metavar="VERB", help=argparse.SUPPRESS)
    parser.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    parser.parse_args(arguments, options)
    name = options.verb
    if name == _HELP:
        return parse([*options.rest[:1], "-h"])
    if name not in VERBS:
        raise RequestError(_complaint(f"no verb `{name}`{_near(name)}"), (f"usage: {parser.usage}",))
    _specific(name).parse_intermixed_args(options.rest, options)
    return options


def tree() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """The parser of what stands before a verb, and that of each verb, for what is made of them all: the
    completion of shells and the manual pages (share/)."""
    return _first(), {name: _specific(name) for name in VERBS}


class _Help(argparse.RawDescriptionHelpFormatter):
    """Of a fixed width: to ask the terminal for its own, argparse imports shutil for every argument."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=100)


class _Gather(argparse.Action):
    """Names with commas between them, and those of an option that is given again."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[object] | None,
        option_string: str | None = None,
    ) -> None:
        names = [name for name in str(values).split(",") if name]
        if not names:
            parser.error(f"argument {option_string}: expected a name")
        setattr(namespace, self.dest, (*getattr(namespace, self.dest), *names))


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
        self.add_argument(
            "--host",
            dest="hosts",
            metavar="NAME",
            action=_Gather,
            help="of ~/.config/stackctl.toml; several with commas, all of them: all",
        )
        self.add_argument("--json", action="store_true", help="for programs: one object, or JSON lines")
        self.add_argument("--no-color", action="store_true", help="no colours on a terminal")
        self.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")

    def error(self, message: str) -> NoReturn:
        raise RequestError(_complaint(message), (f"usage: {self.usage}",))


def _first() -> _Parser:
    return _Parser(f"{PROGRAM} {_COMMON} VERB [ARGUMENT…]", _overview())


def _specific(name: str) -> _Parser:
    verb = VERBS[name]
    parser = _Parser(f"{PROGRAM} {_COMMON} {name} {verb.arguments}".rstrip(), f"{name}: {verb.summary}")
    verb.add(parser)
    return parser


def _complaint(cause: str) -> str:
    return f"cannot understand the command line: {cause}"


def _overview() -> str:
    verbs = "\n".join(f"  {name:<10} {verb.summary}" for name, verb in VERBS.items())
    return (
        f"Talk to stackd about its stack.\n\nverbs (default: status):\n{verbs}\n\n"
        f"{PROGRAM} {_HELP} VERB: what a verb takes"
    )


def _near(name: str) -> str:
    # Two thousand lines that only a mistake needs.
    from difflib import get_close_matches

    close = get_close_matches(name, VERBS, n=1)
    return f"; did you mean {close[0]}?" if close else ""
