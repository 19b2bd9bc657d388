"""Log files: their ends, and what is added to them."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

import pytest

from supervisor_stack.cli.logs.files import (
    BLOCK,
    LONGEST,
    ROUND,
    NotKeptError,
    Tail,
    backwards,
    open_log,
    rotated,
)


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


def from_its_end(log: Path, count: int) -> list[bytes]:
    with open_log(str(log)) as file:
        return list(islice(backwards(file, log.stat().st_size), count))[::-1]


def begin(tail: Tail) -> list[bytes]:
    begun = tail.begin()
    return list(backwards(*begun))[::-1] if begun else []


@pytest.mark.parametrize(
    ("content", "count", "lines"),
    [
        (b"", 3, []),
        (b"a\n", 3, [b"a"]),
        (b"a\nb\nc\nd\n", 2, [b"c", b"d"]),
        (b"a\nb\nc", 2, [b"b", b"c"]),
        (b"\n\n", 5, [b"", b""]),
        (b"\na", 5, [b"", b"a"]),
        (b"a\r\nb\n", 2, [b"a\r", b"b"]),
        (b"x" * (BLOCK - 2) + b"\ny\n", 5, [b"x" * (BLOCK - 2), b"y"]),
        (b"x" * (BLOCK - 1) + b"\ny\n", 5, [b"x" * (BLOCK - 1), b"y"]),
        (b"0123456\n" * 20_000, 20_001, [b"0123456"] * 20_000),
    ],
)
def test_the_last_lines_of_a_file(log: Path, content: bytes, count: int, lines: list[bytes]) -> None:
    log.write_bytes(content)

    assert from_its_end(log, count) == lines


@pytest.mark.parametrize("size", [LONGEST * 3, LONGEST * 3 + 1, LONGEST * 4 - 1])
def test_an_endless_line_comes_in_pieces_of_which_nothing_is_lost(log: Path, size: int) -> None:
    log.write_bytes(b"a\n" + b"x" * size + b"\nb\n")

    a, *pieces, b = from_its_end(log, 100)

    assert (a, b) == (b"a", b"b")
    assert b"".join(pieces) == b"x" * size
    assert max(map(len, pieces)) <= LONGEST + BLOCK


def test_of_a_big_file_only_the_end_is_read(log: Path) -> None:
    with log.open("wb") as file:
        file.truncate(10 * 1024**3)  # a hole: it takes no room
        file.seek(0, os.SEEK_END)
        file.write(b"\na\nb\n")
    tracemalloc.start()

    assert from_its_end(log, 2) == [b"a", b"b"]
    assert [len(piece) for piece in from_its_end(log, 10)[:-2]] == [2 * BLOCK] * 7 + [2 * BLOCK - 5]

    assert tracemalloc.get_traced_memory()[1] < 64 * BLOCK
    tracemalloc.stop()


def test_what_keeps_nothing_is_not_opened(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    link = tmp_path / "access.log"
    link.symlink_to("/dev/null")

    for path in (fifo, link):
        with pytest.raises(NotKeptError):
            open_log(str(path))
    with pytest.raises(IsADirectoryError):
        open_log(str(tmp_path))


def older(log: Path) -> Iterator[bytes]:
    for file in rotated(str(log)):
        with file:
            yield file.read()


def test_older_files_come_by_their_numbers(log: Path) -> None:
    for number in (1, 2):
        Path(f"{log}.{number}").write_text(f"{number}\n")
    Path(f"{log}.3.gz").write_bytes(b"\x1f\x8b")

    assert list(older(log)) == [b"1\n", b"2\n"]


def test_older_files_that_are_being_renamed_come_once_each(log: Path) -> None:
    for number in (1, 2, 3):
        Path(f"{log}.{number}").write_text(f"{number}\n")

    found = older(log)
    begun = [next(found)]
    for number in (3, 2, 1):  # and what is to be the first is not there yet
        Path(f"{log}.{number}").rename(f"{log}.{number + 1}")

    assert [*begun, *found] == [b"1\n", b"2\n", b"3\n"]
    assert list(older(log)) == [b"1\n", b"2\n", b"3\n"]


def test_what_is_added_comes_in_whole_lines(log: Path, tail: Tail) -> None:
    log.write_bytes(b"old\nhalf")
    assert begin(tail) == [b"old"]
    assert list(tail.more()) == []

    append(log, b" a line\nnext\nha")
    assert list(tail.more()) == [b"half a line", b"next"]

    append(log, b"lf\n")
    assert list(tail.more()) == [b"half"]


def test_a_file_may_come_later(log: Path, tail: Tail) -> None:
    assert tail.begin() is None
    assert list(tail.more()) == []

    log.write_bytes(b"a\nb\n")

    assert list(tail.more()) == [b"a", b"b"]


def test_a_truncated_file_is_read_from_its_start(log: Path, tail: Tail) -> None:
    log.write_bytes(b"many\nlines\nhal")
    tail.begin()
    assert list(tail.more()) == []

    log.write_bytes(b"f\nnew\n")

    assert list(tail.more()) == [b"hal", b"f", b"new"]


def test_a_renamed_file_is_read_to_its_end_before_the_new_one(log: Path, tail: Tail) -> None:
    log.write_bytes(b"a\n")
    tail.begin()

    append(log, b"b\nunfinished")
    log.rename(f"{log}.1")
    log.write_bytes(b"c\n")

    assert list(tail.more()) == [b"b", b"unfinished", b"c"]


def test_a_renamed_file_is_followed_until_there_is_a_new_one(log: Path, tail: Tail) -> None:
    log.write_bytes(b"a\n")
    tail.begin()
    renamed = log.rename(f"{log}.1")

    append(renamed, b"b\n")
    assert list(tail.more()) == [b"b"]

    log.write_bytes(b"c\n")
    assert list(tail.more()) == [b"c"]


def test_a_server_that_goes_on_with_the_renamed_file_is_heard(log: Path, tail: Tail) -> None:
    """As nginx does between the rename by logrotate and its USR1."""
    log.write_bytes(b"a\n")
    tail.begin()
    renamed = log.rename(f"{log}.1")
    log.write_bytes(b"c\n")
    assert list(tail.more()) == [b"c"]

    append(renamed, b"b\n")
    append(log, b"d\n")

    assert list(tail.more()) == [b"b", b"d"]


def test_files_that_came_and_went_between_two_looks_are_read(log: Path, tail: Tail) -> None:
    log.write_bytes(b"a\n")
    tail.begin()
    append(log, b"b\n")
    log.rename(f"{log}.3")
    Path(f"{log}.2").write_bytes(b"c\n")
    Path(f"{log}.1").write_bytes(b"d\n")
    log.write_bytes(b"e\n")

    assert list(tail.more()) == [b"b", b"c", b"d", b"e"]
    assert list(tail.more()) == []
    assert len(tail.files) == 2


def test_older_files_that_were_there_before_are_not_taken_for_new_ones(log: Path, tail: Tail) -> None:
    Path(f"{log}.1").write_bytes(b"long ago\n")
    log.write_bytes(b"a\n")
    tail.begin()
    log.rename(f"{log}-20261126")
    log.write_bytes(b"b\n")

    assert list(tail.more()) == [b"b"]


def test_a_flood_comes_in_rounds_and_in_order(log: Path, tail: Tail) -> None:
    log.write_bytes(b"")
    tail.begin()
    lines = [b"%09d" % number for number in range(3 * ROUND // 10)]
    append(log, b"\n".join(lines) + b"\n")
    log.rename(f"{log}.1")
    log.write_bytes(b"after\n")

    rounds = [list(tail.more())]
    while tail.is_behind:
        rounds.append(list(tail.more()))

    assert len(rounds) > 2
    assert [line for each in rounds for line in each] == [*lines, b"after"]


def test_an_endless_line_is_not_collected(log: Path, tail: Tail) -> None:
    log.write_bytes(b"")
    tail.begin()
    append(log, b"x" * (5 * LONGEST))

    pieces = list(tail.more())
    append(log, b"\n")
    pieces += tail.more()

    assert b"".join(pieces) == b"x" * (5 * LONGEST)
    assert max(map(len, pieces)) <= LONGEST + BLOCK
