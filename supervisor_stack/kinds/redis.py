"""Redis: what stackd knows of it. Tried with 7.0.15; the guide's 5.0.5 has all of these options."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from supervisor_stack.kinds.alive import alive
from supervisor_stack.kinds.base import Facts, Given, Kind
from supervisor_stack.kinds.listen import tcp
from supervisor_stack.kinds.redis_conf import ConfReader
from supervisor_stack.spec import Address, Precondition, ProbeSpec

# The command line is read after the file and the last setting wins, so a file with `daemonize yes` works
# as it stands. `supervised` would go before `daemonize`, and systemd's socket is not Redis's here.
_FOREGROUND = ("--daemonize", "no", "--supervised", "no")


def learn(given: Given) -> Facts:
    """How to run Redis, where it listens and with which password it is asked."""
    conf = ConfReader(given.files, given.cwd)
    conf.read_file(given.config)
    conf.read_arguments(given.args)
    plain, tls = _port(conf, "port", "6379"), _port(conf, "tls-port", "0")
    reachable = [*_bound(conf, plain), *_unix_socket(conf)]
    addresses = (*reachable, *_bound(conf, tls))
    password = conf.word("requirepass")
    if not addresses and not conf.problems:
        conf.problems.append(
            f"redis listens nowhere: {given.config} sets port to 0, or bind to nothing, and has no "
            "unixsocket; write port 6379, say"
        )
    return Facts(
        argv=(given.binary, given.config, *given.args, *_FOREGROUND),
        addresses=addresses,
        ready=_probe(reachable, addresses, password),
        # TLS only: a connection that ends before its handshake is a warning in the log.
        alive=alive("redis", reachable[0], password) if reachable else alive("process"),
        preconditions=(
            Precondition(
                path=conf.folder,
                problem=f"there is no directory {conf.folder}, where redis keeps its data "
                f"(dir in {given.config}); make it, owned by the user of redis",
            ),
        ),
        logs=tuple(_logs(conf)),
        problems=tuple(conf.problems),
    )


def _port(conf: ConfReader, name: str, default: str) -> int:
    """A port, 0 for none."""
    word = conf.word(name, default)
    if word.isdecimal() and int(word) < 65536:
        return int(word)
    conf.problems.append(f"{name} is {word!r}, which is no port; write a number from 0 to 65535")
    return 0


def _bound(conf: ConfReader, port: int) -> list[Address]:
    """Without `bind` all addresses, IPv6 only where there is some."""
    hosts = conf.words("bind", "* -::*") if port else ()
    # A leading - (since 6.2) lets the address be missing: it is counted on only if there is no other.
    sure = [host for host in hosts if not host.startswith("-")] or [host[1:] for host in hosts]
    return [tcp("::" if host == "::*" else host, port) for host in sure]


def _unix_socket(conf: ConfReader) -> Iterator[Address]:
    if path := conf.word("unixsocket"):
        yield Address(path=posixpath.join(conf.folder, path))


def _probe(reachable: list[Address], addresses: tuple[Address, ...], password: str) -> ProbeSpec | None:
    """PING, with the password: to a stranger -NOAUTH hides -LOADING, and Redis listens before it loads."""
    if reachable:
        return ProbeSpec(type="redis", address=reachable[0], password=password)
    # TLS only: no probe speaks Redis over TLS, so that a connection has to do.
    return ProbeSpec(type="tcp", address=addresses[0]) if addresses else None


def _logs(conf: ConfReader) -> Iterator[str]:
    """Empty means stdout. Redis opens the file anew for each line, relative to `dir` by then."""
    path = conf.word("logfile")
    if path and not path.startswith("/dev/"):
        yield posixpath.join(conf.folder, path)


KIND = Kind(
    name="redis",
    copy="redis",
    binaries=("redis-server",),
    learn=learn,
    # Saves, if it has save points, then leaves with 0; a second INT would not save. TERM to the whole
    # group would kill the child that is saving (src/server.c, prepareForShutdown()).
    stop_signal="TERM",
    # As long as the save takes, plus shutdown-timeout, 10 s, for replicas that lag behind. The unit of
    # Redis itself waits for ever.
    stop_timeout=60.0,
    # What it has not saved would be lost.
    kill=False,
    # The last thing that every version from 5.0 to 7.2 logs, after the reasons, when it cannot save or is
    # still writing its first AOF: it goes on then, as if nothing had been said. The other one is what
    # SHUTDOWN ABORT of a client does (7.0).
    stop_refusal=r"[Ee]rrors trying to shut down the server|Shutdown manually aborted",
    # Loading the data set goes at some 100 MB/s; until it ends, PING is answered with -LOADING.
    start_timeout=300.0,
    no_reload="redis cannot re-read its configuration; restart it, or use CONFIG SET",
    # Status 1 is a broken configuration, but also an address that is still held by somebody who may go.
    final_exits={},
)
