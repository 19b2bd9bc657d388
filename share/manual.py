"""Sections of docs/*.md as those of a manual page, so that both say the same.

It knows what these documents use, and refuses what it does not know.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from share.roff import bold, filled, prose, section, subsection, tagged, verbatim

DOCS = Path(__file__).parent.parent / "docs"


class Manual:
    """One document."""

    def __init__(self, name: str) -> None:
        text = (DOCS / name).read_text(encoding="utf-8")
        self._tokens = MarkdownIt("commonmark").enable("table").parse(text)

    def sections(self, *titles: str) -> list[str]:
        """Those with these titles, in this order; what is below them as subsections."""
        return [line for title in titles for line in (section(title), *self.part(title))]

    def part(self, title: str) -> list[str]:
        """What stands below a title, without it."""
        return list(_blocks(self._below(title), first=True))

    def titles(self) -> list[str]:
        """Of all sections."""
        return [
            _plain(self._tokens[at + 1])
            for at, token in enumerate(self._tokens)
            if token.type == "heading_open" and token.tag == "h2"
        ]

    def _below(self, title: str) -> list[Token]:
        heads = [at for at, token in enumerate(self._tokens) if token.type == "heading_open"]
        for at in heads:
            if _plain(self._tokens[at + 1]) == title:
                depth = self._tokens[at].tag
                ends = (later for later in heads if later > at and self._tokens[later].tag <= depth)
                return self._tokens[at + 3 : next(ends, None)]
        raise LookupError(f"no section {title!r}")


def _blocks(tokens: Sequence[Token], *, first: bool) -> Iterator[str]:
    """`first`: a heading stands right before, which is a break by itself."""
    rest = iter(tokens)
    for token in rest:
        match token.type:
            case "paragraph_open":
                yield from () if first else (".PP",)
                yield from filled(_inline(next(rest)))
            case "heading_open":
                yield subsection(_plain(next(rest)))
            case "fence":
                yield from () if first else (".PP",)
                yield from verbatim(token.content)
            case "bullet_list_open" | "ordered_list_open":
                yield from _items(rest)
            case "table_open":
                yield from _table(rest)
            case "paragraph_close" | "heading_close" | "html_block":
                continue
            case _:
                raise ValueError(f"no way to typeset {token.type}: {token.content or token.map}")
        first = token.type == "heading_open"


def _items(rest: Iterator[Token]) -> Iterator[str]:
    for token in rest:
        match token.type:
            case "bullet_list_close" | "ordered_list_close":
                return
            case "list_item_open":
                yield f".IP {token.info}. 4" if token.info else r".IP \(bu 2"
            case "inline":
                yield from filled(_inline(token))
            case "paragraph_open" | "paragraph_close" | "list_item_close":
                continue
            case _:
                raise ValueError(f"no way to typeset {token.type} in a list: {token.content or token.map}")


def _table(rest: Iterator[Token]) -> Iterator[str]:
    """Wide tables are for wide pages. Here each row is an item: the first cell, and what is said of it."""
    cells: list[Token] = []
    heads: list[str] = []
    for token in rest:
        match token.type:
            case "table_close":
                return
            case "inline":
                cells.append(token)
            case "tr_close":
                if heads:
                    yield from tagged(_inline(cells[0]), *_said(heads[1:], cells[1:]))
                else:
                    heads = [_inline(cell) for cell in cells]
                cells = []
            case _:
                continue


def _said(heads: Sequence[str], cells: Sequence[Token]) -> Iterator[str]:
    """The cells of a row: what they all say, or what each says with its head; a column `meaning` first."""
    told = {head: _inline(cell) for head, cell in zip(heads, cells, strict=True) if cell.content}
    if len(told) == len(heads) and len(set(told.values())) == 1:
        yield told[heads[0]]
        return
    if "meaning" in told:
        yield told.pop("meaning")
    if told:
        yield "; ".join(f"{head}: {text}" for head, text in told.items()).rstrip(".") + "."


def _inline(token: Token) -> str:
    text = ""
    for child in token.children or ():
        match child.type:
            case "text":
                text += prose(child.content)
            case "code_inline":
                text += bold(child.content)
            case "softbreak":
                text += " "
            case "strong_open" | "em_open":
                text += r"\fB" if child.type == "strong_open" else r"\fI"
            case "strong_close" | "em_close":
                text += r"\fR"
            case "link_open" | "link_close":
                continue
            case _:
                raise ValueError(f"no way to typeset {child.type}: {child.content}")
    return text


def _plain(token: Token) -> str:
    return "".join(child.content for child in token.children or ())
