"""The mistakes of one configuration, collected, so that all of them are told at once."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING

from supervisor_stack.config.document import Document
from supervisor_stack.config.words import bare, count, near, printable
from supervisor_stack.errors import ConfigError

if TYPE_CHECKING:
    from supervisor_stack.config.lines import KeyPath

# Comparing a word with thousands of names takes a tenth of a second; a file with thousands of wrong
# names is to be refused quickly all the same.
_SUGGESTIONS = 20


class Mistakes:
    """What is wrong with a document, each at its key path.

    The first mistake of a path stands: what follows from it is no news.
    """

    def __init__(self, document: Document) -> None:
        self.document = document
        self._found: dict[KeyPath, tuple[str, ...]] = {}
        self._above: set[KeyPath] = set()
        self._left: dict[KeyPath, str] = {}
        self._suggestions = 0

    def add(self, path: KeyPath, *whats: str) -> None:
        """Note "what is wrong; what would be right" as often as there is something to note."""
        if path in self._found or not whats:
            return
        self._found[path] = whats
        self._above.update(path[:depth] for depth in range(len(path) + 1))

    def leave(self, path: KeyPath, why: str) -> None:
        """Note that a key could not be judged, which is no mistake."""
        self._left[path] = why

    def unjudged(self) -> tuple[str, ...]:
        """One line for each key that could not be judged, in the order of the file."""
        return self._lines_of((path, why) for path, why in self._left.items())

    def has(self, *path: str | int) -> bool:
        """Whether something is wrong with this key or with a part of its value."""
        return path in self._above

    def expect(self, *path: str | int) -> None:
        """Take a key for wrong, so that nobody calls it missing: what is meant to be it was noted."""
        self._above.add(path)

    def near(self, word: str, choices: Iterable[str]) -> str:
        """The choice that was probably meant, or an empty string."""
        self._suggestions += 1
        return near(word, choices) if self._suggestions <= _SUGGESTIONS else ""

    def raise_if_any(self) -> None:
        """Raises ConfigError with one line for each mistake, in the order of the file."""
        if self._found:
            raise self.error()

    def error(self) -> ConfigError:
        """All of them as the error that they are."""
        lines = self._lines_of((path, what) for path, whats in self._found.items() for what in whats)
        name = self.document.path
        return ConfigError(f"cannot use the configuration {name}: {count(len(lines), 'mistake')}", lines)

    def _lines_of(self, found: Iterable[tuple[KeyPath, str]]) -> tuple[str, ...]:
        placed = sorted(
            ((self._line(path), f"{dotted(path)}: {what}") for path, what in found), key=lambda each: each[0]
        )
        return tuple(f"{self.document.path}:{line}: {printable(what)}" for line, what in placed)

    @cached_property
    def _lines(self) -> dict[KeyPath, int]:
        # Only a file with mistakes pays for this, in stackctl too.
        from supervisor_stack.config.lines import key_lines

        return key_lines(self.document.text)

    def _line(self, path: KeyPath) -> int:
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)


def dotted(path: KeyPath) -> str:
    """`services.nginx.requires[1]`: a key path as the messages write it."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{bare(part)}" if text else bare(part)
    return text
