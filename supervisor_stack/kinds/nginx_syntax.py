"""The syntax of nginx's configuration files: text to directives. What they mean is not known here.

It follows ngx_conf_read_token() of src/core/ngx_conf_file.c (1.22) for files that nginx accepts. A
broken file is for nginx to reject, with better words: here it raises ValueError and nothing else.
"""

from __future__ import annotations

import re

import msgspec


class Directive(msgspec.Struct, frozen=True):
    """One directive; `block` is what its braces hold, None without braces."""

    name: str
    args: tuple[str, ...] = ()
    block: tuple[Directive, ...] | None = None


# A quote or a # is special only where a word begins; inside a bare word `{` belongs to ${name}, and `}`
# to the word. A backslash keeps the next character from being special.
_TOKEN = re.compile(
    r"""[ \t\r\n]+
      | \#[^\n]*
      | (?P<mark>[;{}])
      | "(?P<double>(?:\\.|[^"\\])*)"
      | '(?P<single>(?:\\.|[^'\\])*)'
      | (?P<bare>(?!["'])(?:\\.|\$\{|[^ \t\r\n;{\\])+)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"""\\(["'\\trn])""")
_CONTROL = {"t": "\t", "r": "\r", "n": "\n"}

# What can hide a brace in Lua: comments and strings, long and short.
_LUA = re.compile(
    r"""--\[(?P<c>=*)\[.*?\](?P=c)\]
      | --[^\n]*
      | \[(?P<s>=*)\[.*?\](?P=s)\]
      | "(?:\\.|[^"\\])*"
      | '(?:\\.|[^'\\])*'
      | (?P<brace>[{}])""",
    re.VERBOSE | re.DOTALL,
)


def parse(text: str) -> tuple[Directive, ...]:
    """The directives of one file, `include` not followed. Raises ValueError when they do not parse."""
    open_blocks: list[tuple[list[str], list[Directive]]] = []
    words: list[str] = []
    block: list[Directive] = []
    position = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            raise ValueError(f"a quote that does not end, at {text[position : position + 20]!r}")
        position = token.end()
        mark = token["mark"]
        word = next((token[kind] for kind in ("double", "single", "bare") if token[kind] is not None), None)
        if word is not None:
            words.append(_ESCAPE.sub(_unescaped, word))
        elif mark == ";":
            block.append(_directive(words))
            words = []
        elif mark == "{" and words and words[0].endswith("_by_lua_block"):
            position = _end_of_lua(text, position)
            block.append(_directive(words))
            words = []
        elif mark == "{":
            open_blocks.append((words, block))
            words, block = [], []
        elif mark == "}":
            if words or not open_blocks:
                raise ValueError("a } that closes nothing")
            opening, outer = open_blocks.pop()
            outer.append(_directive(opening, block))
            block = outer
    if words or open_blocks:
        raise ValueError("the file ends within a directive")
    return tuple(block)


def _directive(words: list[str], block: list[Directive] | None = None) -> Directive:
    if not words:
        raise ValueError("a directive without a name")
    return Directive(words[0], tuple(words[1:]), None if block is None else tuple(block))


def _unescaped(escape: re.Match[str]) -> str:
    return _CONTROL.get(escape[1], escape[1])


def _end_of_lua(text: str, start: int) -> int:
    """Where the block ends; `start` is behind its opening brace (lua-nginx-module parses Lua there)."""
    depth = 1
    for token in _LUA.finditer(text, start):
        if token["brace"]:
            depth += 1 if token["brace"] == "{" else -1
            if depth == 0:
                return token.end()
    raise ValueError("a Lua block that does not end")
