"""Where in the text each key stands: TOML parsers keep no positions of what they accept.

The text has been accepted by tomli, so this is a scanner and no parser: it need not notice mistakes.
It uses no recursion, as lists may be nested hundreds deep.
"""

from __future__ import annotations

import re

import tomli

KeyPath = tuple[str | int, ...]

_TOKEN = re.compile(
    r'''(?P<newline>\n)
    |(?P<skip>[ \t\r]+|\#[^\n]*)
    |(?P<string>"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?'{3,5}|"(?:\\.|[^"\\])*"|'[^']*')
    |(?P<mark>[][{}=,.])
    |(?P<bare>[^][{}=,.\s#"']+)''',
    re.DOTALL | re.VERBOSE,
)


def key_lines(text: str) -> dict[KeyPath, int]:
    """The line, from 1, of each key and of each item of each list."""
    scanner = _Scanner()
    line = 1
    for token in _TOKEN.finditer(text):
        kind, written = token.lastgroup, token.group()
        if kind == "newline":
            line += 1
            scanner.end_of_line()
        elif kind == "mark":
            scanner.mark(written, line)
        elif kind != "skip":
            scanner.word(written, line)
            line += written.count("\n")
    return scanner.lines


class _Scanner:
    """The state between two tokens.

    `open`: the lists (with the index of the present item) and inline tables (None) around us.
    `keys`: the parts of a dotted key so far, None behind the `=`.
    """

    def __init__(self) -> None:
        self.lines: dict[KeyPath, int] = {}
        self.base: KeyPath = ()
        self.path: KeyPath = ()
        self.keys: list[str] | None = []
        self.brackets = 0
        self.open: list[tuple[KeyPath, int | None]] = []
        self.tables: dict[KeyPath, int] = {}

    def end_of_line(self) -> None:
        if not self.open:
            self.keys, self.brackets = [], 0

    def word(self, written: str, line: int) -> None:
        """A key, a part of one, or a value."""
        if self.keys is not None:
            self.keys.append(_unquoted(written))
        else:
            self.value(line)

    def value(self, line: int) -> None:
        """A value begins: items of lists have no key that would have told their line."""
        path, index = self.open[-1] if self.open else ((), None)
        if index is not None:
            self.path = (*path, index)
            self.lines.setdefault(self.path, line)

    def mark(self, mark: str, line: int) -> None:
        if mark == "=":
            self.path = (self.open[-1][0] if self.open else self.base) + tuple(self.keys or ())
            self.record(self.path, line)
            self.keys = None
        elif mark == "," and self.open:
            path, index = self.open[-1]
            if index is None:
                self.keys = []
            else:
                self.open[-1] = (path, index + 1)
        elif mark in "]}":
            self.close(line)
        elif mark == "[" and self.keys is not None:
            self.brackets += 1
        elif mark in "[{" and self.keys is None:
            self.value(line)
            self.open.append((self.path, 0 if mark == "[" else None))
            self.keys = None if mark == "[" else []

    def close(self, line: int) -> None:
        if self.open:
            self.open.pop()
            self.keys = None
        elif self.keys:
            self.header(self.keys, self.brackets > 1, line)
            self.keys = []

    def header(self, keys: list[str], array: bool, line: int) -> None:
        """`[a.b]`, or `[[a.b]]` for one more table of a list."""
        path: KeyPath = ()
        for depth, key in enumerate(keys, start=1):
            path = (*path, key)
            if array and depth == len(keys):
                self.lines.setdefault(path, line)
                self.tables[path] = self.tables.get(path, -1) + 1
            if path in self.tables:
                path = (*path, self.tables[path])
        self.base = path
        self.record(path, line)

    def record(self, path: KeyPath, line: int) -> None:
        while path and path not in self.lines:
            self.lines[path] = line
            path = path[:-1]


def _unquoted(written: str) -> str:
    if written[0] not in "\"'":
        return written
    (key,) = tomli.loads(f"{written} = 0")
    return key
