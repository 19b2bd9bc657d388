"""`${NAME}` and `${NAME:-default}` in the strings of the configuration. `$${` stands for `${`.

A `$` that no brace follows means nothing, so that shell commands and passwords stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from supervisor_stack.config.words import toml

_REFERENCE = re.compile(r"(?P<escape>\$\$\{)|\$\{(?P<body>[^}]*)(?P<end>\}?)")
_BODY = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?", re.DOTALL)


def expand(text: str, environ: Mapping[str, str]) -> str:
    """`text` with its variables replaced. An empty variable counts as missing when there is a default.

    Raises ValueError with what is wrong and what would be right, never with a value: it may be secret.
    """
    if "\0" in text:
        raise ValueError("has a NUL character, which no path, argument or variable can have; remove it")
    return _REFERENCE.sub(lambda found: _value(found, environ), text) if "${" in text else text


def _value(found: re.Match[str], environ: Mapping[str, str]) -> str:
    if found["escape"]:
        return "${"
    body = _BODY.fullmatch(found["body"])
    if not found["end"] or body is None:
        raise ValueError(
            f"{toml(found[0])} is not a variable; "
            "write ${NAME} or ${NAME:-default}, or $${ for a plain ${"
        )
    name, default = body["name"], body["default"]
    value = environ.get(name)
    if default is not None:
        value = value or default
    if value is None:
        raise ValueError(
            f"${{{name}}} is not set in the environment of stackd; set it, or write ${{{name}:-default}}"
        )
    # The environment holds bytes; Python smuggles in those that are not UTF-8 as lone surrogates.
    if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
        raise ValueError(f"the value of ${{{name}}} is not UTF-8; set it to a text that is")
    return value
