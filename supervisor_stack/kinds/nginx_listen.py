"""The listening sockets that nginx makes of its `listen` directives, and which of them can be held."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator

import msgspec

from supervisor_stack.kinds.listen import can_be_held, endpoint, is_numeric, tcp
from supervisor_stack.kinds.nginx_syntax import Directive
from supervisor_stack.spec import Address, Spec

_PORTS = re.compile(r"(?P<host>.*:)?(?P<first>\d+)(?:-(?P<last>\d+))?")
_WILDCARDS = {"0.0.0.0": False, "::": True}  # noqa: S104

REUSEPORT = "reuseport makes a socket for each worker"
# nginx applies the options of `listen` to a socket that it inherits (ngx_configure_listening_sockets(); tried
# with backlog, sndbuf, so_keepalive, deferred and fastopen), but with these it makes sockets of its own.
_OBSTACLES = {
    "reuseport": REUSEPORT,
    "multipath": "multipath makes a socket of another protocol",
}


class Listener(Spec, frozen=True, kw_only=True):
    """One listening socket. `plain`: what comes in is HTTP, without TLS and without the PROXY protocol.

    `obstacle`: why stackd cannot hold it; empty when it can.
    """

    address: Address
    plain: bool
    obstacle: str = ""


def listeners(top: Iterable[Directive], cwd: str, default_port: int) -> tuple[Listener, ...]:
    """The sockets of a configuration, plain HTTP first: the ready probe asks the first one.

    `cwd`: where nginx is started. `default_port`: that of a server block that names none.
    """
    found: dict[Address, Listener] = {}
    for section in top:
        if section.name in ("http", "stream", "mail"):
            for each in _of_section(section, cwd, default_port):
                place = _place(each.address)
                found[place] = _together(found[place], each) if place in found else each
    bound = (each for place, each in found.items() if not _is_covered(place, found))
    return tuple(sorted(bound, key=lambda each: not each.plain))


def obstacle(listen: Directive) -> str:
    """What in a `listen` directive keeps its socket from being held."""
    options = listen.args[1:]
    if _is_udp(options):
        return ""
    return next((reason for option, reason in _OBSTACLES.items() if option in options), "")


def _places(where: str, cwd: str) -> Iterator[Address]:
    """The addresses that the first argument of `listen` stands for."""
    if where.startswith("unix:"):
        # Not against the prefix, as other paths: nginx hands it to bind(2) as it is written.
        yield Address(path=posixpath.join(cwd, where.removeprefix("unix:")))
    elif where.startswith("[") and where.endswith("]"):
        yield tcp(where.strip("[]"), 80)
    elif ports := _PORTS.fullmatch(where):
        for port in range(int(ports["first"]), int(ports["last"] or ports["first"]) + 1):
            if address := endpoint(f"{ports['host'] or ':'}{port}"):
                yield address
    elif address := endpoint(where, 80):
        yield address


def _of_section(section: Directive, cwd: str, default_port: int) -> Iterator[Listener]:
    outer_tls = _is_on(section.block, "ssl")
    for server in section.block or ():
        if server.name != "server" or server.block is None:
            continue
        tls = outer_tls or _is_on(server.block, "ssl")
        listens = [inner for inner in server.block if inner.name == "listen" and inner.args]
        if not listens and section.name == "http":
            listens = [Directive("listen", (str(default_port),))]
        for listen in listens:
            where, *options = listen.args
            if _is_udp(options):
                continue
            plain = section.name == "http" and not tls and not {"ssl", "proxy_protocol"} & set(options)
            for address in _places(where, cwd):
                yield Listener(
                    address=_with_options(address, options),
                    plain=plain,
                    obstacle=obstacle(listen) or _obstacle_of_place(address, where),
                )


def _with_options(address: Address, options: Iterable[str]) -> Address:
    # On by default since 1.3.4; not applied to an inherited socket.
    dual = address.host == "::" and "ipv6only=off" in options
    return msgspec.structs.replace(address, dual=True) if dual else address


def _obstacle_of_place(address: Address, where: str) -> str:
    if address.path and not where.startswith("unix:/"):
        # Matched with inherited ones by the name as it was given to bind(2).
        return "its path is relative"
    return "" if can_be_held(address) else f"{address.host} is a name"


def _together(one: Listener, other: Listener) -> Listener:
    """Two `listen` for one socket: what one of them says holds for all servers on it."""
    return Listener(
        address=one.address if one.address.dual else other.address,
        plain=one.plain and other.plain,
        obstacle=one.obstacle or other.obstacle,
    )


def _is_covered(place: Address, found: Iterable[Address]) -> bool:
    """Beside a wildcard nginx makes no other socket for the port (ngx_http_init_listening(), 1.22).

    With `bind` or one of the options that imply it, it would: the kernel refuses that in every case.
    """
    if place.path or place.host in _WILDCARDS:
        return False
    families = (":" in place.host,) if is_numeric(place.host) else (False, True)
    wildcards = (host for host, is_ipv6 in _WILDCARDS.items() if is_ipv6 in families)
    return any(Address(host=host, port=place.port) in found for host in wildcards)


def _place(address: Address) -> Address:
    return msgspec.structs.replace(address, dual=False)


def _is_udp(options: Iterable[str]) -> bool:
    return bool({"udp", "quic"} & set(options))


def _is_on(block: Iterable[Directive] | None, name: str) -> bool:
    """`ssl on;`, the older way to say that all listens of a server speak TLS (gone in 1.25.1)."""
    return any(inner.name == name and inner.args == ("on",) for inner in block or ())
