"""The hosts that --host can name: ~/.config/stackctl.toml."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from supervisor_stack.config.document import read_document
from supervisor_stack.config.mistakes import Mistakes
from supervisor_stack.config.words import did_you_mean, near, type_of
from supervisor_stack.control.reach import SCHEME, TCP, address_of
from supervisor_stack.errors import ConfigError, RequestError

if TYPE_CHECKING:
    from supervisor_stack.control.curve import CurveKeys

ALL = "all"
_KEYS = ("address", "server_key", "key", "socket")
_PUBLIC_LENGTH = 40
"""Characters of a key in Z85."""


class Host(NamedTuple):
    """A stackd: where it is, and for the network the keys."""

    name: str
    endpoint: str
    keys: CurveKeys | None


def hosts_file() -> Path:
    """Where they stand (XDG base directories)."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "stackctl.toml"


def known_hosts(named: Sequence[str]) -> list[str]:
    """These hosts, each once, and for `all` all. Raises ConfigError, and RequestError for an unknown one."""
    hosts = _Hosts()
    for name in named:
        if name != ALL and name not in hosts.tables:
            cure = did_you_mean(near(name, hosts.tables)) or f"there are: {', '.join(hosts.tables) or 'none'}"
            raise RequestError(f"cannot find the host `{name}` in {hosts_file()}; {cure}")
    return list(dict.fromkeys(hosts.tables if ALL in named else named))


def find_host(name: str) -> Host:
    """One that is known. Raises ConfigError with all that is wrong with it."""
    return _Hosts().host(name)


class _Hosts:
    def __init__(self) -> None:
        self._path = hosts_file()
        if not self._path.exists():
            raise ConfigError(
                f"cannot read the hosts {self._path}: No such file or directory",
                (f'write it: [hosts.NAME] and below that address = "{TCP}HOST:7890", server_key and key',),
            )
        document = read_document(str(self._path))
        self._mistakes = Mistakes(document)
        tables = document.tree.get("hosts", {})
        if not isinstance(tables, dict):
            self._mistakes.add(("hosts",), f"is {type_of(tables)}; write [hosts.NAME] and its keys below")
            self._mistakes.raise_if_any()
        self.tables: Mapping[str, Any] = tables

    def host(self, name: str) -> Host:
        at, table = ("hosts", name), self.tables[name]
        if not isinstance(table, dict):
            self._mistakes.add(at, f"is {type_of(table)}; write [hosts.{name}] and its keys below")
            table = {}
        for key, value in table.items():
            if key not in _KEYS:
                cure = did_you_mean(near(key, _KEYS)) or f"the keys here are {', '.join(_KEYS)}"
                self._mistakes.add((*at, key), f"unknown key; {cure}")
            elif not isinstance(value, str):
                self._mistakes.add((*at, key), f"is {type_of(value)}; write a string")
        self._mistakes.raise_if_any()
        if ("address" in table) == ("socket" in table):
            self._mistakes.add(at, f'takes one of address = "{TCP}HOST:7890" and socket = "{SCHEME}PATH"')
        host = self._by_socket(name, table) if "socket" in table else self._by_address(name, table)
        self._mistakes.raise_if_any()
        return host

    def _by_socket(self, name: str, table: Mapping[str, str]) -> Host:
        if not table["socket"].startswith(SCHEME):
            self._mistakes.add(("hosts", name, "socket"), f'is no unix socket; write "{SCHEME}PATH"')
        return Host(name, table["socket"], None)

    def _by_address(self, name: str, table: Mapping[str, str]) -> Host:
        from supervisor_stack.config.keys import Pair, read_pair, read_public
        from supervisor_stack.control.curve import CurveKeys

        at, address = ("hosts", name), table.get("address", "")
        try:
            address_of(address if address.startswith(TCP) else "")
        except RequestError:
            self._mistakes.add((*at, "address"), f'is no address; write "{TCP}HOST:7890"')
        server, pair = b"", Pair(b"", b"")
        for key in ("server_key", "key"):
            if key not in table:
                self._mistakes.add(at, f"has no {key}; the network takes keys: see stackctl keygen")
                continue
            try:
                if key == "key":
                    pair = read_pair(self._file(table[key]))
                elif _is_key(table[key]):
                    server = table[key].encode()
                else:
                    server = read_public(self._file(table[key]))
            except ValueError as error:
                self._mistakes.add((*at, key), str(error))
        return Host(name, address, CurveKeys(server, pair.public, pair.secret))

    def _file(self, text: str) -> Path:
        return self._path.parent / Path(text).expanduser()


def _is_key(text: str) -> bool:
    from zmq.utils import z85

    try:
        return len(text) == _PUBLIC_LENGTH and bool(z85.decode(text)) and not Path(text).exists()
    except (KeyError, ValueError, struct.error):
        return False
