"""Listening addresses in one spelling, whichever server's configuration they come from."""

from __future__ import annotations

import re

from supervisor_stack.spec import Address

# HOST, HOST:PORT or [IPV6]:PORT
_ENDPOINT = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<host>[^\[\]:]*))(?::(?P<port>\d+))?")


def tcp(host: str, port: int) -> Address:
    """A TCP address; every way to write "all of IPv4" becomes 0.0.0.0."""
    return Address(host="0.0.0.0" if host in ("", "*") else host, port=port)  # noqa: S104


def endpoint(text: str, default_port: int = 0) -> Address | None:
    """HOST:PORT, HOST alone or [IPV6]:PORT; None when it is not that, or has no port at all."""
    found = _ENDPOINT.fullmatch(text)
    if found is None:
        return None
    port = int(found["port"] or default_port)
    return tcp(found["ipv6"] or found["host"] or "", port) if 0 < port < 65536 else None
