"""The file itself: its text, what TOML makes of it, and the mistakes that TOML finds in it."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import tomli

from supervisor_stack.config.words import bare
from supervisor_stack.errors import ConfigError

# A stack of 3000 services is half a megabyte; whatever is larger than this is no configuration.
MAX_FILE = 16 * 1024 * 1024

# tomli's words, in those of somebody who does not know the grammar of TOML. The text itself is not
# told: what is written without quotes may be a password.
_CAUSES = {
    "Invalid value": "this is not a value; a string needs quotes",
    "Invalid statement": "this is neither a [table] nor key = value",
    "Cannot overwrite a value": "this key has a value already; remove one of the two",
    "Expected '=' after a key in a key/value pair": "this key has no value; write key = value",
    "Expected newline or end of document after a statement": (
        "the value ends here; a string needs quotes, and each key a line of its own"
    ),
    "Expected ']' at the end of a table declaration": "the name of a table is not closed; write [NAME]",
    "Illegal character '\\n'": "a string is not closed; write a quote at its end",
    "Invalid hex value": "\\u takes four hexadecimal digits; write \\\\ for a backslash, or single quotes",
    "Unescaped '\\' in a string": "this is no escape; write \\\\ for a backslash, or single quotes",
    "Unclosed array": "a list is not closed; write commas between its items and ] behind the last",
    "Unclosed inline table": "a table is not closed; write commas between its keys and } behind the last",
}


class Document(msgspec.Struct, frozen=True):
    """One configuration file. `path` is as the caller wrote it."""

    path: str
    text: str
    tree: dict[str, Any]


def read_document(path: str) -> Document:
    """Read and parse a file.

    Raises ConfigError when it cannot be read or is not TOML.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_FILE + 1)
    except (OSError, ValueError) as error:
        # ValueError: the path has a NUL byte.
        reason = str(error.strerror if isinstance(error, OSError) else error)
        raise _unreadable(path, reason) from error
    if len(content) > MAX_FILE:
        raise _unreadable(path, f"larger than {MAX_FILE // 1024**2} MiB")
    text = _decode(path, content)
    try:
        return Document(path, text, tomli.loads(text))
    except tomli.TOMLDecodeError as error:
        _refuse(path, error.lineno, f"column {error.colno}: {_explain(error.msg)}", error)
    except RecursionError as error:
        # Documented of tomli: more than 400 nested lists.
        _refuse(path, 1, "nests lists or tables too deeply; nothing here needs more than three levels", error)
    except ValueError as error:
        # int() refuses to convert more than 4300 digits, and tomli lets that through.
        before = re.split("[0-9_]{4000}", text, maxsplit=1)[0]
        _refuse(path, before.count("\n") + 1, "has a number with thousands of digits; remove it", error)


def _unreadable(path: str, reason: str) -> ConfigError:
    """Complete in its detail, as with all mistakes: `--check` prints nothing else."""
    return ConfigError(
        f"cannot read the configuration {path}: {reason}",
        (f"{path}: cannot be read: {reason}; name another file with -c FILE",),
    )


def _decode(path: str, content: bytes) -> str:
    try:
        # Some editors write a byte order mark. TOML knows none, and it harms nobody.
        return content.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        byte = content[error.start]
        _refuse(path, line, f"has the byte 0x{byte:02x}, which is not UTF-8; save the file as UTF-8", error)


def _explain(message: str) -> str:
    table = re.fullmatch(r"Cannot (?:declare|mutate immutable namespace) (\(.*\))(?: twice)?", message)
    if table is not None:
        name = ".".join(map(bare, ast.literal_eval(table[1])))
        return f"[{name}] is declared a second time; write all its keys below one [{name}]"
    return _CAUSES.get(message, message[:1].lower() + message[1:])


def _refuse(path: str, line: int, what: str, error: Exception) -> NoReturn:
    raise ConfigError(
        f"cannot use the configuration {path}: 1 mistake", (f"{path}:{line}: {what}",)
    ) from error
