"""uWSGI's ini file with what it includes, as one file with one section [uwsgi].

It follows core/ini.c, core/config.c, core/uwsgi.c and core/utils.c (2.0.30) to the letter, as the copy has
to mean what the files mean. What the place of a file decides (`%d`, `%p` and their like) is written
out; logic (`if-env`, `for`) and references stay, as uWSGI decides them at each start.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping

from supervisor_stack.kinds.fold.base import Answer, Fold, FoldError, Source, read

_SECTION = "uwsgi"

# Taken up where they stand. `include` takes an ini file by the end of its name, `ini` any (uwsgi_opt_load()).
_INCLUDES = ("ini", "include")
# Of these, `inherit` is taken up behind everything else, the command line too; the others are other formats.
_OTHER_INCLUDES = frozenset({
    "inherit", "config", "xml", "xmlconfig", "yaml", "yml", "json", "js", "inject-before", "inject-after",
})  # fmt: skip

_LOGIC = re.compile(r"if-.+|if(?:env|exists|plugin|dir)|for(?:-glob|-times|-readline)?")
_END_OF_LOGIC = ("end", "endif", "end-if", "endfor", "end-for")

_MAGIC = re.compile(r"%(.?)", re.DOTALL)
# What stays as it is: the same for every file, or what only another version may know. All else that follows
# a % is nothing, with the % (init_magic_table()), also the end of a line.
_ELSEWHERE = re.compile(r"[A-Za-z%(\[]")
_INODE_OR_HASH = "iIjJ"

_DEEPEST = 16

# What a start does before it can be told to leave, or when it leaves.
_ACTS = re.compile(
    r"\b(?:(?:hook|exec|call|u?mount)-asap|(?:hook|exec|call)-as-user-atexit|legion[\w-]*|fallback-config)\b"
)
_KEY = re.compile(r"^([\w-]+)", re.MULTILINE)


def fold(config: str, source: Source, cwd: str) -> str:
    """The options of the section [uwsgi] and of what it includes, in the order in which uWSGI meets them."""
    lines = list(_Folding(source, cwd).lines(config, ()))
    if not lines:
        raise FoldError(f"{config} has no section [{_SECTION}]; only ini files are folded")
    return "".join(f"{line}\n" for line in (f"[{_SECTION}]", *lines))


class _Folding:
    """`_last` and `_magic` belong to the file that was opened last, as in uWSGI, where they are global."""

    def __init__(self, source: Source, cwd: str) -> None:
        self._source = source
        self._cwd = source.real(cwd)  # getcwd(3)
        self._last = ""
        self._magic: dict[str, str] = {}
        self._in_logic = False

    def lines(self, name: str, parents: tuple[str, ...]) -> Iterator[str]:
        """The lines of one section: `name` is FILE, FILE:SECTION, or :SECTION for the last file."""
        if len(parents) > _DEEPEST:
            raise FoldError(f"{parents[0]} includes itself")
        path, colon, section = name.rpartition(":") if ":" in name else (name, "", "")
        if path or not colon:
            self._last = path
            self._magic = self._known_of(path)
        self._magic["x"] = section
        text = read(self._source, posixpath.join(self._cwd, self._last))
        current = ""
        for line in _written_out(text, self._magic).split("\n"):
            stripped = line.strip(" \t\r")
            if stripped.startswith("["):
                current = _plain(stripped[1:-1])
            elif stripped and stripped[0] not in ";#" and current == (section or _SECTION):
                yield from self._option(stripped, (*parents, name))

    def _option(self, line: str, parents: tuple[str, ...]) -> Iterator[str]:
        key, _, value = line.partition("=")
        key, value = key.rstrip(" \t\r"), value.lstrip(" \t\r")
        if key in _OTHER_INCLUDES:
            raise FoldError(f"{line!r} cannot be folded in; only `ini` and `include` of ini files can")
        if key in _INCLUDES:
            yield from self._included(key, _plain(value), line, parents)
            return
        if key in _END_OF_LOGIC:
            self._in_logic = False
        elif _LOGIC.fullmatch(key):
            self._in_logic = True
        if any(found[1] in _INODE_OR_HASH for found in _MAGIC.finditer(line) if found[1]):
            raise FoldError(f"{line!r} has a number of the file itself, which is another for a copy")
        yield line

    def _included(self, key: str, name: str, line: str, parents: tuple[str, ...]) -> Iterator[str]:
        if self._in_logic:
            raise FoldError(f"{line!r} depends on logic, which is decided at each start")
        if "://" in name or name in ("", "-") or (key == "include" and not name.endswith(".ini")):
            raise FoldError(f"{line!r} names no ini file")
        yield from self.lines(name, parents)

    def _known_of(self, path: str) -> dict[str, str]:
        """The magic variables that the place of a file decides (config_magic_table_fill())."""
        absolute = posixpath.join(self._cwd, path)
        folder, name = posixpath.split(absolute)
        place = self._source.real(folder)
        # A link is not followed, and with it nothing on the way there.
        if posixpath.join(place, name) == self._source.real(absolute):
            folder = place
        stem, dot, extension = name.rpartition(".")
        known = {
            # As it was written; the others of the file that it leads to.
            "o": path,
            "p": posixpath.join(folder, name),
            "d": folder.rstrip("/") + "/",
            "s": name,
            "n": stem if dot else name,
            "e": extension if dot else "",
            "c": posixpath.basename(folder),
            "x": "",
        }
        # In capitals they are those of the first file.
        capitals = {letter: value for letter, value in self._magic.items() if letter.isupper()}
        capitals = capitals or {letter.upper(): value for letter, value in known.items()}
        parts = folder.strip("/").split("/")
        numbered = {str(depth): "".join(parts[depth : depth + 1]) for depth in range(10)}
        return known | capitals | numbered | {"v": self._cwd}


def _written_out(text: str, known: Mapping[str, str]) -> str:
    """The text in which uWSGI, wherever it lies, sees what it sees in the original."""

    def written_out(found: re.Match[str]) -> str:
        letter = found[1]
        if letter in known:
            return known[letter].replace("%", "%%")
        return found[0] if _ELSEWHERE.match(letter) else ""

    return _MAGIC.sub(written_out, text)


def _plain(text: str) -> str:
    """A name that has to be known now."""
    if "%" in text.replace("%%", ""):
        raise FoldError(f"{text!r} is known only to uWSGI itself")
    return text.replace("%%", "%")


def question(argv: tuple[str, ...], text: str) -> tuple[str, ...]:
    """Arguments with which uWSGI prints the value of each option and leaves (uwsgi_setup()).

    Raises FoldError where even that would do something: hooks run before it, or at exit.
    """
    if found := _ACTS.search("\n".join((text, *argv))):
        raise FoldError(f"{found[0]} would act at a start that is to test the copy")
    keys = dict.fromkeys(_KEY.findall(text))
    # `vacuum` would remove the pid file and the sockets of the instance that runs (vacuum() at exit; tried).
    # uWSGI wants an option to be asked for, and prints nothing of one that it does not have.
    return ("--set", "vacuum=false", *(word for key in keys or ("socket",) for word in ("--get", key)))


def objection(copy: Answer, original: Answer) -> str:
    """What differs between the copy and the original, as uWSGI reads them."""
    if copy.code:
        return f"uWSGI does not start on the copy (exit status {copy.code})"
    if original.code:
        return f"uWSGI does not start on the files (exit status {original.code})"
    return "" if copy.out == original.out else "uWSGI reads other options from the copy than from the files"


FOLD = Fold(fold=fold, question=question, objection=objection)
