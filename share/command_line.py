"""The command line of stackctl, as the writers here need it: what can stand where, and what it is."""

from __future__ import annotations

import argparse
import signal
from enum import Enum
from typing import NamedTuple

from supervisor_stack.cli.arguments import tree
from supervisor_stack.cli.grammar import VERBS


class What(Enum):
    """What a shell can complete a value to."""

    FILE = "file"
    SERVICE = "service"
    SERVICE_OR_ALL = "service-or-all"
    SIGNAL = "signal"
    ONE_OF = "one of"
    NOTHING = "nothing"


# The names that the grammar gives to values say what they are.
_BY_METAVAR = {
    "FILE": What.FILE,
    "SERVICE": What.SERVICE,
    "SERVICE|all": What.SERVICE_OR_ALL,
    "SIG": What.SIGNAL,
}


class Value(NamedTuple):
    """The value of an option, or an argument. `many`: it may come again."""

    name: str
    what: What
    help: str
    choices: tuple[str, ...] = ()
    many: bool = False


class Option(NamedTuple):
    """One option by all its names."""

    flags: tuple[str, ...]
    help: str
    value: Value | None

    @property
    def brief(self) -> str:
        """The help, without the list of choices that a shell offers anyway."""
        return self.help.removesuffix(f"; {', '.join(self.value.choices)}") if self.value else self.help


class Verb(NamedTuple):
    """One verb with what it alone takes."""

    name: str
    summary: str
    usage: str
    options: tuple[Option, ...]
    arguments: tuple[Value, ...]


class CommandLine(NamedTuple):
    """What may stand anywhere, and the verbs."""

    common: tuple[Option, ...]
    verbs: tuple[Verb, ...]

    @property
    def telling(self) -> tuple[str, ...]:
        """The options that say which stackd is meant, as far as an option with a value can."""
        return tuple(flag for option in self.common if option.value for flag in option.flags)


def stackctl() -> CommandLine:
    """The one of stackctl."""
    first, specific = tree()
    common = options_of(first)
    return CommandLine(
        common,
        tuple(
            Verb(
                name,
                VERBS[name].summary,
                f"{name} {VERBS[name].arguments}".rstrip(),
                tuple(option for option in options_of(parser) if option not in common),
                tuple(_value(action) for action in parser._actions if not action.option_strings),
            )
            for name, parser in specific.items()
        ),
    )


def options_of(parser: argparse.ArgumentParser) -> tuple[Option, ...]:
    """The options of a parser that are not hidden."""
    return tuple(
        Option(
            tuple(action.option_strings),
            _help(action),
            None if action.nargs == 0 else _value(action),
        )
        for action in parser._actions
        if action.option_strings and action.help != argparse.SUPPRESS
    )


def signals() -> tuple[str, ...]:
    """The names of signals without SIG, each signal once."""
    return tuple(each.name.removeprefix("SIG") for each in signal.Signals)


def _value(action: argparse.Action) -> Value:
    choices = tuple(map(str, action.choices or ()))
    name = str(action.metavar or "|".join(choices))
    what = What.ONE_OF if choices else _BY_METAVAR.get(name, What.NOTHING)
    return Value(name, what, _help(action), choices, many=action.nargs in ("*", "+"))


def _help(action: argparse.Action) -> str:
    return (action.help or "") % {"default": action.default}
