"""Listening addresses in one spelling, whichever server's configuration they come from."""

from __future__ import annotations

import ipaddress
import re

from supervisor_stack.spec import Address

# HOST, HOST:PORT or [IPV6]:PORT
_ENDPOINT = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<host>[^\[\]:]*))(?::(?P<port>\d+))?")


def tcp(host: str, port: int, *, dual: bool = False) -> Address:
    """A TCP address; every way to write "all of IPv4" becomes 0.0.0.0, and IPv6 its shortest form.

    `dual` is kept for the IPv6 wildcard only: elsewhere it says nothing.
    """
    host = "0.0.0.0" if host in ("", "*") else _shortest(host)  # noqa: S104
    return Address(host=host, port=port, dual=dual and host == "::")


def endpoint(text: str, default_port: int = 0, *, dual: bool = False) -> Address | None:
    """HOST:PORT, HOST alone or [IPV6]:PORT; None when it is not that, or has no port at all."""
    found = _ENDPOINT.fullmatch(text)
    if found is None:
        return None
    port = int(found["port"] or default_port)
    host = found["ipv6"] or found["host"] or ""
    return tcp(host, port, dual=dual) if 0 < port < 65536 else None


def can_be_held(address: Address) -> bool:
    """Whether stackd can make the socket of this address as the server would.

    Not for a name, which the server looks up for itself, nor for an abstract socket (unix(7)).
    """
    if address.path:
        return address.path.startswith("/")
    return 0 < address.port < 65536 and is_numeric(address.host)


def is_numeric(host: str) -> bool:
    """Whether it is an IP address, and no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _shortest(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host
