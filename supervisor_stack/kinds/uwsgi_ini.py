"""uWSGI's ini files: text to options in the order in which uWSGI meets them.

It follows core/ini.c, core/config.c and core/utils.c (2.0.30). The syntax is uWSGI's own, not that of
configparser: a key may come twice, nothing but a whole line is a comment, and there are no quotes.
What cannot be known here (an option within `if-env` or `for`, a host name in %h) is left out, never guessed,
and it is known that it was.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence

from supervisor_stack.kinds.base import Files

Option = tuple[str, str]

_INCLUDES = ("ini", "include", "inherit", "config")
_SET = ("set", "set-ph", "set-placeholder")
_END_OF_LOGIC = ("end", "endif", "end-if", "endfor", "end-for")
_SHORT = {"s": "socket", "M": "master"}

_LOGIC = re.compile(r"if-.+|if(?:env|exists|plugin|dir)|for(?:-glob|-times|-readline)?")

# What uwsgi_opt_true() takes for no.
_OFF = ("", "false", "off", "no", "0")

_MAGIC = re.compile(r"%(.)", re.DOTALL)
_REFERENCE = re.compile(r"(?P<sign>[$%])\((?P<name>[^()]*)\)")
_UNRESOLVED = re.compile(r"[$%@]\(|%\w")


class Options:
    """The options of an instance in the order in which uWSGI meets them.

    `hidden`: the names of those that are there, perhaps, with a value that cannot be known here. One that
    includes a file may hide any other.
    """

    def __init__(self, options: Sequence[Option], hidden: frozenset[str] = frozenset()) -> None:
        self._options = tuple(options)
        self.hidden = hidden

    def __iter__(self) -> Iterator[Option]:
        return iter(self._options)

    def values(self, *keys: str) -> tuple[str, ...]:
        """What was given for an option with these names."""
        return tuple(value for key, value in self._options if key in keys)

    def last(self, *keys: str) -> str:
        """The value of an option that can be set once: the last one wins. Empty when there is none."""
        return next(reversed(self.values(*keys)), "")

    def is_on(self, key: str) -> bool:
        """The value of a switch."""
        return self.last(key).lower() not in _OFF

    def may_hide(self, *keys: str) -> bool:
        """Whether one of these options may be there without that it is known here."""
        return not self.hidden.isdisjoint((*keys, *_INCLUDES))


class IniReader:
    """Collects the options of a uWSGI instance: files, what they include, then the command line."""

    def __init__(self, files: Files, cwd: str, env: Mapping[str, str]) -> None:
        self.problems: list[str] = []
        self._files = files
        self._cwd = cwd
        self._env = env
        self._options: list[Option] = []
        self._hidden: set[str] = set()
        self._in_logic = False
        self._open: list[str] = []

    def read_file(self, path: str, section: str = "uwsgi") -> None:
        """Take up the options of one section of a file."""
        place = f"{path}:{section}"
        if place in self._open:
            self.problems.append(f"{path} includes itself; remove that line")
            return
        self._open.append(place)
        try:
            text = self._files.read(path)
        except OSError as error:
            self.problems.append(f"cannot read {path}: {error.strerror}; name a file that uWSGI can read")
            text = ""
        current = ""
        for line in _with_magic(text, path, self._cwd).splitlines():
            stripped = line.strip(" \t\r")
            if stripped.startswith("["):
                current = stripped[1:-1]
            elif stripped and stripped[0] not in ";#" and current == section:
                key, equals, value = stripped.partition("=")
                self._add(key.rstrip(" \t"), value.lstrip(" \t") if equals else "true", path)
        self._open.pop()

    def read_arguments(self, arguments: Sequence[str]) -> None:
        """Take up the command line, as far as its options are of the form --KEY VALUE or --KEY=VALUE."""
        for key, value in _from_command_line(arguments):
            self._add(key, value, "")

    def options(self) -> Options:
        """All options, with $(VARIABLE) and %(option) replaced; those that stay unknown left out."""
        options = self._options.copy()
        for index, (key, value) in enumerate(options):
            # In this order, and a reference takes the first option of that name: uwsgi_setup().
            options[index] = key, _REFERENCE.sub(lambda found: self._referenced(found, options), value)
        known = [(key, value) for key, value in options if not _UNRESOLVED.search(value)]
        unknown = (key for key, value in options if _UNRESOLVED.search(value))
        return Options(known, frozenset(self._hidden.union(unknown)))

    def _add(self, key: str, value: str, path: str) -> None:
        if key in _END_OF_LOGIC:
            self._in_logic = False
        elif _LOGIC.fullmatch(key):
            self._in_logic = True
        elif self._in_logic:
            self._hidden.add(key)
        elif key in _SET:
            name, _, setting = value.partition("=")
            self._options.append((name, setting))
        elif key in _INCLUDES:
            self._include(key, value, path)
        else:
            self._options.append((key, value))

    def _include(self, key: str, value: str, path: str) -> None:
        name, _, section = value.partition(":")
        if not name:
            self.read_file(path, section or "uwsgi")  # ini = :OTHER, a section of the same file
        elif key == "ini" or name.endswith(".ini"):
            # Before `chdir` has any effect: relative to where uWSGI is started.
            self.read_file(posixpath.join(self._cwd, name), section or "uwsgi")
        else:
            self._hidden.add(key)

    def _referenced(self, found: re.Match[str], options: Sequence[Option]) -> str:
        if found["sign"] == "$":
            return self._env.get(found["name"], found[0])
        return next((value for key, value in options if key == found["name"]), found[0])


def _with_magic(text: str, path: str, cwd: str) -> str:
    """The text with uWSGI's magic variables replaced, in the whole file, comments too."""
    folder, name = posixpath.split(path)
    stem, dot, extension = name.rpartition(".")
    known = {
        "%": "%",
        "p": path,
        "o": path,
        "d": folder.rstrip("/") + "/",
        "s": name,
        "n": stem if dot else name,
        "e": extension if dot else "",
        "c": posixpath.basename(folder),
        "v": cwd,
    }
    known |= {str(depth): part for depth, part in enumerate(folder.strip("/").split("/")[:10])}
    return _MAGIC.sub(lambda found: known.get(found[1], found[0]), text)


def _from_command_line(arguments: Sequence[str]) -> Iterator[Option]:
    """getopt_long(3): --KEY VALUE, --KEY=VALUE, -s VALUE."""
    for index, argument in enumerate(arguments):
        if not argument.startswith("-"):
            continue
        following = next(iter(arguments[index + 1 : index + 2]), "-")
        default = "true" if following.startswith("-") else following
        if argument.startswith("--"):
            key, equals, value = argument.removeprefix("--").partition("=")
            yield key, value if equals else default
        elif argument[1:] in _SHORT:
            yield _SHORT[argument[1:]], default
