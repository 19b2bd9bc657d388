"""Text as man(7) takes it: every character as it is meant, and no line too long for mandoc."""

from __future__ import annotations

import re
import textwrap

_WIDTH = 78

# What roff would take for something else, or print as another character: groff_char(7).
_PROSE = {"\\": r"\e", "^": r"\(ha", "~": r"\(ti"}
_LITERAL = _PROSE | {"-": r"\-", "'": r"\(aq", "`": r"\(ga"}


def prose(text: str) -> str:
    """Text for reading."""
    return _escaped(text, _PROSE)


def literal(text: str) -> str:
    """Text for copying: its hyphens and quotes stay what they are."""
    return _escaped(text, _LITERAL)


def bold(text: str) -> str:
    """What is to be typed as it is."""
    return rf"\fB{literal(text)}\fR"


def italic(text: str) -> str:
    """What stands for something else."""
    return rf"\fI{literal(text)}\fR"


def usage(text: str) -> str:
    """A synopsis as the grammar has it: words in bold, what is in capitals in italics."""
    parts = re.split(r"([A-Z]+\b|[a-z-]+(?:\.[a-z]+)*)", text)
    marked = (bold(part) if part[:1].islower() or part[:1] == "-" else italic(part) for part in parts[1::2])
    return "".join(plain + mark for plain, mark in zip(map(prose, parts[::2]), [*marked, ""], strict=True))


def filled(text: str) -> list[str]:
    """Escaped text as lines that roff fills."""
    lines = textwrap.wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False)
    return list(map(_guarded, lines))


def verbatim(text: str) -> list[str]:
    """Lines that are shown as they are, indented."""
    shown = [_guarded(literal(line)) for line in text.rstrip("\n").split("\n")]
    return [".RS 4", ".EX", *shown, ".EE", ".RE"]


def tagged(tag: str, *body: str) -> list[str]:
    """An item of a list: what it is about, in a line of its own, and what is said of it in paragraphs."""
    lines = [".TP", _guarded(tag)]
    for number, paragraph in enumerate(body):
        lines += [*([".IP"] if number else []), *filled(paragraph)]
    return lines


def section(title: str) -> str:
    """The line that begins a section."""
    return f".SH {_quoted(title.upper())}"


def subsection(title: str) -> str:
    """The line that begins a part of a section."""
    return f".SS {_quoted(title)}"


def _quoted(title: str) -> str:
    return '"' + prose(title).replace('"', r"\(dq") + '"'


def _escaped(text: str, table: dict[str, str]) -> str:
    return "".join(table.get(char) or (char if char.isascii() else rf"\[u{ord(char):04X}]") for char in text)


def _guarded(line: str) -> str:
    return rf"\&{line}" if line.startswith((".", "'")) else line
