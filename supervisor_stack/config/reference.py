"""The schema for readers: as JSON schema for editors, and as the tables of docs/config.md.

    python -m supervisor_stack.config.reference CHECKOUT

writes both into a checkout. A test compares them with what is there.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any, cast

import msgspec
from msgspec import inspect

from supervisor_stack.config.schema import ConfigFile, ControlTable, StackTable
from supervisor_stack.config.service_table import COMMAND, KIND_NAMES, ServiceTable
from supervisor_stack.config.shape import noun
from supervisor_stack.config.tables import (
    BackoffTable,
    LogTable,
    NetworkTable,
    ProbeTable,
    RolesTable,
    StartLimitTable,
    Table,
    WatchTable,
)
from supervisor_stack.config.values import Value
from supervisor_stack.config.words import toml
from supervisor_stack.kinds import KINDS

SCHEMA_FILE = "etc/stackd.schema.json"
DOCUMENT_FILE = "docs/config.md"

TABLES: dict[str, type[Table]] = {
    "stack": StackTable,
    "control": ControlTable,
    "roles": RolesTable,
    "network": NetworkTable,
    "service": ServiceTable,
    "probe": ProbeTable,
    "backoff": BackoffTable,
    "start_limit": StartLimitTable,
    "log": LogTable,
    "watch": WatchTable,
}
_PLACE = re.compile(r"(<!-- table of (?P<name>\w+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def json_schema() -> str:
    """The JSON schema of stackd.toml, which editors understand (Taplo, Even Better TOML)."""
    schema = msgspec.json.schema(ConfigFile, schema_hook=_schema_of_value)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "stackd.toml"}
    return json.dumps(head | _with_variables(schema), indent=2, ensure_ascii=False) + "\n"


def _schema_of_value(cls: type) -> dict[str, Any]:
    return cast("type[Value]", cls).schema


def _with_variables(schema: Any) -> Any:
    """The same, with `${NAME}` allowed where one of a few words is."""
    if isinstance(schema, list):
        return [_with_variables(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: _with_variables(value) for key, value in schema.items()}
    if "enum" in schema:
        words = {"enum": schema.pop("enum")}
        schema["anyOf"] = [words, {"type": "string", "pattern": r"\$\{"}]
    return schema


def fill(document: str) -> str:
    """A text with the tables between its marks replaced by what the schema and the kinds say."""
    return _PLACE.sub(lambda place: f"{place[1]}{_table(place['name'])}{place[3]}", document)


def _table(name: str) -> str:
    return kind_table() if name == "kinds" else key_table(TABLES[name])


def kind_table() -> str:
    """The kinds of server, in Markdown."""
    rows = [
        "| kind | program | `stop_signal` | `start_timeout` | `stop_timeout` | `kill` | reload |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind in (KINDS[name] for name in KIND_NAMES if name != COMMAND):
        programs = " or ".join(f"`{binary}`" for binary in kind.binaries)
        reload = f"`{kind.reload.signal}`" if kind.reload else f"no: {kind.no_reload}"
        times = f"{kind.start_timeout:g} s | {kind.stop_timeout:g} s | {toml(kind.kill)}"
        rows.append(f"| `{kind.name}` | {programs} | `{kind.stop_signal}` | {times} | {reload} |")
    return "\n".join(rows) + "\n"


def key_table(cls: type[Table]) -> str:
    """The keys of a table, in Markdown."""
    node = cast(inspect.StructType, inspect.type_info(cls))
    rows = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for field in node.fields:
        described = cast(inspect.Metadata, field.type)
        said = described.extra_json_schema or {}
        value = _values(described.type)
        if not isinstance(described.type, inspect.LiteralType | inspect.BoolType):
            value += f", such as `{_short(said['examples'][0])}`"
        default = f"`{_short(said['default'])}`" if "default" in said else ""
        rows.append(f"| `{field.name}` | {value} | {default} | {said['description']} |")
    return "\n".join(rows) + "\n"


def _values(node: inspect.Type) -> str:
    if isinstance(node, inspect.LiteralType):
        return ", ".join(f"`{toml(word)}`" for word in node.values)
    if isinstance(node, inspect.IntType) and node.ge is not None:
        return (
            f"{noun(node)} from {node.ge}"
            if (node.le or 0) >= 2**31 - 1
            else f"{noun(node)} from {node.ge} to {node.le}"
        )
    if isinstance(node, inspect.FloatType):
        return f"{noun(node)} from {node.ge} to {node.le}"
    return noun(node)


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else toml(value)


def write(checkout: Path) -> None:
    """Bring both files of a checkout up to date."""
    (checkout / SCHEMA_FILE).write_text(json_schema())
    document = checkout / DOCUMENT_FILE
    document.write_text(fill(document.read_text()))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
