"""nginx.conf with what it includes, as one file that may lie anywhere. Follows nginx 1.22.1."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator

from supervisor_stack.kinds.fold.base import Fold, FoldError, Source, read
from supervisor_stack.kinds.fold.nginx_text import Statement, statements_of, value, written

# Names of files that are relative to the folder of the file that -c names, which is not that of the copy:
# what calls ngx_conf_full_name(..., 1) in nginx 1.22 to 1.31 and in njs, under all its prefixes (proxy_,
# grpc_, lua_ ...). Everything else is relative to the prefix of nginx, or to its working directory.
_NAMES_A_FILE = re.compile(
    r"(?:\w+_)?ssl_(?:certificate(?:_key)?|client_certificate|trusted_certificate|crl|dhparam|password_file"
    r"|session_ticket_key|stapling_file|ech_file)|auth_basic_user_file|quic_host_key|js_path"
)
_OPENSSL_COMMAND = re.compile(r"(?:\w+_)?ssl_conf_command")
# SSL_CONF_cmd(3), whose names are not case-sensitive: those whose value is a file or a folder.
_OPENSSL_FILES = frozenset({
    "certificate", "privatekey", "serverinfofile", "dhparameters", "chaincafile", "chaincapath",
    "requestcafile", "requestcapath", "clientcafile", "clientcapath", "verifycafile", "verifycapath",
})  # fmt: skip
_NO_FILES = ("data:", "engine:", "store:")
# In these a line is an entry of a table, and its first word no directive.
_TABLES = ("map", "geo", "types", "split_clients", "charset_map")


def fold(config: str, source: Source, _cwd: str) -> str:
    """The directives of the file, with those of each file that it includes in the place of the include."""
    folding = _Folding(source, posixpath.dirname(config))
    return written(folding.within_folder(folding.expanded(config, ())))


class _Folding:
    """`folder` is that of the main file: all names are relative to it, also in files from elsewhere."""

    def __init__(self, source: Source, folder: str) -> None:
        self._source = source
        self._folder = folder
        self._read: dict[str, list[Statement]] = {}

    def expanded(self, path: str, parents: tuple[str, ...]) -> Iterator[Statement]:
        if path in parents:
            raise FoldError(f"{path} includes itself")
        if path not in self._read:
            self._read[path] = statements_of(path, read(self._source, path))
        yield from self._without_includes(self._read[path], (*parents, path))

    def _without_includes(
        self, statements: Iterable[Statement], parents: tuple[str, ...]
    ) -> Iterator[Statement]:
        for statement in statements:
            if statement["directive"] == "include" and len(statement["args"]) == 1:
                for path in self._included(value(statement["args"][0])):
                    yield from self.expanded(path, parents)
            elif "block" in statement:
                yield statement | {"block": list(self._without_includes(statement["block"], parents))}
            else:
                yield statement

    def _included(self, name: str) -> list[str]:
        pattern = posixpath.join(self._folder, name)
        return self._source.glob(pattern) if any(mark in pattern for mark in "*?[") else [pattern]

    def within_folder(self, statements: Iterable[Statement]) -> list[Statement]:
        """The directives with absolute names where names are relative to the folder."""
        return [self._absolute(statement) for statement in statements]

    def _absolute(self, statement: Statement) -> Statement:
        name, args = statement["directive"], statement["args"]
        if name in _TABLES:
            return statement
        if "block" in statement:
            return statement | {"block": self.within_folder(statement["block"])}
        if _NAMES_A_FILE.fullmatch(name) or (
            _OPENSSL_COMMAND.fullmatch(name) and args and value(args[0]).lower() in _OPENSSL_FILES
        ):
            return statement | {"args": [*args[:-1], *(self._place(name, arg) for arg in args[-1:])]}
        return statement

    def _place(self, name: str, arg: str) -> str:
        if arg.startswith(("/", *_NO_FILES)):
            return arg
        if arg.startswith("$"):
            raise FoldError(f"{name} {arg} names a file by a variable, which may be relative or not")
        if "$" in self._folder:
            raise FoldError(f"the $ in {self._folder} would begin a variable in {name}")
        return posixpath.join(self._folder.replace("\\", "\\\\"), arg)


FOLD = Fold(fold=fold, dumped=True)
