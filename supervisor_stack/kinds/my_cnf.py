"""Option files of MariaDB and MySQL: text to options in the order in which the server meets them.

It follows search_default_file_with_ext() of mysys/my_default.c (MariaDB 10.11; compared with
`mariadbd --print-defaults`).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence

from supervisor_stack.kinds.base import Files

# What `mariadbd --help` tells of the groups that it reads. The version is not known here, so the groups
# of every version count; mysqld_safe and mysqld_multi have their own.
_SERVER_GROUP = re.compile(r"server|client-server|galera|(?:mysqld|mariadbd?)(?:-\d+(?:\.\d+)*)?")

_INCLUDE = re.compile(r"!\s*(?P<kind>includedir|include)\s+(?P<path>.*\S)")
_COMMENT = re.compile(r"""(?P<kept>(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[^"'#])*)\#.*""")
_ESCAPE = re.compile(r"""\\([ntrbs"'\\])""")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "s": " "}

_DEEPEST = 10


class CnfReader:
    """Collects the options of a server: the file, what it includes, then the command line."""

    def __init__(self, files: Files, cwd: str) -> None:
        self.problems: list[str] = []
        self._files = files
        self._cwd = cwd
        self._options: dict[str, str] = {}

    def read_file(self, path: str, depth: int = 0) -> None:
        """Take up the options that the server reads from one file."""
        try:
            text = self._files.read(path)
        except OSError as error:
            # The server passes over an include that it cannot read.
            if depth == 0:
                self.problems.append(f"cannot read {path}: {error.strerror}; name a file that it can read")
            return
        group = ""
        for line in map(str.strip, text.split("\n")):
            if not line or line[0] in "#;":
                continue
            if include := _INCLUDE.fullmatch(line):
                self._include(include["kind"], posixpath.join(self._cwd, include["path"]), depth + 1)
            elif line.startswith("["):
                group = line[1:].partition("]")[0].strip()
            elif _SERVER_GROUP.fullmatch(group):
                self._add(*_option(line))

    def read_arguments(self, arguments: Sequence[str]) -> None:
        """Take up the command line: --NAME, --NAME=VALUE or --NAME VALUE."""
        for index, argument in enumerate(arguments):
            if argument.startswith("--"):
                name, equals, value = argument.removeprefix("--").partition("=")
                following = next(iter(arguments[index + 1 : index + 2]), "-")
                separate = None if following.startswith("-") else following
                self._add(name, value if equals else separate)

    def value(self, name: str, default: str = "") -> str:
        """The value of an option, the last one given."""
        return self._options.get(name, default)

    def is_on(self, name: str) -> bool:
        """Whether a switch is set, which it is without a value as well."""
        return self.value(name, "0").lower() not in ("0", "off", "false")

    def __contains__(self, name: str) -> bool:
        return name in self._options

    def _add(self, name: str, value: str | None) -> None:
        # - and _ are equal, and loose- only makes an unknown option a warning (mysys/my_getopt.c).
        self._options[name.replace("_", "-").removeprefix("loose-")] = "" if value is None else value

    def _include(self, kind: str, path: str, depth: int) -> None:
        if depth > _DEEPEST:
            return
        for each in self._files.glob(posixpath.join(path, "*.cnf")) if kind == "includedir" else [path]:
            self.read_file(each, depth)


def _option(line: str) -> tuple[str, str | None]:
    """NAME, or NAME = VALUE with escapes, quotes around it all, and a comment behind."""
    if comment := _COMMENT.fullmatch(line):
        line = comment["kept"]
    name, equals, value = line.partition("=")
    if not equals:
        return name.strip(), None
    value = value.strip()
    if len(value) > 1 and value[0] in "\"'" and value[0] == value[-1]:
        value = value[1:-1]
    return name.strip(), _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), value)
