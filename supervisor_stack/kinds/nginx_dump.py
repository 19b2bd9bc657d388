"""What `nginx -TV` tells: the files that nginx reads, where it listens, where it logs, its pid file.

The dump has each file once, under a line that names it, in the order of the first reading; so the
includes have to be followed here to see which `listen` is whose. Nothing is looked up on the disk.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Iterable, Iterator

from supervisor_stack.kinds.base import Files
from supervisor_stack.kinds.nginx_build import Build, built
from supervisor_stack.kinds.nginx_listen import REUSEPORT, Listener, listeners, obstacle
from supervisor_stack.kinds.nginx_syntax import Directive, parse
from supervisor_stack.spec import Address, CheckReport, Spec

_HEADER = re.compile(r"^# configuration file (.+):\n", re.MULTILINE)

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

    `prefix`: what -p says. `directives`: what -g says. `cwd`: where nginx is started. `default_port`: the
    port of a server block that names none. `hold`: the sockets to hold; None means as many as can be.
    """

    prefix: str = ""
    directives: str = ""
    cwd: str = "/"
    default_port: int = 80
    hold: tuple[Address, ...] | None = None

    def __call__(self, dump: str, told: str = "") -> CheckReport:
        """The report; an empty one for text that is no dump. `told`: what -V adds, on stderr."""
        texts = split(dump)
        if not texts:
            return CheckReport()
        build = built(told, self.cwd)
        prefix = self.prefix or build.prefix
        tree = _Tree(texts)
        top = tuple(tree.expanded(tree.parsed(tree.main)))
        certificates = (posixpath.join(tree.folder, path) for path in _certificates(top))
        sockets = listeners(top, self.cwd, self.default_port)
        errors = _distinct(_logs(top, "error_log", prefix))
        accesses = _distinct(_logs(top, "access_log", prefix))
        return CheckReport(
            files=_distinct((*texts, *certificates)),
            globs=_distinct(tree.globs),
            addresses=tuple(each.address for each in sockets),
            hold=tuple(each.address for each in sockets if not each.obstacle and self._is_wanted(each)),
            logs=tuple(log for log in errors if log not in accesses),
            access_logs=accesses,
            problems=_distinct(self._problems(tree, sockets)),
            pid_file=self._pid_file(top, build, prefix),
        )

    def _is_wanted(self, socket: Listener) -> bool:
        return self.hold is None or any(_is_same(socket.address, address) for address in self.hold)

    def _problems(self, tree: _Tree, sockets: Iterable[Listener]) -> Iterator[str]:
        """What is to be held and cannot be."""
        if self.hold is None:
            for path in tree.files:
                for listen in _everywhere(tree.parsed(path)):
                    if listen.name == "listen" and obstacle(listen) == REUSEPORT:
                        yield (
                            f"the socket of `listen {' '.join(listen.args)}` in {path} cannot be held: "
                            f"{REUSEPORT}; remove reuseport, or write hold = []"
                        )
        for address in self.hold or ():
            found = next((each for each in sockets if _is_same(each.address, address)), None)
            if found is None:
                yield f"hold names {address}, where nginx does not listen; remove it there"
            elif found.obstacle:
                yield f"hold names {address}, which cannot be held: {found.obstacle}; remove it there"

    def _pid_file(self, top: Iterable[Directive], build: Build, prefix: str) -> str:
        """What -g or the files say, else what is compiled in; nginx takes no second `pid`."""
        written = (*_parsed(self.directives), *top)
        named = next((each.args[0] for each in written if each.name == "pid" and each.args), build.pid_path)
        return _below(prefix, named)


class _Tree:
    """The files of a dump, put together as nginx reads them."""

    def __init__(self, texts: dict[str, str]) -> None:
        self.main = next(iter(texts))
        self.files = tuple(texts)
        # With -c, relative names are relative to the folder of that file, whatever -p says.
        self.folder = posixpath.dirname(self.main)
        self.globs: list[str] = []
        self._texts = texts
        self._parsed: dict[str, tuple[Directive, ...]] = {}

    def parsed(self, path: str) -> tuple[Directive, ...]:
        """The directives of one file; none of one in the syntax of some module, which is watched too."""
        if path not in self._parsed:
            self._parsed[path] = _parsed(self._texts[path])
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
        if not _is_pattern(pattern):
            return [pattern] if pattern in self._texts else []
        self.globs.append(pattern)
        return sorted(path for path in self._texts if matches(path, pattern))


def assembled(files: Files, main: str) -> str:
    """A dump without nginx, of the files that can be read."""
    texts: dict[str, str] = {}
    waiting = [main]
    while waiting:
        path = waiting.pop(0)
        if path in texts:
            continue
        try:
            texts[path] = files.read(path)
            directives = parse(texts[path])
        except (OSError, ValueError):
            continue  # nginx says what is wrong with it, when it is asked
        for each in _everywhere(directives):
            if each.name == "include" and each.args:
                pattern = posixpath.join(posixpath.dirname(main), each.args[0])
                waiting += files.glob(pattern) if _is_pattern(pattern) else [pattern]
    return "".join(f"# configuration file {path}:\n{text}\n" for path, text in texts.items())


def _is_pattern(path: str) -> bool:
    return any(wildcard in path for wildcard in "*?[")


def split(dump: str) -> dict[str, str]:
    """The text of each file of a dump by its path, the main file first."""
    _, *parts = _HEADER.split(dump)
    texts: dict[str, str] = {}
    for path, text in zip(parts[::2], parts[1::2], strict=True):
        texts.setdefault(path, text)
    return texts


def matches(path: str, pattern: str) -> bool:
    """As glob(3): no wildcard matches a slash, nor a dot that begins a name."""
    names, patterns = path.split("/"), pattern.split("/")
    return len(names) == len(patterns) and all(
        fnmatch.fnmatchcase(name, wanted) and (not name.startswith(".") or wanted.startswith("."))
        for name, wanted in zip(names, patterns, strict=True)
    )


def _logs(top: Iterable[Directive], name: str, prefix: str) -> Iterator[str]:
    for directive in _everywhere(top):
        if directive.name != name or not directive.args:
            continue
        path = directive.args[0]
        if path in ("off", "stderr") or path.startswith(_NO_LOG_FILES) or "$" in path:
            continue
        if log := _below(prefix, path):
            yield log


def _below(prefix: str, path: str) -> str:
    """Logs and the pid file are relative to the prefix, unlike certificates and includes
    (ngx_conf_full_name()). Empty where it is unknown: nginx has not been asked yet."""
    return posixpath.join(prefix, path) if path.startswith("/") or (path and prefix) else ""


def _parsed(text: str) -> tuple[Directive, ...]:
    try:
        return parse(text)
    except ValueError:
        return ()


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


def _is_same(one: Address, other: Address) -> bool:
    """Whether two addresses are one to bind(2), whatever the socket takes beside."""
    return (one.host, one.port, one.path) == (other.host, other.port, other.path)


def _distinct(items: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(items))
