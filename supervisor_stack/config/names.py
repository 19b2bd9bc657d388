"""The names of services: how they are made, and which ones a configuration file has."""

from __future__ import annotations

import re

from supervisor_stack.config.document import read_document

NAME = r"^[a-z0-9][a-z0-9_.-]*$"
MAX_NAME = 64


def declared(path: str) -> tuple[str, ...]:
    """The services that a file names, in its order, whatever else is wrong with it.

    Raises ConfigError when it cannot be read.
    """
    services = read_document(path).tree.get("services")
    if not isinstance(services, dict):
        return ()
    return tuple(name for name in services if re.fullmatch(NAME, name) and len(name) <= MAX_NAME)
