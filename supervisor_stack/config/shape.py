"""Does the file have the shape of the schema? The walk that finds every mistake, and not the first only.

msgspec's own conversion stops at the first mistake and does not tell the names of the tables it was
in. So this walks its description of the schema, key by key. Variables are expanded on the way, as a
string has to be complete before it can be judged. What is wrong comes out as UNSET, so that the rest
can be judged further.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import Any, cast

from msgspec import UNSET, Struct, inspect

from supervisor_stack.config.lines import KeyPath
from supervisor_stack.config.mistakes import Mistakes, dotted
from supervisor_stack.config.schema import ConfigFile
from supervisor_stack.config.tables import Table
from supervisor_stack.config.values import Value
from supervisor_stack.config.variables import expand
from supervisor_stack.config.words import bare, did_you_mean, toml, type_of

_FEW = 10
_LINE = 200
_DEPTH_OF_SERVICES = 2


class _Key(Struct, frozen=True):
    """What the walk needs of a key: the type of its value, and a value that is right."""

    node: inspect.Type
    example: Any = None


def read_shape(tree: Mapping[str, Any], environ: Mapping[str, str], mistakes: Mistakes) -> ConfigFile:
    """The file as far as it has the shape of the schema; the rest is in `mistakes`."""
    return cast(ConfigFile, _Walk(environ, mistakes).table(tree, ConfigFile, ()))


def _keys_of_tables() -> dict[type, dict[str, _Key]]:
    tables: dict[type, dict[str, _Key]] = {}
    queue = [inspect.type_info(ConfigFile)]
    while queue:
        node = queue.pop()
        if isinstance(node, inspect.Metadata):
            queue.append(node.type)
        elif isinstance(node, inspect.UnionType):
            queue.extend(node.types)
        elif isinstance(node, inspect.DictType):
            queue.append(node.value_type)
        elif isinstance(node, inspect.StructType):
            queue.extend(field.type for field in node.fields)
            tables[node.cls] = {field.name: _key(field.type) for field in node.fields}
    return tables


def _key(node: inspect.Type) -> _Key:
    # Every key of the schema is described, so that each type comes as Metadata.
    described = cast(inspect.Metadata, node)
    return _Key(described.type, (described.extra_json_schema or {})["examples"][0])


_KEYS = _keys_of_tables()


class _Walk:
    def __init__(self, environ: Mapping[str, str], mistakes: Mistakes) -> None:
        self.environ = environ
        self.mistakes = mistakes

    def table(self, value: Mapping[str, Any], cls: type, path: KeyPath) -> Table:
        keys = _KEYS[cls]
        given = {}
        for name, item in value.items():
            if name in keys:
                given[name] = self.convert(item, keys[name], (*path, name))
            else:
                self.mistakes.add(
                    (*path, name), f"unknown key; {self.cure_of_unknown(name, item, keys, path)}"
                )
        return cast(Table, cls(**given))

    def convert(self, value: Any, key: _Key, path: KeyPath) -> Any:
        """The value as the schema wants it, or UNSET and a mistake."""
        node = key.node
        if isinstance(node, inspect.UnionType):
            node = next(
                kind for kind in node.types if isinstance(kind, inspect.StructType) == isinstance(value, dict)
            )
        try:
            if isinstance(node, inspect.StructType):
                return self.table(_expect(dict, value), node.cls, path)
            if isinstance(node, inspect.DictType):
                return self.named(_expect(dict, value), node, path)
            if isinstance(node, inspect.VarTupleType):
                return self.listed(_expect(list, value), node, key, path)
            return _scalar(expand(value, self.environ) if isinstance(value, str) else value, node, key)
        except TypeError:
            self.mistakes.add(path, f"is {type_of(value)}; {_cure(value, key, path)}")
        except ValueError as error:
            self.mistakes.add(path, str(error))
        return UNSET

    def named(self, value: dict[str, Any], node: inspect.DictType, path: KeyPath) -> dict[str, Any]:
        """A table whose keys the user chooses. What is wrong is left out."""
        key = _Key(node.value_type)
        items = ((name, self.convert(item, key, (*path, name))) for name, item in value.items())
        return {name: item for name, item in items if item is not UNSET}

    def listed(self, value: list[Any], node: inspect.VarTupleType, key: _Key, path: KeyPath) -> Any:
        if len(value) < (node.min_length or 0):
            raise ValueError(f"is an empty list; write {_assignment(path, key.example)}, or remove the key")
        item_key = _Key(node.item_type)
        items = tuple(self.convert(item, item_key, (*path, index)) for index, item in enumerate(value))
        return UNSET if UNSET in items else items

    def cure_of_unknown(self, name: str, item: object, keys: Mapping[str, _Key], path: KeyPath) -> str:
        if meant := self.mistakes.near(name, keys):
            self.mistakes.expect(*path, meant)
            return did_you_mean(meant)
        if isinstance(item, dict) and not path:
            self.mistakes.expect("services")
            return f"a service is written [services.{bare(name)}]"
        if isinstance(item, dict) and path[0] == "services":
            self.mistakes.expect(*path, "command")
            dotted_name = ".".join([*map(str, path[1:]), name])
            return f"a service whose name has a dot is written [services.{toml(dotted_name)}]"
        return f"the keys here are {', '.join(keys)}" if len(keys) <= _FEW else "remove it"


def _expect(cls: type, value: Any) -> Any:
    if not isinstance(value, cls):
        raise TypeError
    return value


def _scalar(value: Any, node: inspect.Type, key: _Key) -> Any:
    """Raises TypeError for a wrong type, ValueError with the words for a wrong value."""
    if isinstance(node, inspect.CustomType):
        return cast("type[Value]", node.cls).parse(value)
    if isinstance(node, inspect.BoolType):
        return _expect(bool, value)
    if isinstance(node, inspect.IntType | inspect.FloatType):
        return _number(value, node)
    text: str = _expect(str, value)
    if isinstance(node, inspect.LiteralType):
        return _choice(text, [str(choice) for choice in node.values])
    if isinstance(node, inspect.StrType) and len(text) < (node.min_length or 0):
        raise ValueError(f"is empty; write {toml(key.example)}, say, or remove the key")
    return text


def _number(value: Any, node: inspect.IntType | inspect.FloatType) -> Any:
    whole = isinstance(node, inspect.IntType)
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise TypeError
    low, high = node.ge, node.le
    if low is not None and high is not None and not low <= value <= high:
        raise ValueError(f"{toml(value)} is out of range; write {noun(node)} from {low} to {high}")
    return value


def _choice(text: str, choices: list[str]) -> str:
    if text not in choices:
        raise ValueError(f"{toml(text)} is not known here; write {_either(choices)}")
    return text


def _either(choices: Iterable[object]) -> str:
    *most, last = map(toml, choices)
    return f"{', '.join(most)} or {last}"


def noun(node: inspect.Type) -> str:
    """What a value of a type is called, with its article."""
    if isinstance(node, inspect.CustomType):
        return cast("type[Value]", node.cls).noun
    if isinstance(node, inspect.VarTupleType):
        return "a list of numbers" if isinstance(node.item_type, inspect.IntType) else "a list of strings"
    nouns: dict[type, str] = {
        inspect.BoolType: "true or false",
        inspect.DictType: "a table",
        inspect.FloatType: "a number",
        inspect.IntType: "a whole number",
        inspect.LiteralType: "a string",
        inspect.StrType: "a string",
        inspect.StructType: "a table",
        inspect.UnionType: "true, false or a table",
    }
    return nouns[type(node)]


def _cure(value: object, key: _Key, path: KeyPath) -> str:
    """What would be right instead of a value of a wrong type. Never tells a value that may be secret."""
    node = key.node
    if isinstance(node, inspect.LiteralType):
        return f"write {_either(node.values)}"
    if isinstance(node, inspect.StrType) and isinstance(value, bool | int | float):
        return "put it in quotes"
    if isinstance(node, inspect.StructType | inspect.DictType) and len(path) <= _DEPTH_OF_SERVICES:
        return f"write [{dotted(path)}{'.NAME' if path == ('services',) else ''}] and its keys below"
    right = _meant(value, node)
    if right is None:
        right = key.example
    return f"write {noun(node)}" + (f", such as {_assignment(path, right)}" if right is not None else "")


def _meant(value: object, node: inspect.Type) -> object:
    """What somebody meant who wrote a value of another type, or None."""
    if isinstance(node, inspect.BoolType | inspect.UnionType) and isinstance(value, str | int):
        return str(value).lower() in ("1", "on", "true", "yes")
    if isinstance(node, inspect.IntType) and isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value[:9])
    if isinstance(node, inspect.VarTupleType) and isinstance(value, str):
        return _words(value) or None
    if isinstance(node, inspect.VarTupleType) and isinstance(value, int):
        return [value if isinstance(node.item_type, inspect.IntType) else toml(value)]
    return None


def _words(text: str) -> list[str]:
    """The list that somebody meant who wrote a string."""
    try:
        return [word.rstrip(",") for word in shlex.split(text)]
    except ValueError:
        return []


def _assignment(path: KeyPath, value: object) -> str:
    key = path[-1]
    return f"{bare(key)} = {toml(value, longest=_LINE)}" if isinstance(key, str) else toml(value)
