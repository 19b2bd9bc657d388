"""my.cnf and what it includes, as one file."""

from __future__ import annotations

import pytest

from supervisor_stack.kinds.fold.base import FoldError
from supervisor_stack.kinds.fold.mysqld import fold
from tests.kinds import guide
from tests.kinds.fold.sources import TextSource

CNF = "/etc/my.cnf"


def folded(text: str, **others: str) -> list[str]:
    """The lines of the copy; other files are in /etc/my.cnf.d, and the server is started in /etc."""
    files = {f"/etc/my.cnf.d/{name}.cnf": other for name, other in others.items()}
    return fold(CNF, TextSource({CNF: text} | files), "/etc").splitlines()


def test_the_file_of_the_guide_loses_its_comments_only() -> None:
    expected = [line for line in guide.MY_CNF.splitlines() if line and not line.startswith("#")]

    assert folded(guide.MY_CNF) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[mysqld]\n; c\n# c\n port = 1 # kept\n", ["[mysqld]", "port = 1 # kept"]),
        ("!include my.cnf.d/a.cnf", ["[mysqld]", "a"]),
        ("! include   /etc/my.cnf.d/a.cnf", ["[mysqld]", "a"]),
        ("!includedir my.cnf.d/", ["[mysqld]", "a", "[client]", "password = x"]),
        ("!includedir none", []),
        (
            "[mysqld]\n!include my.cnf.d/b.cnf\nport = 1",
            ["[mysqld]", "[client]", "password = x", "[mysqld]", "port = 1"],
        ),
        # The server passes over a file that it cannot read.
        ("[mysqld]\n!include none.cnf\nport = 1", ["[mysqld]", "[mysqld]", "port = 1"]),
    ],
)
def test_an_include_becomes_what_it_includes(text: str, expected: list[str]) -> None:
    assert folded(text, a="[mysqld]\na", b="[client]\npassword = x") == expected


def test_a_file_that_includes_itself_ends_as_it_does_for_the_server() -> None:
    assert folded("[mysqld]\nport = 1\n!include my.cnf").count("port = 1") == 11


def test_a_file_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(FoldError, match=r"^/etc/my.cnf cannot be read \(no such file or directory\)$"):
        fold(CNF, TextSource({}), "/")
