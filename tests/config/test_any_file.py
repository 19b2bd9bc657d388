"""Whatever is in the file: a stack or a ConfigError, and nothing else."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from supervisor_stack.config import load, locate
from supervisor_stack.config.document import Document
from supervisor_stack.config.mistakes import Mistakes
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
from supervisor_stack.config.words import bare
from supervisor_stack.errors import ConfigError
from tests.config.sites import Site, make_site

TABLES: tuple[type[Table], ...] = (
    ServiceTable, ProbeTable, BackoffTable, StartLimitTable, LogTable, WatchTable,
)  # fmt: skip
NAMES = sorted({name for table in TABLES for name in table.__struct_fields__})
WORDS = st.sampled_from([
    "", "nginx", "redis", "uwsgi", "mysqld", "command", "task", "service", "always", "never", "hold", "reload",
    "restart", "file", "tcp", "http", "unix", "exec", "notify", "1s", "10MiB", "infinity", "TERM", "027", "root", "celery",
    "redis.conf", "nginx.conf", "uwsgi.ini", "my.cnf", "site.env", ".", "/", "../x", "127.0.0.1:80", ":1", "[::1]:2",
    "unix:a", "${NAME}", "${GONE}", "${GONE:-1s}", "$${", "${", "worker", "a", "b", "\0", "\n", "\u202e", "~/x", "*",
])  # fmt: skip
TEXTS = WORDS | st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS = (
    TEXTS
    | st.booleans()
    | st.integers()
    | st.integers(-3, 20)
    | st.floats()
    | st.dates()
    | st.times()
    | st.datetimes()
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | TEXTS, inner, max_size=3)
    ),
    max_leaves=6,
)
SERVICES = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8)
STACKS = st.fixed_dictionaries(
    {
        "services": st.dictionaries(
            st.sampled_from(["worker", "a", "b", "redis", "all", "A"]) | TEXTS, SERVICES | VALUES
        )
    },
    optional={
        "stack": st.dictionaries(st.sampled_from(["name", "base_dir", "runtime_dir", "log_dir"]), SCALARS)
        | VALUES,
        "control": st.dictionaries(st.sampled_from(["socket", "group"]), SCALARS | VALUES) | VALUES,
        "other": VALUES,
    },
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


@contextmanager
def a_site() -> Iterator[Site]:
    """Hypothesis runs many examples in one test, so that a fixture would be shared among them."""
    with tempfile.TemporaryDirectory() as folder:
        yield make_site(Path(folder))


def judge(site: Site, content: bytes) -> None:
    """Read it; whatever it says about mistakes has a place in the file."""
    site.file.write_bytes(content)
    for read in (load, locate):
        try:
            read(str(site.file), site.environ)
        except ConfigError as error:
            assert error.detail
            for line in error.detail:
                path, number, rest = line.split(":", 2)
                assert path == str(site.file)
                assert 1 <= int(number) <= content.count(b"\n") + 1
                assert rest.startswith(" ")
                assert "\n" not in line


@given(st.lists(STACKS, min_size=8, max_size=8))
@settings(max_examples=40, deadline=None)
def test_any_tree_is_a_stack_or_a_list_of_mistakes(trees: list[dict[str, Any]]) -> None:
    with a_site() as site:
        for tree in trees:
            judge(site, to_toml(tree).encode())


@given(
    st.lists(
        st.binary() | st.text(alphabet="[]{}=.,#'\"\n \\abu01-").map(str.encode), min_size=20, max_size=20
    )
)
@example(
    [b"a" * 100_000, b"[" * 100_000, b"a." * 5000 + b"a = 1", b"[" + b"a." * 5000 + b"a]", b'a = "\\ud800"']
)
@settings(max_examples=30, deadline=None)
def test_any_bytes_are_a_stack_or_a_list_of_mistakes(contents: list[bytes]) -> None:
    with a_site() as site:
        for content in contents:
            judge(site, content)


@given(STACKS)
@settings(deadline=None)
def test_the_walk_accepts_what_msgspec_accepts(tree: dict[str, Any]) -> None:
    """The schema is the same one, whoever applies it. Only names of services are judged elsewhere."""
    mistakes = Mistakes(Document("stackd.toml", "", tree))
    walked = read_shape(tree, {}, mistakes)

    try:
        converted = msgspec.convert(tree, ConfigFile, dec_hook=lambda cls, value: _parse(cls, value))
    except msgspec.ValidationError as error:
        assert mistakes.has() or "[...]" in str(error) or "variable" in str(error), error
    else:
        assert mistakes.has() or walked == converted


def _parse(cls: Any, value: object) -> object:
    try:
        return cls.parse(value)
    except TypeError as error:
        raise ValueError("wrong type") from error
