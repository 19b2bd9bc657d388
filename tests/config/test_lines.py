"""The line of every key, in whatever way a file is written."""

from __future__ import annotations

import tomli
from hypothesis import given
from hypothesis import strategies as st

from supervisor_stack.config.lines import KeyPath, key_lines
from supervisor_stack.config.words import bare

KEYS = st.sampled_from(["a", "b-c", "1", "two words", "x.y", 'q"q', "#", "[", "=", "'", "ä", "\n", ""])
STRINGS = [
    '"plain"', "'literal'", '"# [not] = a {comment}"', '"\\" \\\\"', "'''\n[x]\na = 1\n'''",
    '"""\\\n\n"quoted" ""\n"""', '""""a"""""', "''''b'''''", '""', '""""""', "''''''",
]  # fmt: skip
SCALARS = st.sampled_from(
    [*STRINGS, "1", "-1.5e3", "inf", "true", "1979-05-27T07:32:00Z", "1979-05-27 07:32:00"]
)
COMMENTS = st.sampled_from(["", " # [a] = {1}", " # \"'", " # '''"])


class Writer:
    """Writes a file key by key, and notes the line on which each key and each item begins."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.text = ""
        self.lines: dict[KeyPath, int] = {}

    def put(self, text: str) -> None:
        self.text += text

    def note(self, path: KeyPath) -> None:
        self.lines.setdefault(path, self.text.count("\n") + 1)

    def end_line(self) -> None:
        self.put(self.draw(COMMENTS) + self.draw(st.sampled_from(["\n", "\n\n", "\r\n", "\n  # x = 1\n"])))

    def document(self) -> None:
        self.statements(())
        for key in self.draw(st.lists(KEYS, unique=True, max_size=3)):
            if (key,) not in self.lines:
                self.tables((key,))

    def tables(self, path: KeyPath) -> None:
        keys = [key for key in path if isinstance(key, str)]
        count = self.draw(st.integers(0, 2))
        brackets = ("[[", "]]") if count else ("[", "]")
        for index in range(count or 1):
            here: KeyPath = (*path, index) if count else path
            self.note(path)
            self.note(here)
            self.put(f"{brackets[0]} {' . '.join(map(bare, keys))} {brackets[1]}")
            self.end_line()
            self.statements(here)

    def statements(self, path: KeyPath) -> None:
        for key in self.draw(st.lists(KEYS, unique=True, max_size=3)):
            here: KeyPath = (*path, key)
            self.note(here)
            self.put(bare(key))
            if self.draw(st.booleans()):
                here = (*here, "dotted")
                self.note(here)
                self.put(". dotted")
            self.put(" = ")
            self.value(here, 2)
            self.end_line()

    def value(self, path: KeyPath, depth: int) -> None:
        match self.draw(st.integers(0, 3 if depth else 1)):
            case 2:
                self.items(path, depth - 1)
            case 3:
                self.inline(path, depth - 1)
            case _:
                self.put(self.draw(SCALARS))

    def items(self, path: KeyPath, depth: int) -> None:
        self.put("[")
        for index in range(self.draw(st.integers(0, 3))):
            self.put(self.draw(st.sampled_from(["", " ", "\n", " # ]\n\n"])))
            self.note((*path, index))
            self.value((*path, index), depth)
            self.put(self.draw(st.sampled_from([",", " ,", "\n,"])))
        self.put(self.draw(st.sampled_from(["]", "\n]", " # ,\n]"])))

    def inline(self, path: KeyPath, depth: int) -> None:
        self.put("{")
        for number, key in enumerate(self.draw(st.lists(KEYS, unique=True, max_size=2))):
            self.put(", " if number else " ")
            here: KeyPath = (*path, key)
            self.note(here)
            self.put(f"{bare(key)} = ")
            self.value(here, depth)
        self.put("}")


@st.composite
def written(draw: st.DrawFn) -> Writer:
    """A file, with the line of each of its keys."""
    writer = Writer(draw)
    writer.document()
    return writer


@given(written())
def test_every_key_and_item_is_found_on_its_line(writer: Writer) -> None:
    tomli.loads(writer.text)

    assert key_lines(writer.text) == writer.lines


def test_hundreds_of_nested_lists_are_no_problem() -> None:
    text = "a = " + "[" * 399 + "]" * 399 + "\nb = 1\n"

    assert key_lines(text)["b",] == 2


def test_a_table_below_the_last_of_a_list_of_tables_belongs_to_it() -> None:
    lines = key_lines("[[a]]\n[a.b]\nx = 1\n[[a]]\n[a.b]\nx = 1\n")

    assert lines == {
        ("a",): 1, ("a", 0): 1, ("a", 0, "b"): 2, ("a", 0, "b", "x"): 3,
        ("a", 1): 4, ("a", 1, "b"): 5, ("a", 1, "b", "x"): 6,
    }  # fmt: skip
