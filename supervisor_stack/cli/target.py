"""Which stackd a command line is for."""

from __future__ import annotations

from pathlib import Path

from supervisor_stack.cli.options import Options
from supervisor_stack.control import reach
from supervisor_stack.control.client import StackClient
from supervisor_stack.errors import UnreachableError


def config_file(options: Options) -> str:
    """The path of the configuration file."""
    return reach.config_file(options.config)


_UNIT = Path("/etc/systemd/system/stackd.service")
"""Where script/install puts it."""
_LEAST_PATIENCE = 1.0
"""Seconds that a quick answer gets, also where nobody wants to wait for services: `wait --timeout 0`."""


def connect(options: Options, timeout: float = 5.0) -> StackClient:
    """A client of that stackd, which has `timeout` seconds for a quick answer, and no more than --timeout.

    Raises ConfigError, and what StackClient raises.
    """
    if options.timeout is not None:
        timeout = min(timeout, max(_LEAST_PATIENCE, options.timeout))
    if options.hosts:
        from supervisor_stack.cli.hosts import find_host

        host = find_host(*options.hosts)
        return StackClient(host.endpoint, timeout, host.keys)
    if options.socket:
        return StackClient(options.socket, timeout)
    try:
        return StackClient.from_config(options.config, timeout)
    except UnreachableError as error:
        if error.message.endswith(reach.NOT_RUNNING):
            error.detail = (*error.detail, f"start it with: {_start(config_file(options))}")
        raise


def _start(config: str) -> str:
    """How the stackd of this configuration is started."""
    from shlex import quote  # what goes well does not need it

    if config == reach.DEFAULT_CONFIG and _UNIT.exists():
        return "sudo systemctl start stackd"
    return f"stackd -c {quote(config)}"
