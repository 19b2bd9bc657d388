"""What the fields of a structure mean: the comments `#:` behind them, as Sphinx reads them too."""

from __future__ import annotations

import ast
import inspect
import textwrap
from functools import cache

import msgspec


def notes(struct: type[msgspec.Struct]) -> dict[str, str]:
    """The note of each field that has one, those of its bases included."""
    return {
        name: text
        for base in reversed(struct.__mro__)
        if issubclass(base, msgspec.Struct) and base is not msgspec.Struct
        for name, text in _own(base).items()
    }


@cache
def _own(struct: type[msgspec.Struct]) -> dict[str, str]:
    source = textwrap.dedent(inspect.getsource(struct))
    lines = source.splitlines()
    (definition,) = ast.parse(source).body
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for statement in definition.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            assert statement.end_lineno
            _, mark, note = lines[statement.end_lineno - 1].partition("#: ")
            if mark:
                found[statement.target.id] = note.strip()
    return found
