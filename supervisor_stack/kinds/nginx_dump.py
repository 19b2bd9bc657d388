"""What `nginx -T` tells: the files that nginx reads, where it listens, where it logs.

The dump has each file once, under a line that names it, in the order of the first reading; so the
includes have to be followed here to see which `listen` is whose. Nothing is looked up on the disk.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Iterable, Iterator

from supervisor_stack.kinds.listen import endpoint, tcp
from supervisor_stack.kinds.nginx_syntax import Directive, parse
from supervisor_stack.spec import Address, CheckReport, Spec

_HEADER = re.compile(r"^# configuration file (.+):\n", re.MULTILINE)
_PORTS = re.compile(r"(?P<host>.*:)?(?P<first>\d+)(?:-(?P<last>\d+))?")

# Read when the configuration is loaded, so that a change takes effect at a reload. auth_basic_user_file
# is not among them: nginx reads that one at each request (ngx_http_auth_basic_module.html).
_LOADED = frozenset({
    "ssl_certificate", "ssl_certificate_key", "ssl_trusted_certificate", "ssl_client_certificate",
    "ssl_crl", "ssl_dhparam", "ssl_password_file", "ssl_session_ticket_key", "ssl_stapling_file",
})  # fmt: skip
_TOWARDS_BACKENDS = ("proxy_", "uwsgi_", "grpc_")

# Not the names of files: nginx_http_log_module and ngx_core_module (error_log) take these as well.
_NO_LOG_FILES = ("syslog:", "memory:", "/dev/")


class DumpReader(Spec, frozen=True, kw_only=True):
    """Reads a dump; compares by value, as the spec that holds it has to.

    `prefix`: nginx's prefix where it is known. `cwd`: where nginx is started. `default_port`: the port
    of a server block that names none.
    """

    prefix: str = ""
    cwd: str = "/"
    default_port: int = 80

    def __call__(self, dump: str) -> CheckReport:
        """The report; an empty one for text that is no dump."""
        texts = split(dump)
        if not texts:
            return CheckReport()
        tree = _Tree(texts)
        top = tuple(tree.expanded(tree.parsed(tree.main)))
        certificates = (posixpath.join(tree.folder, path) for path in _certificates(top))
        return CheckReport(
            files=_distinct((*texts, *certificates)),
            globs=_distinct(tree.globs),
            addresses=self._addresses(top),
            logs=_distinct(self._logs(top)),
        )

    def _addresses(self, top: Iterable[Directive]) -> tuple[Address, ...]:
        """The addresses of plain HTTP first: the ready probe asks the first one."""
        found: dict[Address, bool] = {}
        for section in top:
            if section.name in ("http", "stream", "mail"):
                for address, plain in self._listens(section):
                    # One listen with `ssl` makes the address speak TLS for all who share it.
                    found[address] = plain and section.name == "http" and found.get(address, True)
        return tuple(sorted(found, key=lambda address: not found[address]))

    def _listens(self, section: Directive) -> Iterator[tuple[Address, bool]]:
        """Each listening address, and whether its clients speak neither TLS nor the PROXY protocol."""
        outer_tls = _is_on(section.block, "ssl")
        for server in section.block or ():
            if server.name != "server" or server.block is None:
                continue
            tls = outer_tls or _is_on(server.block, "ssl")
            listens = [inner.args for inner in server.block if inner.name == "listen" and inner.args]
            if not listens and section.name == "http":
                listens = [(str(self.default_port),)]
            for where, *options in listens:
                if "udp" not in options and "quic" not in options:
                    plain = not tls and "ssl" not in options and "proxy_protocol" not in options
                    yield from ((address, plain) for address in self._places(where))

    def _places(self, where: str) -> Iterator[Address]:
        if where.startswith("unix:"):
            # Not against the prefix, as other paths: nginx hands it to bind(2) as it is written.
            yield Address(path=posixpath.join(self.cwd, where.removeprefix("unix:")))
        elif where.startswith("[") and where.endswith("]"):
            yield tcp(where.strip("[]"), 80)
        elif ports := _PORTS.fullmatch(where):
            for port in range(int(ports["first"]), int(ports["last"] or ports["first"]) + 1):
                if address := endpoint(f"{ports['host'] or ':'}{port}"):
                    yield address
        elif address := endpoint(where, 80):
            yield address

    def _logs(self, top: Iterable[Directive]) -> Iterator[str]:
        for directive in _everywhere(top):
            if directive.name not in ("access_log", "error_log") or not directive.args:
                continue
            path = directive.args[0]
            if path in ("off", "stderr") or path.startswith(_NO_LOG_FILES) or "$" in path:
                continue
            # Unlike certificates and includes, logs are relative to the prefix (ngx_conf_open_file),
            # which is compiled in unless -p gives it.
            if path.startswith("/") or self.prefix:
                yield posixpath.join(self.prefix, path)


class _Tree:
    """The files of a dump, put together as nginx reads them."""

    def __init__(self, texts: dict[str, str]) -> None:
        self.main = next(iter(texts))
        # With -c, relative names are relative to the folder of that file, whatever -p says.
        self.folder = posixpath.dirname(self.main)
        self.globs: list[str] = []
        self._texts = texts
        self._parsed: dict[str, tuple[Directive, ...]] = {}

    def parsed(self, path: str) -> tuple[Directive, ...]:
        """The directives of one file; none of one in the syntax of some module, which is watched too."""
        if path not in self._parsed:
            try:
                self._parsed[path] = parse(self._texts[path])
            except ValueError:
                self._parsed[path] = ()
        return self._parsed[path]

    def expanded(
        self, directives: Iterable[Directive], parents: frozenset[str] = frozenset()
    ) -> Iterator[Directive]:
        """The directives, with those of the included files in the place of each include."""
        for directive in directives:
            if directive.name == "include" and directive.args:
                for path in self._included(posixpath.join(self.folder, directive.args[0])):
                    if path not in parents:
                        yield from self.expanded(self.parsed(path), parents | {path})
            elif directive.block is None:
                yield directive
            else:
                block = tuple(self.expanded(directive.block, parents))
                yield Directive(directive.name, directive.args, block)

    def _included(self, pattern: str) -> list[str]:
        if not any(wildcard in pattern for wildcard in "*?["):
            return [pattern] if pattern in self._texts else []
        self.globs.append(pattern)
        return sorted(path for path in self._texts if _matches(path, pattern))


def split(dump: str) -> dict[str, str]:
    """The text of each file of a dump by its path, the main file first."""
    _, *parts = _HEADER.split(dump)
    texts: dict[str, str] = {}
    for path, text in zip(parts[::2], parts[1::2], strict=True):
        texts.setdefault(path, text)
    return texts


def _matches(path: str, pattern: str) -> bool:
    """As glob(3): no wildcard matches a slash, nor a dot that begins a name."""
    names, patterns = path.split("/"), pattern.split("/")
    return len(names) == len(patterns) and all(
        fnmatch.fnmatchcase(name, wanted) and (not name.startswith(".") or wanted.startswith("."))
        for name, wanted in zip(names, patterns, strict=True)
    )


def _everywhere(directives: Iterable[Directive]) -> Iterator[Directive]:
    for directive in directives:
        yield directive
        yield from _everywhere(directive.block or ())


def _certificates(top: Iterable[Directive]) -> Iterator[str]:
    for directive in _everywhere(top):
        name = directive.name
        for direction in _TOWARDS_BACKENDS:
            name = name.removeprefix(direction)
        if name in _LOADED and directive.args:
            path = directive.args[0]
            # With a variable it is loaded at each handshake; data: and engine: are no files.
            if "$" not in path and not path.startswith(("data:", "engine:", "store:")):
                yield path


def _is_on(block: Iterable[Directive] | None, name: str) -> bool:
    """`ssl on;`, the older way to say that all listens of a server speak TLS (gone in 1.25.1)."""
    return any(inner.name == name and inner.args == ("on",) for inner in block or ())


def _distinct(items: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(items))
