"""nginx's files as one file: the same directives, wherever it lies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor_stack.kinds.fold.base import FoldError
from supervisor_stack.kinds.fold.nginx import fold
from supervisor_stack.kinds.nginx_syntax import parse
from tests.kinds.fold.sources import TextSource

CONF = "/etc/nginx/nginx.conf"


def folded(text: str, **others: str) -> str:
    """The copy of a file; others are in /etc/nginx, `a__b` for a/b.conf and `a` for a.conf."""
    files = {f"/etc/nginx/{name.replace('__', '/')}.conf": other for name, other in others.items()}
    return fold(CONF, TextSource({CONF: text} | files), "/")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("include a.conf; b 2;", "a 1; b 2;"),
        ("include /etc/nginx/a.conf;", "a 1;"),
        ('include "a.conf";', "a 1;"),
        ("include sites/*.conf;", "server { listen 1; } server { a 1; listen 2; }"),
        (
            "http { include sites/*.conf; x y; }",
            "http { server { listen 1; } server { a 1; listen 2; } x y; }",
        ),
        ("include none/*.conf; b 2;", "b 2;"),
        ("s { include a.conf; } s { include a.conf; }", "s { a 1; } s { a 1; }"),
        ("map $x $y { default 0; include a.conf; }", "map $x $y { default 0; a 1; }"),
        ("types { include a.conf; }", "types { a 1; }"),
        ("geo $x { include a.conf; }", "geo $x { a 1; }"),
    ],
)
def test_an_include_becomes_what_it_includes(text: str, expected: str) -> None:
    copy = folded(
        text, a="a 1;", sites__one="server { listen 1; }", sites__two="server { include a.conf; listen 2; }"
    )

    assert parse(copy) == parse(expected)


@pytest.mark.parametrize(
    "word",
    [
        "plain",
        "$host",
        "${host}.example",
        '"a b"',
        "'#fff'",
        '"#"',
        "a#b",
        '""',
        '"; } {"',
        '"it\'s \\"quoted\\""',
        "'both \" and \\''",
        '"a\\\\"',
        "'C:\\\\dir\\\\'",
        "~^/\\d+\\.php$",
        "~*\\.(gif|jpe?g)$",
        '"^/[0-9]{4}$"',
        "a\\;b",
        "\\#no",
        '"tab\\tand\\nline"',
        '"two\nlines"',
        '"full\u3000width"',
        "'no\u00a0break'",
        '"\x7f\x01"',
        "grüße",
        "日本",
        "'$arg_x {y}'",
        '"1 2" "3"',
    ],
)
def test_words_stay_what_they_are(word: str) -> None:
    text = f"return {word};\nmap $a $b {{ {word} 1; }}"

    assert parse(folded(text)) == parse(text)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("($a)", "($a)"),
        ("( $a )", "($a)"),
        ("( $a != '' )", "($a != '')"),
        ('($a = "b c")', '($a = "b c")'),
        ("($request_method = POST)", "($request_method = POST)"),
        ('($http_cookie ~* "id=([^;]+)(?:;|$)")', '($http_cookie ~* "id=([^;]+)(?:;|$)")'),
        ("(!-f $request_filename)", "(!-f $request_filename)"),
        ("($a ~ (x|y))", "($a ~ (x|y))"),
        ("($a ~ \\.(php|cgi)$)", '($a ~ "\\.(php|cgi)$")'),
    ],
)
def test_conditions_stay_what_they_are(condition: str, expected: str) -> None:
    copy = folded(f"if {condition} {{ return 403; }}")

    assert parse(copy) == parse(f"if {expected} {{ return 403; }}")


LUA = """
    -- a comment with a } and an apostrophe's
    local t = { a = "}", b = '{' }
    ngx.say("it's " .. t.a)
