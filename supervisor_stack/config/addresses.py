"""Do two services listen on one address? The second would never start."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from supervisor_stack.config.mistakes import Mistakes
from supervisor_stack.config.words import bare
from supervisor_stack.spec import Address, ServiceSpec

_ANY = ""


def check_addresses(services: Iterable[ServiceSpec], mistakes: Mistakes) -> None:
    """Note each address that a service shares with one before it."""
    taken: dict[tuple[str, int], dict[str, _Holder]] = {}
    for service in services:
        for address in service.addresses:
            family, host = _place(address)
            holders = taken.setdefault((family, address.port), {})
            other = _in_the_way(host, service.name, holders)
            if other is None:
                holders.setdefault(host, _Holder(service.name, address))
                continue
            theirs = "" if str(other.address) == str(address) else f" (on {other.address})"
            mistakes.add(
                ("services", service.name, "config" if service.config else "hold"),
                f"listens on {address}, and so does services.{bare(other.service)}{theirs}; "
                "change one of the two",
            )


def overlap(one: Address, other: Address) -> bool:
    """Whether only one of two sockets can listen."""
    if one.port != other.port or bool(one.path) != bool(other.path):
        return False
    (family, host), (other_family, other_host) = _place(one), _place(other)
    if family != other_family:
        return (one.dual and other_family == "ipv4") or (other.dual and family == "ipv4")
    return host == other_host or _ANY in (host, other_host)


class _Holder(NamedTuple):
    service: str
    address: Address


def _in_the_way(host: str, service: str, holders: Mapping[str, _Holder]) -> _Holder | None:
    """The wildcard is in the way of every address of its port, and every address in its way."""
    rivals = holders.values() if host == _ANY else map(holders.get, (host, _ANY))
    return next((rival for rival in rivals if rival and rival.service != service), None)


def _place(address: Address) -> tuple[str, str]:
    """The family of an address and its host in one spelling, `_ANY` for a wildcard.

    IPv4 and IPv6 do not meet here: whether [::]:80 takes IPv4 too depends on a socket option that
    each server sets as it likes (nginx: ipv6only=on), and a stack that works must not be refused.
    """
    if address.path:
        return "unix", address.path
    if address.host in ("", "*"):
        return "ipv4", _ANY
    if address.host == "localhost":
        return "ipv4", "127.0.0.1"
    try:
        host = ipaddress.ip_address(address.host.partition("%")[0])
    except ValueError:
        return "name", address.host
    return f"ipv{host.version}", _ANY if host.is_unspecified else str(host)
