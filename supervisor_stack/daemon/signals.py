"""Signals by name."""

from __future__ import annotations

import signal

from supervisor_stack.errors import RequestError

HEARD = frozenset(
    {signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2}
)
"""Those that ask stackd for something. By default they would end a program that does not listen yet."""


def number(name: str) -> int:
    """The number of a signal named with or without SIG. Raises RequestError for an unknown name."""
    plain = name.upper().removeprefix("SIG")
    try:
        return signal.Signals[f"SIG{plain}"].value
    except KeyError:
        raise RequestError(
            f"no signal `{name}`", ("signals are named as kill -l does: HUP, USR1, TERM, ...",)
        ) from None