"""


@pytest.mark.parametrize(
    "directive",
    ["content_by_lua_block", "set_by_lua_block $x", "exit_worker_by_lua_block", "new_by_lua_block"],
)
def test_lua_stays_as_it_stands(directive: str) -> None:
    copy = folded(f"a {{ {directive} {{{LUA}}} }} b 1;")

    assert LUA in copy
    assert parse(copy) == parse(f"a {{ {directive} {{}} }} b 1;")


def test_comments_are_left_out_wherever_they_stand() -> None:
    copy = folded("# one\na 1; # two\nb # three\n 2; c { # four\n d 3; }\n# five")

    assert parse(copy) == parse("a 1; b 2; c { d 3; }")
    assert "#" not in copy


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ssl_certificate a.pem;", "ssl_certificate /etc/nginx/a.pem;"),
        ("ssl_certificate_key ../a.key;", "ssl_certificate_key /etc/nginx/../a.key;"),
        ('ssl_dhparam "a b.pem";', 'ssl_dhparam "/etc/nginx/a b.pem";'),
        ("proxy_ssl_trusted_certificate ca.pem;", "proxy_ssl_trusted_certificate /etc/nginx/ca.pem;"),
        ("auth_basic_user_file users;", "auth_basic_user_file /etc/nginx/users;"),
        ("auth_basic_user_file users/$host;", "auth_basic_user_file /etc/nginx/users/$host;"),
        ("ssl_certificate data:$cert;", "ssl_certificate data:$cert;"),
        ("ssl_certificate_key engine:x:y;", "ssl_certificate_key engine:x:y;"),
        ("ssl_certificate /a.pem;", "ssl_certificate /a.pem;"),
        ("ssl_conf_command DHParameters dh.pem;", "ssl_conf_command DHParameters /etc/nginx/dh.pem;"),
        ("ssl_conf_command Options KTLS;", "ssl_conf_command Options KTLS;"),
        ("map $x $y { ssl_crl a; }", "map $x $y { ssl_crl a; }"),
        # These are relative to the prefix of nginx or to its working directory.
        ("access_log logs/a.log; root html; load_module modules/a.so;", ""),
    ],
)
def test_what_is_relative_to_the_folder_of_the_file_becomes_absolute(text: str, expected: str) -> None:
    copy = folded(f"http {{ {text} }}")

    assert parse(copy) == parse(f"http {{ {expected or text} }}")


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("ssl_certificate $cert;", "ssl_certificate $cert names a file by a variable, which may be relative"),
        ("auth_basic_user_file $host.users;", "names a file by a variable"),
        ("include a.conf;", "/etc/nginx/a.conf cannot be read (no such file or directory)"),
        ("include nginx.conf;", "/etc/nginx/nginx.conf includes itself"),
        ("a {", "nginx-crossplane cannot read it: unexpected end of file"),
        ("rewrite ^/([^/}]+)$ /x;", "nginx-crossplane cannot read it"),
        ("server_name a\u3000b;", "nginx-crossplane reads /etc/nginx/nginx.conf otherwise than nginx"),
        ("content_by_lua_block { local s = [[ it's } ]] }", "nginx-crossplane"),
    ],
)
def test_what_cannot_be_folded_with_certainty_is_refused(text: str, cause: str) -> None:
    with pytest.raises(FoldError) as refused:
        folded(text)

    assert cause in str(refused.value)


WORDS = st.text(st.sampled_from("ab$ {};#'\"\\\t\n/.*~^()é\u3000\x7f"), max_size=8)


def quoted(word: str) -> str:
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


DIRECTIVES = st.recursive(
    st.lists(WORDS, min_size=1, max_size=4).map(lambda words: f"d {' '.join(map(quoted, words))};"),
    lambda inner: st.tuples(WORDS, st.lists(inner, max_size=3)).map(
        lambda block: f"b {quoted(block[0])} {{ {' '.join(block[1])} }}"
    ),
    max_leaves=8,
)


@given(st.lists(DIRECTIVES, max_size=4).map("\n".join))
def test_whatever_is_quoted_comes_through(text: str) -> None:
    assert parse(folded(text)) == parse(text)
