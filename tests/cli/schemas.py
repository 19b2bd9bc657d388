"""docs/schema: what `stackctl --json VERB` prints, as JSON Schemas made from the types that it prints with.

python -m tests.cli.schemas     writes the files
"""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from supervisor_stack.cli.grammar import VERBS
from supervisor_stack.cli.shapes import OUTPUTS, Failure, Hosts, HostsFailure, Output
from tests.field_notes import notes

FOLDER = Path(__file__).parents[2] / "docs" / "schema"
DRAFT = "https://json-schema.org/draft/2020-12/schema"

_RULE = "Within version 1 fields are only added: pass over those that you do not know."

Schema = dict[str, Any]


def load(shape: str) -> type[msgspec.Struct]:
    """A shape by its name in OUTPUTS."""
    module, name = shape.split(":")
    loaded: type[msgspec.Struct] = getattr(import_module(f"supervisor_stack.{module}"), name)
    return loaded


def schemas() -> dict[str, Schema]:
    """Each by the name of its file: one for a verb, and one for all verbs at several hosts."""
    of_verbs = {
        verb: _schema(verb, _about(verb, output), (*map(load, output.shapes), Failure))
        for verb, output in OUTPUTS.items()
    }
    about = (
        f"The output, one object, with several hosts. What the verb prints for each is in `hosts`. {_RULE}"
    )
    return {**of_verbs, "hosts": _schema("--host A,B VERB", about, (Hosts, HostsFailure, Failure))}


def _schema(words: str, about: str, shapes: tuple[type[msgspec.Struct], ...]) -> Schema:
    told, parts = msgspec.json.schema_components(shapes, ref_template="#/$defs/{name}")
    structs = {struct.__name__: struct for struct in _below(shapes)}
    for name, part in parts.items():
        _describe(part, structs[name])
    return {
        "$schema": DRAFT,
        "title": f"stackctl --json {words}",
        "description": about,
        "anyOf": list(told),
        "$defs": parts,
    }


def text(schema: Schema) -> str:
    """What stands in a file."""
    return msgspec.json.format(msgspec.json.encode(schema), indent=2).decode() + "\n"


def _about(verb: str, output: Output) -> str:
    how = "Each line of the output" if output.is_stream else "The output, one object"
    end = " When it failed, the last line is a Failure." if output.is_stream else ""
    return f"{how}: {VERBS[verb].summary}.{end} {_RULE}"


def _below(shapes: tuple[type[msgspec.Struct], ...]) -> set[type[msgspec.Struct]]:
    """These structures, and all that they are made of."""
    found: set[type[msgspec.Struct]] = set()
    pending = list(msgspec.inspect.multi_type_info(shapes))
    while pending:
        match pending.pop():
            case msgspec.inspect.StructType(cls=cls, fields=fields) if cls not in found:
                found.add(cls)
                pending += [field.type for field in fields]
            case msgspec.inspect.VarTupleType(item_type=item):
                pending.append(item)
            case msgspec.inspect.UnionType(types=types):
                pending += types
    return found


def _describe(part: Schema, struct: type[msgspec.Struct]) -> None:
    part["description"] = " ".join((inspect.getdoc(struct) or "").split())
    told = notes(struct)
    for name, field in part["properties"].items():
        field.pop("default", None)  # which is printed as well
        # Also beside a reference: since draft 2019-09 that is allowed.
        field["description"] = told[name]
    part["required"] = list(part["properties"])


if __name__ == "__main__":
    for name, made in schemas().items():
        (FOLDER / f"{name}.json").write_text(text(made))
