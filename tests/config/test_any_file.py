"""Whatever is in the file: a stack or a ConfigError, and nothing else."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from supervisor_stack.config import load, locate
from supervisor_stack.config.document import Document
from supervisor_stack.config.mistakes import Mistakes
from supervisor_stack.config.reference import json_schema
from supervisor_stack.config.schema import ConfigFile
from supervisor_stack.config.service_table import ServiceTable
from supervisor_stack.config.shape import read_shape
from supervisor_stack.config.tables import (
    BackoffTable,
    LogTable,
    ProbeTable,
    StartLimitTable,
    Table,
    WatchTable,
)
from supervisor_stack.config.values import Value
from supervisor_stack.config.words import bare
from supervisor_stack.errors import ConfigError
from tests.config.sites import Site, make_site

TABLES: tuple[type[Table], ...] = (
    ServiceTable, ProbeTable, BackoffTable, StartLimitTable, LogTable, WatchTable,
)  # fmt: skip
NAMES = sorted({name for table in TABLES for name in table.__struct_fields__})
SCHEMA = json.loads(json_schema())["$defs"]["ServiceTable"]["properties"]
EXAMPLES = {name: key["examples"][0] for name, key in SCHEMA.items()}
NAMES_OF_SERVICES = ["worker", "a", "b", "redis", "celery.beat"]
MEANINGFUL = [
    "nginx", "redis", "uwsgi", "mysqld", "command", "task", "service", "always", "never", "hold", "reload",
    "restart", "file", "tcp", "http", "unix", "exec", "notify", "1s", "10MiB", "infinity", "TERM", "027",
    "root", "celery", "redis.conf", "nginx.conf", "uwsgi.ini", "my.cnf", "site.env", ".", "/", "../x", "*",
    "127.0.0.1:80", ":1", "[::1]:2", "unix:a", "worker", "a", "b", "~/x", "ipc://a",
]  # fmt: skip
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="$\0")
PLAIN = st.sampled_from(MEANINGFUL) | st.text(CHARACTERS, max_size=8)
TEXTS = PLAIN | st.sampled_from(["${NAME}", "${GONE}", "${GONE:-1s}", "$${", "${", "\0", "\n", "\u202e"])


def values(texts: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """Whatever TOML can hold."""
    scalars = texts | st.booleans() | st.integers() | st.integers(-3, 20) | st.floats() | st.datetimes()
    keys = st.sampled_from(NAMES) | texts
    return st.recursive(
        scalars | st.dates() | st.times(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
        max_leaves=6,
    )


def trees(texts: st.SearchStrategy[str], names: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Files that are near to what is right, or at least not too far."""
    value = values(texts)
    right = st.fixed_dictionaries({}, optional={key: st.just(example) for key, example in EXAMPLES.items()})
    wrong = st.dictionaries(st.sampled_from(NAMES), value, max_size=1)
    service = st.builds(operator.or_, right, wrong)
    stack = st.dictionaries(st.sampled_from(["name", "base_dir", "runtime_dir", "log_dir"]), texts | value)
    control = st.dictionaries(st.sampled_from(["socket", "group"]), texts | value)
    return st.fixed_dictionaries(
        {"services": st.dictionaries(names, service | value, max_size=4)},
        optional={"stack": stack, "control": control},
    )


def to_toml(tree: dict[str, Any]) -> str:
    """The tree as a file."""
    return "".join(f"{_key(name)} = {_inline(value)}\n" for name, value in tree.items())


def _inline(value: object) -> str:
    match value:
        case dict():
            return "{" + ", ".join(f"{_key(name)} = {_inline(item)}" for name, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_inline, value)) + "]"
        case str():
            return _string(value)
        case bool():
            return str(value).lower()
        case int() | float():
            return str(value)
    return str(value)


def _key(name: str) -> str:
    return name if bare(name) == name else _string(name)


def _string(text: str) -> str:
    escaped = (f"\\U{ord(char):08X}" if char in '"\\' or not char.isprintable() else char for char in text)
    return '"' + "".join(escaped) + '"'


@pytest.fixture(scope="module")
def shared_site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """One site for all examples of a test: they only replace its configuration."""
    return make_site(tmp_path_factory.mktemp("any"))


def judge(site: Site, content: bytes) -> None:
    """Read it; whatever is said about mistakes has a place in the file."""
    lines = content.count(b"\n") + 1
    for read in (load, locate):
        for told in mistakes_of(read, site, content):
            path, number, what = told.split(":", 2)
            assert path == str(site.file)
            assert 1 <= int(number) <= lines
            assert what.startswith(" ")
            assert "\n" not in told


def mistakes_of(read: Callable[[str, dict[str, str]], object], site: Site, content: bytes) -> tuple[str, ...]:
    """What is told about a file; nothing about a right one."""
    try:
        read(str(site.write(content)), site.environ)
    except ConfigError as error:
        return error.detail
    return ()


@given(tree=trees(TEXTS, st.sampled_from([*NAMES_OF_SERVICES, "all", "A"]) | TEXTS))
def test_any_tree_is_a_stack_or_a_list_of_mistakes(shared_site: Site, tree: dict[str, Any]) -> None:
    judge(shared_site, to_toml(tree).encode())


@given(content=st.binary() | st.text("[]{}=.,#'\"\n \\abu01-").map(str.encode))
@example(b"a" * 100_000)
@example(b"[" * 100_000)
@example(b"a." * 5000 + b"a = 1")
@example(b"[" + b"a." * 5000 + b"a]")
@example(b"services." + b"a." * 5000 + b"a = 1")
@example(b'a = "\\ud800"')
def test_any_bytes_are_a_stack_or_a_list_of_mistakes(shared_site: Site, content: bytes) -> None:
    judge(shared_site, content)


@given(tree=trees(PLAIN, st.sampled_from(NAMES_OF_SERVICES)))
def test_the_walk_accepts_what_msgspec_accepts(tree: dict[str, Any]) -> None:
    mistakes = Mistakes(Document("stackd.toml", "", tree))
    walked = read_shape(tree, {}, mistakes)

    assert (None if mistakes.has() else walked) == converted(tree)


def converted(tree: dict[str, Any]) -> ConfigFile | None:
    """The file as msgspec itself reads it by the same schema; None for one with mistakes."""
    try:
        return msgspec.convert(tree, ConfigFile, dec_hook=_parse)
    except msgspec.ValidationError:
        return None


def _parse(cls: type[Value], value: object) -> object:
    try:
        return cls.parse(value)
    except TypeError as error:
        raise ValueError("wrong type") from error
