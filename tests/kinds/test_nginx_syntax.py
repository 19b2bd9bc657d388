"""The syntax of nginx's files, as nginx itself splits them into words."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor_stack.kinds.nginx_syntax import Directive, parse


@pytest.mark.parametrize(
    ("text", "directives"),
    [
        ("", ()),
        ("# only a comment", ()),
        ("daemon on;", (Directive("daemon", ("on",)),)),
        ("daemon\n  on\t;", (Directive("daemon", ("on",)),)),
        ("events {}", (Directive("events", (), ()),)),
        ("a; b c;", (Directive("a"), Directive("b", ("c",)))),
        ("a { b { c d; } }", (Directive("a", (), (Directive("b", (), (Directive("c", ("d",)),)),)),)),
        ("return 200 'it; {works}';", (Directive("return", ("200", "it; {works}")),)),
        ('a "b\\"c" d;', (Directive("a", ('b"c', "d")),)),
        (r"a 'b\'c\\d\te';", (Directive("a", ("b'c\\d\te",)),)),
        (r"rewrite ^/a\.b$ /c;", (Directive("rewrite", (r"^/a\.b$", "/c")),)),
        ("set $a ${b}c;", (Directive("set", ("$a", "${b}c")),)),
        ("a b#c; # d;\ne;", (Directive("a", ("b#c",)), Directive("e"))),
        ('a b"c;', (Directive("a", ('b"c',)),)),
        ("a b}; c;", (Directive("a", ("b}",)), Directive("c"))),
        ('if ($a = "b") { c; }', (Directive("if", ("($a", "=", "b", ")"), (Directive("c"),)),)),
        ("a\\;b c;", (Directive("a\\;b", ("c",)),)),
        ("location /{a;}", (Directive("location", ("/",), (Directive("a"),)),)),
    ],
)
def test_text_is_split_as_nginx_splits_it(text: str, directives: tuple[Directive, ...]) -> None:
    assert parse(text) == directives


@pytest.mark.parametrize("text", ["a", "a {", "}", "a }", "a 'b;", 'a "b;', "a \\", ";", "{}"])
def test_a_broken_file_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(text)


def test_lua_in_braces_is_passed_over() -> None:
    lua = """content_by_lua_block {
        local t = { "}", '}', [[ } ]], [==[ ]] } ]==] }  -- don't stop here: }
        --[[ nor } here ]]
    }
    listen 80;"""

    assert parse(lua) == (Directive("content_by_lua_block"), Directive("listen", ("80",)))


@given(st.text(alphabet=" ;{}'\"\\#$ab\n", max_size=60))
def test_any_text_parses_or_raises_a_value_error(text: str) -> None:
    with suppress(ValueError):
        parse(text)
