"""Log files: their ends, and what is added to them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from supervisor_stack.cli.tail import Tail, last_lines


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "web.log"


@pytest.fixture
def tail(log: Path) -> Iterator[Tail]:
    with closing(Tail(str(log))) as tail:
        yield tail


def append(log: Path, text: bytes) -> None:
    with log.open("ab") as file:
        file.write(text)


@pytest.mark.parametrize(
    ("content", "count", "lines"),
    [
        (b"", 3, []),
        (b"a\n", 3, [b"a"]),
        (b"a\nb\nc\nd\n", 2, [b"c", b"d"]),
        (b"a\nb\nc", 2, [b"b", b"c"]),
        (b"a\nb\n", 0, []),
        (b"\n\n", 5, [b"", b""]),
        (b"a\r\nb\n", 2, [b"a\r", b"b"]),
        (b"x" * 200_000 + b"\ny\n", 1, [b"y"]),
        (b"x" * 200_000 + b"\ny\n", 2, [b"x" * 200_000, b"y"]),
    ],
)
def test_the_last_lines_of_a_file(log: Path, content: bytes, count: int, lines: list[bytes]) -> None:
    log.write_bytes(content)

    assert last_lines(str(log), count) == lines


def test_what_is_added_comes_in_whole_lines(log: Path, tail: Tail) -> None:
    log.write_bytes(b"old\nhalf")
    assert tail.begin(10) == [b"old"]
    assert list(tail.more()) == []

    append(log, b" a line\nnext\nha")
    assert list(tail.more()) == [b"half a line", b"next"]

    append(log, b"lf\n")
    assert list(tail.more()) == [b"half"]


def test_a_file_may_come_later(log: Path, tail: Tail) -> None:
    assert tail.begin(10) == []
    assert list(tail.more()) == []

    log.write_bytes(b"a\nb\n")

    assert list(tail.more()) == [b"a", b"b"]


def test_a_truncated_file_is_read_from_its_start(log: Path, tail: Tail) -> None:
    log.write_bytes(b"many\nlines\n")
    tail.begin(10)

    log.write_bytes(b"new\n")

    assert list(tail.more()) == [b"new"]


def test_a_renamed_file_is_read_to_its_end_before_the_new_one(log: Path, tail: Tail) -> None:
    log.write_bytes(b"a\n")
    tail.begin(10)

    append(log, b"b\nunfinished")
    log.rename(log.with_suffix(".1"))
    log.write_bytes(b"c\n")

    assert list(tail.more()) == [b"b", b"unfinished", b"c"]


def test_a_renamed_file_is_followed_until_there_is_a_new_one(log: Path, tail: Tail) -> None:
    log.write_bytes(b"a\n")
    tail.begin(10)
    renamed = log.rename(log.with_suffix(".1"))

    append(renamed, b"b\n")
    assert list(tail.more()) == [b"b"]

    log.write_bytes(b"c\n")
    assert list(tail.more()) == [b"c"]
