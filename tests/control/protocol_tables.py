"""The tables of docs/protocol.md, made from the messages themselves.

python -m tests.control.protocol_tables     prints what has to stand in the document
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from typing import get_args

import msgspec

from supervisor_stack.control import messages, parts, plans
from supervisor_stack.errors import StackError
from tests.field_notes import notes

PARTS: tuple[type[msgspec.Struct], ...] = (
    parts.Daemon,
    parts.Stack,
    parts.ServiceStatus,
    parts.Detail,
    parts.Answer,
    parts.Node,
    parts.Times,
    parts.Exit,
    parts.Process,
    parts.Outcome,
    plans.Plan,
    plans.Change,
    plans.KeyChange,
)


def tables() -> dict[str, str]:
    """Each table by the name that marks its place in the document."""
    return {
        "requests": _messages(get_args(messages.AnyRequest)),
        "replies": _messages(get_args(messages.AnyReply)),
        "notice": _messages((messages.Notice,)),
        "parts": _messages(PARTS),
        "errors": "\n".join(_errors()),
    }


def _messages(structs: Iterable[type[msgspec.Struct]]) -> str:
    return "\n\n".join("\n".join(_message(struct)) for struct in structs)


def _message(struct: type[msgspec.Struct]) -> Iterator[str]:
    tag = struct.__struct_config__.tag
    yield f"### {struct.__name__}" + (f": `{tag}`" if tag else "")
    yield inspect.getdoc(struct) or ""
    fields = [field for field in msgspec.structs.fields(struct) if field.name != "id"]
    if not fields:
        return
    meaning = notes(struct)
    yield ""
    yield "| field | type | default |" + (" meaning |" if meaning else "")
    yield "|---|---|---|" + ("---|" if meaning else "")
    annotations = {
        name: text
        for base in reversed(struct.__mro__)
        for name, text in inspect.get_annotations(base).items()
    }
    for field in fields:
        default = "required" if field.required else f"`{_json(field.default)}`"
        note = f" {meaning.get(field.name, '')} |" if meaning else ""
        yield f"| `{field.name}` | {_type(annotations[field.name])} | {default} |{note}"


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _type(annotation: str) -> str:
    """A type in the words of JSON."""
    if annotation.endswith(" | None"):
        return f"{_type(annotation.removesuffix(' | None'))} or null"
    if annotation.startswith("tuple["):
        return f"list of {_type(annotation.removeprefix('tuple[').removesuffix(', ...]'))}"
    if annotation.startswith("Literal["):
        return annotation.removeprefix("Literal[").removesuffix("]").replace("'", "`")
    words = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
    return words.get(annotation, annotation)


def _errors() -> Iterator[str]:
    yield "| kind | exit code of stackctl | meaning |"
    yield "|---|---|---|"
    kinds: list[type[StackError]] = [StackError, *_below(StackError)]
    for error in kinds:
        meaning = (inspect.getdoc(error) or "").replace("\n", " ")
        yield f"| `{error.kind}` | {error.exit_code} | {meaning} |"


def _below(error: type[StackError]) -> Iterator[type[StackError]]:
    for branch in error.__subclasses__():
        if branch.__module__ == StackError.__module__:
            yield branch
            yield from _below(branch)


if __name__ == "__main__":
    for name, table in tables().items():
        print(f"<!-- {name} -->\n{table}\n<!-- end of {name} -->\n")  # noqa: T201
