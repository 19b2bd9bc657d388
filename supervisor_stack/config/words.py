"""How mistakes are worded: values as TOML writes them, and what the writer may have meant."""

from __future__ import annotations

import json
from collections.abc import Iterable

_LIKENESS = 0.65
_DIGITS = 60

# What other tools call it: supervisord, systemd, Docker Compose, circus.
FOREIGN = {
    "autorestart": "restart",
    "cmd": "command",
    "depends": "requires",
    "depends_on": "requires",
    "directory": "cwd",
    "entrypoint": "command",
    "environment": "env",
    "environment_file": "env_file",
    "exec": "command",
    "exec_start": "command",
    "execstart": "command",
    "healthcheck": "ready",
    "mariadb": "mysqld",
    "mariadbd": "mysqld",
    "needs": "requires",
    "program": "command",
    "working_dir": "cwd",
    "working_directory": "cwd",
    "workingdirectory": "cwd",
}


def near(word: str, choices: Iterable[str]) -> str:
    """The choice that was probably meant, or an empty string when none comes near."""
    known = {choice.lower(): choice for choice in choices}
    folded = word.lower().replace("-", "_")
    foreign = FOREIGN.get(folded, "")
    if foreign in known:
        return foreign
    # Two thousand lines that only a mistake needs, and stackctl imports this module for each question.
    import difflib

    close = difflib.get_close_matches(folded, known, n=1, cutoff=_LIKENESS)
    return known[close[0]] if close else ""


def did_you_mean(word: str) -> str:
    """The cure for a word that was probably meant to be another; nothing for none."""
    return f"did you mean {toml(word)}?" if word else ""


def toml(value: object, longest: int = 60) -> str:
    """A value as one writes it in TOML on one line, shortened to `longest` characters."""
    text = _toml(value)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{bare(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    # A whole number of TOML has no upper bound, but str() refuses more than 4300 digits.
    if isinstance(value, int) and abs(value) >= 10**_DIGITS:
        return "a very large number"
    return str(value)


def bare(key: str) -> str:
    """A key as one writes it in TOML: in quotes only where they are needed."""
    plain = key and key.isascii() and key.replace("-", "").replace("_", "").isalnum()
    return key if plain or key in ("-", "_") else toml(key)


def type_of(value: object) -> str:
    """What TOML calls the type of a value, with its article."""
    names: dict[type, str] = {
        bool: "a boolean",
        int: "a number",
        float: "a decimal number",
        str: "a string",
        list: "a list",
        dict: "a table",
    }
    return names.get(type(value), "a date or time")


def printable(text: str) -> str:
    """The text on one line, without what would do something to a terminal."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def count(number: int, noun: str) -> str:
    """`1 mistake`, `2 mistakes`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
