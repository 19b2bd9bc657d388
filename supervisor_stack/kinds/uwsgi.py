"""uWSGI: what stackd knows of it. Tried with the wheel pyuwsgi 2.0.30 and with uWSGI 2.0.31."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence

from supervisor_stack.kinds.base import Facts, Given, Kind
from supervisor_stack.kinds.listen import endpoint
from supervisor_stack.kinds.uwsgi_ini import IniReader, Option
from supervisor_stack.spec import Address, ProbeSpec, ProbeType, Reload

# uWSGI chooses the parser by the option. A file of any other name is an ini file to whoever writes --ini.
_PARSERS = {".yaml": "--yaml", ".yml": "--yaml", ".json": "--json", ".js": "--json", ".xml": "--xml"}

# What a client has to speak at the sockets of each option: None is a protocol that no probe knows.
# `http` is the router, a process of its own in front of the workers; it needs no other care here.
_SOCKETS: dict[str, ProbeType | None] = {
    "socket": "uwsgi",
    "uwsgi-socket": "uwsgi",
    "http-socket": "http",
    "http11-socket": "http",
    "http": "http",
    "httprouter": "http",
    "https-socket": None,
    "https": None,
    "http-to-https": "http",
    "suwsgi-socket": None,
    "ssl-socket": None,
    "puwsgi-socket": None,
    "fastcgi-socket": None,
    "scgi-socket": None,
    "raw-socket": None,
}
_PROTOCOLS: dict[str, ProbeType] = {"uwsgi": "uwsgi", "http": "http", "http11": "http"}

# [NAME ]file:PATH or [NAME ]file:logfile=PATH,maxsize=...
_LOGGERS = ("logger", "req-logger", "logger-req")
_FILE_LOGGER = re.compile(r"(?:\w+ )?file:(?:logfile=)?(?P<path>/[^,]+)")


def learn(given: Given) -> Facts:
    """How to run uWSGI, where it listens and what it speaks there."""
    parser = _PARSERS.get(posixpath.splitext(given.config)[1].lower(), "--ini")
    reader = IniReader(given.files, given.cwd, given.env)
    if parser == "--ini":
        reader.read_file(given.config)
    reader.read_arguments(given.args)
    options = reader.options()
    sockets = tuple(_sockets(options, given.cwd))
    ready = _probe(sockets)
    return Facts(
        argv=(
            given.binary,
            *_binary_path(given),
            parser,
            given.config,
            *_master(options),
            *given.args,
        ),
        addresses=tuple(dict.fromkeys(address for address, _ in sockets)),
        ready=ready,
        logs=tuple(dict.fromkeys(_logs(options, given.cwd))),
        problems=(*reader.problems, *_no_probe(given, parser, sockets, ready)),
    )


def _binary_path(given: Given) -> Iterator[str]:
    """uWSGI re-executes itself at a reload, and takes what it finds for its binary.

    Run by the script of the wheel pyuwsgi that is the interpreter outside of the virtualenv, and the
    instance ends with "No module named 'pyuwsgi'". A compiled uWSGI finds itself.
    """
    if interpreter := given.files.shebang(given.binary):
        yield from ("--binary-path", interpreter)


def _master(options: Sequence[Option]) -> Iterator[str]:
    """Without a master SIGHUP does not reload but ends uWSGI with status 17, and no worker is replaced."""
    if not _is_on(options, "master"):
        yield "--master"


def _sockets(options: Sequence[Option], cwd: str) -> Iterator[tuple[Address, ProbeType | None]]:
    """Each listening socket with what it speaks, in the order of the options."""
    # Sockets are bound after chdir() (uwsgi_setup()), so a relative path is relative to that folder.
    folder = posixpath.join(cwd, _last(options, "chdir"))
    default = _last(options, "protocol") or _last(options, "socket-protocol")
    for key, value in options:
        if key not in _SOCKETS:
            continue
        speaks = _PROTOCOLS.get(default) if key == "socket" and default else _SOCKETS[key]
        # ADDRESS,CERTIFICATE,KEY for TLS. Nothing else takes a list: `a:1,b:2` is one, wrong, address.
        name = value.partition(",")[0] if key.startswith(("https", "suwsgi", "ssl")) else value
        if address := _address(name.strip(), folder):
            yield address, speaks


def _address(name: str, folder: str) -> Address | None:
    """None for what no client can dial by name: fd://, an abstract socket, a shared one, a wildcard."""
    if not name or "*" in name or "://" in name or name.startswith(("@", "=")):
        return None
    # uwsgi_bind_sockets(): with a colon TCP, without one a path. `8001` alone makes a file of that name.
    return endpoint(name) if ":" in name else Address(path=posixpath.normpath(posixpath.join(folder, name)))


