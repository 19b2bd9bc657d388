"""The verb list. Shells ask it at each TAB (share/), so it is quick, and of use also when stackd is away."""

from __future__ import annotations

from supervisor_stack.cli.options import Options
from supervisor_stack.cli.output import emit, say, shape_of, tell_error
from supervisor_stack.cli.shapes import Names, NamesFailure
from supervisor_stack.cli.target import config_file, connect
from supervisor_stack.errors import ConfigError, NotPermittedError, TimedOutError, UnreachableError

PATIENCE = 1.0
"""Seconds for stackd to answer: the person who pressed TAB waits for it."""

NOT_ASKED = 4
"""The exit code where stackd itself could not be asked, as for every query."""


def names(options: Options) -> int:
    """The services of the stack; those of its file, and the error, where stackd tells nothing."""
    try:
        with connect(options, PATIENCE) as client:
            services = client.names()
    except (UnreachableError, NotPermittedError, TimedOutError) as error:
        services = _declared(options)
        if not services:
            raise
        error.detail = (*error.detail, f"the names are those in {config_file(options)}")
        if options.json:
            emit(NamesFailure(error=shape_of(error), services=services))
        else:
            _print(services)
            tell_error(error)
        return NOT_ASKED
    if options.json:
        emit(Names(services=services))
    else:
        _print(services)
    return 0


def _declared(options: Options) -> tuple[str, ...]:
    if options.socket and not options.config:
        return ()  # the default file may be that of another stack
    from supervisor_stack.config.names import declared

    try:
        return declared(config_file(options))
    except ConfigError:
        return ()


def _print(services: tuple[str, ...]) -> None:
    for service in services:
        say(service)
