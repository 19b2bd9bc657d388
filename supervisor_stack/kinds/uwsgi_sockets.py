"""Where uWSGI listens, and what it speaks there."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import NamedTuple

from supervisor_stack.kinds.listen import can_be_held, endpoint
from supervisor_stack.kinds.uwsgi_ini import Options
from supervisor_stack.spec import Address, ProbeType

# What a client has to speak at the sockets of each option: None is a protocol that no probe knows.
_WORKERS: dict[str, ProbeType | None] = {
    "socket": "uwsgi",
    "uwsgi-socket": "uwsgi",
    "http-socket": "http",
    "http11-socket": "http",
    "https-socket": None,
    "suwsgi-socket": None,
    "ssl-socket": None,
    "puwsgi-socket": None,
    "fastcgi-socket": None,
    "fastcgi-nph-socket": None,
    "scgi-socket": None,
    "scgi-nph-socket": None,
    "raw-socket": None,
}
# The router is a process of its own in front of the workers.
_ROUTERS: dict[str, ProbeType | None] = {
    "http": "http",
    "httprouter": "http",
    "http-to-https": "http",
    "https": None,
}
_LISTENERS = _WORKERS | _ROUTERS
_SHARED = ("shared-socket", "undeferred-shared-socket")
_PROTOCOLS: dict[str, ProbeType] = {"uwsgi": "uwsgi", "http": "http", "http11": "http"}

OPTIONS = (*_LISTENERS, *_SHARED)
"""The options that make a socket."""

OTHER_ROOT = ("chroot", "pivot-root", "pivot_root", "namespace", "ns")
"""The options after which a path means another file to uWSGI than to everybody else."""


class Socket(NamedTuple):
    """A listening socket. `name`: as it is written. `address` None: no client can dial it by name.

    `shared`: one that several options refer to by its number.
    """

    name: str
    address: Address | None
    speaks: ProbeType | None
    router: bool = False
    shared: bool = False

    @property
    def is_taken_over(self) -> bool:
        """Whether uWSGI, told that this is a reload, takes it over from the process that started it.

        It compares `name`, letter by letter, with the address of each descriptor that it finds open:
        uwsgi_add_socket_from_fd() in core/socket.c. So a name to be looked up, an IPv6 address in another
        spelling or a relative path are bound anew. Abstract sockets would match, but nobody dials them.
        A router looks for nothing; of a shared socket on IPv6 it makes a wrong name (uwsgi_getsockname()).
        """
        if self.address is None or not can_be_held(self.address) or (self.router and not self.shared):
            return False
        if self.address.path:
            return self.name.startswith("/")
        if self.shared and self.name.startswith("["):
            return False
        host = "0.0.0.0" if self.name.startswith(":") else ""  # noqa: S104
        return host + self.name == str(self.address)


def sockets(options: Options, cwd: str) -> Iterator[Socket]:
    """Each listening socket, in the order of the options."""
    # Sockets are bound after chdir() (uwsgi_setup()), so a relative path is relative to that folder.
    folder = posixpath.join(cwd, options.last("chdir"))
    default = options.last("protocol", "socket-protocol")
    shared = options.values(*_SHARED)
    for key, value in options:
        if key not in _LISTENERS:
            continue
        speaks = _PROTOCOLS.get(default) if key == "socket" and default else _LISTENERS[key]
        # ADDRESS,CERTIFICATE,KEY for TLS. Nothing else takes a list: `a:1,b:2` is one, wrong, address.
        name = value.partition(",")[0] if key.startswith(("https", "suwsgi", "ssl")) else value
        name = name.strip()
        number = name.removeprefix("=")
        is_shared = number != name and number.isdecimal() and int(number) < len(shared)
        if is_shared:
            name = shared[int(number)].strip()
        yield Socket(name, _address(name, folder), speaks, key in _ROUTERS, is_shared)


def _address(name: str, folder: str) -> Address | None:
    """None for what no client can dial by name: fd://, an abstract socket, a wildcard, a free port."""
    if not name or "*" in name or "://" in name or name.startswith(("@", "\\0", "=")):
        return None
    # uwsgi_bind_sockets(): with a colon TCP, without one a path. `8001` alone makes a file of that name.
    if ":" in name:
        # bind_to_tcp() leaves IPV6_V6ONLY alone, which is off (ipv6(7)).
        return endpoint(name, dual=True)
    return Address(path=name if name.startswith("/") else posixpath.normpath(posixpath.join(folder, name)))
