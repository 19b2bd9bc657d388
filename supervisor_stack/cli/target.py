"""Which stackd a command line is for."""

from __future__ import annotations

import os

from supervisor_stack.cli.options import Options
from supervisor_stack.control.client import StackClient

DEFAULT_CONFIG = "/etc/stackd/stackd.toml"


def config_file(options: Options) -> str:
    """The path of the configuration file."""
    return options.config or os.environ.get("STACKD_CONFIG") or DEFAULT_CONFIG


def connect(options: Options, timeout: float = 5.0) -> StackClient:
    """A client of that stackd, which has `timeout` seconds for a quick answer.

    Raises ConfigError, and what StackClient raises.
    """
    if options.hosts:
        from supervisor_stack.cli.hosts import find_host

        host = find_host(*options.hosts)
        return StackClient(host.endpoint, timeout, host.keys)
    return StackClient(options.socket or _configured(options), timeout)


def _configured(options: Options) -> str:
    # With --socket nothing of the configuration is needed, tomli included.
    from supervisor_stack.config import locate

    return locate(config_file(options), os.environ).socket
