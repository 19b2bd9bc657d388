"""Signals by name."""

from __future__ import annotations

import signal

from supervisor_stack.errors import RequestError


def number(name: str) -> int:
    """The number of a signal named with or without SIG. Raises RequestError for an unknown name."""
    plain = name.upper().removeprefix("SIG")
    try:
        return signal.Signals[f"SIG{plain}"].value
    except KeyError:
        raise RequestError(
            f"no signal `{name}`", ("signals are named as kill -l does: HUP, USR1, TERM, ...",)
        ) from None