def _probe(sockets: Sequence[tuple[Address, ProbeType | None]]) -> ProbeSpec | None:
    """The uwsgi protocol first: that is the one by which the workers are asked, with no router between."""
    speaking: tuple[ProbeType, ...] = ("uwsgi", "http")
    for wanted in speaking:
        for address, speaks in sockets:
            if speaks == wanted:
                return ProbeSpec(type=wanted, address=address)
    return None


def _no_probe(
    given: Given,
    parser: str,
    sockets: Sequence[tuple[Address, ProbeType | None]],
    ready: ProbeSpec | None,
) -> Iterator[str]:
    """Why it cannot be known when uWSGI is ready."""
    if ready or given.has_ready:
        return
    cure = 'write ready = {type = "uwsgi", address = "127.0.0.1:8001"} with the address of its socket'
    if parser != "--ini":
        yield f"only ini files are read, so where {given.config} lets uWSGI listen is unknown; {cure}"
    elif sockets:
        yield f"no socket in {given.config} speaks uwsgi or HTTP; add one, or write ready = {{...}}"
    else:
        yield f"found no socket in section [uwsgi] of {given.config}; add one, or {cure}"


def _logs(options: Sequence[Option], cwd: str) -> Iterator[str]:
    """The files that uWSGI writes itself; everything else comes by stdout, see `env` below."""
    if _is_on(options, "log-reopen"):
        # Then a reload, which is what uWSGI takes each start for, opens them (uwsgi_setup_log()).
        names = (
            _last(options, "daemonize") or _last(options, "logto"),
            _last(options, "logto2"),
            _last(options, "daemonize2"),
        )
        # HOST:PORT there sends the log by UDP.
        yield from (posixpath.join(cwd, name) for name in names if name and ":" not in name)
    for key, value in options:
        if key in _LOGGERS and (found := _FILE_LOGGER.match(value)):
            yield found["path"]


def _is_on(options: Sequence[Option], key: str) -> bool:
    return _last(options, key).lower() not in ("", "false", "off", "no", "0")  # uwsgi_opt_true()


def _last(options: Sequence[Option], key: str) -> str:
    """The value of an option that can be set once: the last one wins."""
    return next((value for name, value in reversed(options) if name == key), "")


KIND = Kind(
    name="uwsgi",
    binaries=("uwsgi", "pyuwsgi"),
    learn=learn,
    # With it uWSGI takes its start for a reload, in which it never daemonizes: an ini with `daemonize`
    # stays in the foreground as it stands (uwsgi_setup_reload() in core/init.c; tried). In a reload it
    # also leaves alone what has been set up before: daemonize's file, `logto`, `logto2` and `pidfile`
    # are not written, the log goes to stdout.
    env={"UWSGI_RELOADS": "0"},
    # TERM reloads unless die-on-term is set, and then QUIT does (Management.rst). INT stops either way.
    # Until its master loop is reached uWSGI ignores HUP and TERM, and Python takes INT while it loads
    # the application (tried): a stop that comes that early is not heard, so it is said again. A second
    # INT means the same as the first.
    stop_signal="INT",
    stop_again=0.5,
    stop_timeout=10.0,
    # A graceful reload waits for busy workers, up to worker-reload-mercy, 60 s by default, before it
    # re-executes and loads the application: that has to fit in.
    reload=Reload(signal="HUP", new_workers=True, timeout=120.0),
    # Loading a big application takes its time, and so does a database that it asks while loading.
    start_timeout=120.0,
    # 1: cannot bind, or an option that it does not know. 22: need-app, and the application cannot be
    # loaded. Neither is final: the address gets free, and an application that asks its database while it
    # is imported loads once the database answers. What stays broken ends at the start limit.
    final_exits={},
)
