"""The text of nginx's files, to directives and back, so that not a character of a word gets lost.

nginx-crossplane reads and writes; kinds/nginx_syntax.py, which knows nothing of it, has to find the same
in what was written as in the file, or the file is refused. Imported late: stackd itself never needs it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from supervisor_stack.kinds.fold.base import FoldError
from supervisor_stack.kinds.nginx_syntax import Directive, parse

Statement = dict[str, Any]
"""One directive as crossplane has it: `directive`, `args` and, with braces, `block`."""

_LUA = re.compile(r"\w+_by_lua_block\b")
_PLAIN = re.compile(r"[\w./:$~^*+?=,@%&|!<>()\[\]-]*[\w./:~^*+?=,@%&|!<>()\[\]-]")
_PAIR_OR_QUOTE = re.compile(r'\\.|"', re.DOTALL)
_STAND_IN = re.compile("\x02(\\d+)\x03")


def statements_of(path: str, text: str) -> list[Statement]:
    """What crossplane reads in a file, if it is certain that nginx reads the same. Raises FoldError."""
    from crossplane import parse_string

    _learn_lua(text)
    parsed = parse_string(text, filename=path, single=True, check_ctx=False, check_args=False)
    if parsed["errors"]:
        raise FoldError(f"nginx-crossplane cannot read it: {parsed['errors'][0]['error']}")
    statements: list[Statement] = _without_comments(parsed["config"][0]["parsed"])
    if not _reads_like_nginx(statements, text):
        raise FoldError(f"nginx-crossplane reads {path} otherwise than nginx")
    return statements


def _reads_like_nginx(statements: list[Statement], text: str) -> bool:
    if not all(body is not None and body in text for body in _lua_bodies(statements)):
        return False
    try:
        return _comparable(parse(written(statements))) == _comparable(parse(text))
    except ValueError:
        return False


def _comparable(directives: Iterable[Directive]) -> list[Directive]:
    """Conditions without their parentheses: to nginx `( $a )` and `($a)` are the same."""
    return [
        Directive(
            each.name,
            each.args if each.name != "if" else _condition(each.args),
            None if each.block is None else tuple(_comparable(each.block)),
        )
        for each in directives
    ]


def _condition(words: Iterable[str]) -> tuple[str, ...]:
    whole = "\0".join(words).removeprefix("(").removesuffix(")")
    return tuple(whole.strip("\0").split("\0"))


def _learn_lua(text: str) -> None:
    """crossplane knows some of the directives whose block is Lua (0.5.14); they are all alike."""
    from crossplane.builder import EXTERNAL_BUILDERS, register_external_builder
    from crossplane.ext.lua import LuaBlockPlugin
    from crossplane.lexer import register_external_lexer

    if names := set(_LUA.findall(text)) - EXTERNAL_BUILDERS.keys():
        register_external_lexer(directives=names, lexer=LuaBlockPlugin().lex)
        register_external_builder(directives=names, builder=LuaBlockPlugin().build)


def _lua_bodies(statements: Iterable[Statement]) -> Iterator[str | None]:
    for statement in statements:
        if _LUA.fullmatch(statement["directive"]):
            yield statement["args"][-1] if statement["args"] else None
        yield from _lua_bodies(statement.get("block", ()))


def _without_comments(statements: Iterable[Statement]) -> list[Statement]:
    """Those between the words of a directive are there even if none were asked for."""
    return [
        statement | {"block": _without_comments(statement["block"])} if "block" in statement else statement
        for statement in statements
        if "comment" not in statement
    ]


def written(statements: list[Statement]) -> str:
    """The text of a file.

    crossplane quotes words as Python does, which is not always what nginx reads: a # stays bare and
    begins a comment, U+3000 becomes \\u3000. So words that need quotes are written here, and others
    stand in for them meanwhile.
    """
    from crossplane import build

    words: list[str] = []

    def stand_in(word: str) -> str:
        if _PLAIN.fullmatch(word):
            return word
        words.append(word)
        return f"\x02{len(words) - 1}\x03"

    def simplified(statement: Statement) -> Statement:
        if _LUA.fullmatch(statement["directive"]):
            return statement
        simple = statement | {
            "directive": stand_in(statement["directive"]),
            "args": [stand_in(arg) for arg in statement["args"]],
        }
        return (
            simple | {"block": [simplified(inner) for inner in statement["block"]]}
            if "block" in simple
            else simple
        )

    text: str = build([simplified(statement) for statement in statements])
    return _STAND_IN.sub(lambda found: _quoted(words[int(found[1])]), text) + "\n"


def _quoted(word: str) -> str:
    """A word as it stood in its file, in double quotes. Its backslashes stand there as they did."""
    return '"' + _PAIR_OR_QUOTE.sub(lambda found: '\\"' if found[0] == '"' else found[0], word) + '"'


def value(word: str) -> str:
    """What nginx makes of a word of a file."""
    return parse(f"word {_quoted(word)};")[0].args[0]
