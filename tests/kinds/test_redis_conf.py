"""redis.conf, as Redis 7.0 reads it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor_stack.kinds.redis_conf import ConfReader, split
from tests.kinds.given import TextFiles

CONF = "/etc/redis/redis.conf"


def read(text: str, *arguments: str, **others: str) -> ConfReader:
    """The settings; other files are in /srv, where Redis is started."""
    files = {CONF: text} | {f"/srv/{name}.conf": other for name, other in others.items()}
    reader = ConfReader(TextFiles(files), "/srv")
    reader.read_file(CONF)
    reader.read_arguments(arguments)
    return reader


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("port 6379", ["port", "6379"]),
        ("port\t 6379 ", ["port", "6379"]),
        ("requirepass '12345'", ["requirepass", "12345"]),
        ('requirepass "with blank"', ["requirepass", "with blank"]),
        ('logfile ""', ["logfile", ""]),
        (r'requirepass "a\"b\\c\n\x41"', ["requirepass", 'a"b\\c\nA']),
        (r"requirepass 'a\'b\n'", ["requirepass", r"a'b\n"]),
        ("requirepass a#b", ["requirepass", "a#b"]),
        ("requirepass pre'fix'", ["requirepass", "prefix"]),
        ("save 900 1 300 10", ["save", "900", "1", "300", "10"]),
    ],
)
def test_a_line_is_split_into_words(line: str, words: list[str]) -> None:
    assert split(line) == words


@pytest.mark.parametrize("line", ["a 'b", 'a "b', "a 'b'c", 'a "b"c', r"a 'b\'", r'a "b\"'])
def test_unbalanced_quotes_are_an_error(line: str) -> None:
    with pytest.raises(ValueError, match="unbalanced quotes"):
        split(line)


@given(st.lists(st.text(min_size=0, max_size=8), min_size=1, max_size=4))
def test_quoted_words_come_back(words: list[str]) -> None:
    quoted = ['"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' for word in words]

    assert split(" ".join(quoted)) == words


def test_the_last_setting_wins_and_names_have_no_case() -> None:
    assert read("PORT 1\nport 2\n# port 3\n").word("port") == "2"


def test_an_include_counts_where_it_stands() -> None:
    conf = read("port 1\ninclude more.conf\ntimeout 3", more="port 2\ntimeout 2")

    assert (conf.word("port"), conf.word("timeout")) == ("2", "3")


def test_an_include_may_have_wildcards() -> None:
    conf = read("include *.conf\ninclude none*.conf", a="port 1", b="port 2")

    assert conf.word("port") == "2"
    assert conf.problems == []


def test_names_after_dir_are_relative_to_it() -> None:
    conf = read("dir data\ninclude more.conf", **{"data/more": "port 2"})

    assert conf.folder == "/srv/data"
    assert conf.word("port") == "2"


@pytest.mark.parametrize(
    "arguments", [["--port", "7000"], ["--port 7000"], ["--PORT", "7000"], ["--port", "1", "--port", "7000"]]
)
def test_arguments_come_after_the_file(arguments: list[str]) -> None:
    assert read("port 6379", *arguments).word("port") == "7000"


def test_an_argument_may_have_several_words() -> None:
    assert read("", "--bind", "127.0.0.1", "::1", "--port", "1").words("bind") == ("127.0.0.1", "::1")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("\nrequirepass 'a", f"line 2 of {CONF} has unbalanced quotes; close or remove them"),
        ("include none.conf",
         "cannot read /srv/none.conf: No such file or directory; name a file that redis can read"),
        (f"include {CONF}", f"{CONF} includes itself; remove that line"),
    ],
)  # fmt: skip
def test_what_redis_would_not_start_with_is_a_problem(text: str, problem: str) -> None:
    assert read(text).problems == [problem]
