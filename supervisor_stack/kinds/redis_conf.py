"""redis.conf: text to settings, of which the last one of a name wins.

It follows loadServerConfig() of src/config.c and sdssplitargs() of src/sds.c (7.0.15), for the settings
that are single lines; what `user`, `rename-command` and modules mean is not known here.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence

from supervisor_stack.kinds.base import Files

# A word may end in a quoted part, which has to be followed by a blank.
_WORD = re.compile(
    r"""\s*(?=\S)(?P<bare>[^\s"']*)
        (?: "(?P<double>(?:\\.|[^"\\])*)" (?=\s|$)
          | '(?P<single>(?:\\'|[^'\\]|\\(?!'))*)' (?=\s|$)
          | (?=\s|$) )""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(?:x(?P<code>[0-9A-Fa-f]{2})|(?P<letter>.))")
_CONTROL = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "a": "\a"}


class ConfReader:
    """Collects the settings of a Redis server: the file, what it includes, then the command line.

    `folder` is the working directory, which `dir` changes: names after it are relative to the new one.
    """

    def __init__(self, files: Files, cwd: str) -> None:
        self.folder = cwd
        self.problems: list[str] = []
        self._files = files
        self._settings: dict[str, tuple[str, ...]] = {}
        self._open: list[str] = []

    def read_file(self, path: str) -> None:
        """Take up the settings of one file."""
        if path in self._open:
            self.problems.append(f"{path} includes itself; remove that line")
            return
        try:
            text = self._files.read(path)
        except OSError as error:
            self.problems.append(f"cannot read {path}: {error.strerror}; name a file that redis can read")
            return
        self._open.append(path)
        for number, line in enumerate(text.split("\n"), 1):
            stripped = line.strip(" \t\r\n")
            if not stripped or stripped.startswith("#"):
                continue
            try:
                self._add(split(stripped))
            except ValueError:
                self.problems.append(f"line {number} of {path} has unbalanced quotes; close or remove them")
        self._open.pop()

    def read_arguments(self, arguments: Sequence[str]) -> None:
        """Take up the command line: --NAME VALUE ..., which Redis appends to its configuration."""
        lines: list[list[str]] = []
        for argument in arguments:
            if argument.startswith("--"):
                lines.append(argument.removeprefix("--").split())
            elif lines:
                lines[-1].append(argument)
        for words in lines:
            self._add(words)

    def words(self, name: str, default: str = "") -> tuple[str, ...]:
        """The words of a setting, each of them; `default` is split at blanks."""
        words = self._settings.get(name, tuple(default.split()))
        # Redis 7 takes `bind "127.0.0.1 ::1"` for two.
        return tuple(words[0].split()) if len(words) == 1 else words

    def word(self, name: str, default: str = "") -> str:
        """The one word of a setting."""
        return " ".join(self._settings.get(name, (default,)))

    def _add(self, words: Sequence[str]) -> None:
        if not words:
            return
        name, *values = words
        name = name.lower()
        if name == "include" and values:
            self._include(posixpath.join(self.folder, values[0]))
            return
        if name == "dir" and values:
            self.folder = posixpath.normpath(posixpath.join(self.folder, values[0]))
        self._settings[name] = tuple(values)

    def _include(self, pattern: str) -> None:
        # Since 7.0; a pattern that nothing matches is no error, a missing file is.
        is_glob = any(wildcard in pattern for wildcard in "*?[")
        for path in self._files.glob(pattern) if is_glob else [pattern]:
            self.read_file(path)


def split(line: str) -> list[str]:
    """The words of a line, unquoted. Raises ValueError when its quotes do not balance."""
    words: list[str] = []
    position = 0
    while line[position:].strip():
        found = _WORD.match(line, position)
        if found is None:
            raise ValueError("unbalanced quotes")
        double = _ESCAPE.sub(_unescaped, found["double"] or "")
        words.append(found["bare"] + double + (found["single"] or "").replace("\\'", "'"))
        position = found.end()
    return words


def _unescaped(escape: re.Match[str]) -> str:
    return (
        chr(int(escape["code"], 16)) if escape["code"] else _CONTROL.get(escape["letter"], escape["letter"])
    )
