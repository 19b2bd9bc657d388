"""Any other program: nothing is known of it but what stackd.toml says."""

from __future__ import annotations

from supervisor_stack.kinds.base import Facts, Given, Kind


def learn(given: Given) -> Facts:
    """The program with its arguments, which has no configuration file that could be read."""
    return Facts(argv=(given.binary, *given.args))


KIND = Kind(
    name="command",
    binaries=(),
    learn=learn,
    no_reload="it has no reload_signal",
    needs_config=False,
)
