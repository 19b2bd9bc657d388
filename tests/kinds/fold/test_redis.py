"""redis.conf and what it includes, as one file."""

from __future__ import annotations

import pytest

from supervisor_stack.kinds.fold.base import Answer, FoldError
from supervisor_stack.kinds.fold.redis import fold, objection
from tests.kinds import guide
from tests.kinds.fold.sources import TextSource

CONF = "/srv/redis.conf"


def folded(text: str, **others: str) -> list[str]:
    """The lines of the copy; other files are in /srv/data, where `dir` leads, or in /srv."""
    files = {f"/srv/{name.replace('__', '/')}.conf": other for name, other in others.items()}
    return fold(CONF, TextSource({CONF: text} | files), "/srv").splitlines()


def test_the_file_of_the_guide_stays_as_it_is() -> None:
    assert folded(guide.REDIS_CONF) == guide.REDIS_CONF.splitlines()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# c\n\n  port 1\t\r\n", ["port 1"]),
        ("include one.conf\nport 2", ["port 1", "port 2"]),
        ("port 2\nINCLUDE 'one.conf'", ["port 2", "port 1"]),
        ("include /srv/one.conf", ["port 1"]),
        ("dir data\ninclude two.conf", ["dir data", "save 1 2"]),
        ("dir data\ninclude inner.conf", ["dir data", "dir deeper", "port 3"]),
        ("include data/*.conf", ["dir deeper", "port 3", "save 1 2"]),
        ("include none/*.conf\nport 2", ["port 2"]),
        ("requirepass \"a # b\" \nuser a on '>x y' ~*", ['requirepass "a # b"', "user a on '>x y' ~*"]),
        ("save 1 2\nsave 3 4", ["save 1 2", "save 3 4"]),
    ],
)
def test_an_include_becomes_what_it_includes(text: str, expected: list[str]) -> None:
    others = {
        "one": "port 1",
        "data__two": "save 1 2",
        "data__inner": "dir deeper\ninclude /srv/three.conf",
        "three": "port 3",
    }

    assert folded(text, **others) == expected


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("include none.conf", "/srv/none.conf cannot be read (no such file or directory)"),
        ("include redis.conf", "/srv/redis.conf includes itself"),
        ('requirepass "a', "/srv/redis.conf has a line with unbalanced quotes"),
    ],
)
def test_what_cannot_be_folded_with_certainty_is_refused(text: str, cause: str) -> None:
    with pytest.raises(FoldError) as refused:
        folded(text)

    assert str(refused.value) == cause


def test_a_silent_redis_has_not_judged_the_copy() -> None:
    silent = Answer(-9, "", "")

    assert objection(silent, silent) == "redis said nothing about the copy (exit status -9)"
