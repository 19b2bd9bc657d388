"""Who a caller is and what he may do. Nobody else decides that.

On the control socket it is the kernel that says who opened a connection, as it was at connect(2); libzmq
passes that on with each message. Over the network it is the key that the connection was agreed upon with.
"""

from __future__ import annotations

import os
import socket
import struct
from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from supervisor_stack.config.words import printable
from supervisor_stack.control.messages import AnyRequest
from supervisor_stack.control.purpose import purpose
from supervisor_stack.control.roles import covers, highest, needed
from supervisor_stack.daemon.names import by_number
from supervisor_stack.errors import NotPermittedError
from supervisor_stack.spec import ClientKey, ControlSpec, Role

SO_PEERGROUPS = 59
"""asm-generic/socket.h, Linux 4.13; the socket module does not have it."""

_CREDENTIALS = struct.Struct("3i")
_GROUPS = 1024
"""Bytes of 256 numbers: what getsockopt can be asked for here. Whoever is in more groups has to be named."""
_LONGEST = 200


class Peer(NamedTuple):
    """The process at the other end of the control socket. Its pid may have been given to another since."""

    uid: int
    gid: int
    pid: int


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who asks. `name`: in events and errors; `role`: None for none."""

    name: str
    role: Role | None

    @property
    @abstractmethod
    def told(self) -> str:
        """All that is known of him, for the log and for himself."""

    @abstractmethod
    def way_to(self, role: Role) -> str:
        """How he is given a role."""

    def require(self, request: AnyRequest) -> None:
        """Return when he may ask for this. Raises NotPermittedError."""
        least = needed(request)
        if covers(self.role, least):
            return
        has = f"with the role {self.role}" if self.role else "without a role here"
        raise NotPermittedError(
            f"cannot {said(request)}: you are {self.name}, {has}, and it takes the role {least}",
            (f"to be given it: {self.way_to(least)}; then: stackctl apply", "nothing was done"),
        )


class LocalCaller(Caller, frozen=True, kw_only=True):
    """A process of this machine. `peer`: None when the kernel did not tell. `source`: the configuration."""

    peer: Peer | None
    source: str

    @property
    def told(self) -> str:
        """As `alice (uid 1000, pid 4711)`."""
        if self.peer is None:
            return self.name
        uid = "" if self.name == by_number(self.peer.uid) else f"uid {self.peer.uid}, "
        return f"{self.name} ({uid}pid {self.peer.pid})"

    def way_to(self, role: Role) -> str:
        """In the configuration."""
        name = "NAME" if " " in self.name else self.name
        return f'{role} = ["{name}"] below [control.roles] in {self.source}'


class RemoteCaller(Caller, frozen=True, kw_only=True):
    """Whoever has a key. `address`: of his machine, as the network tells. `keys`: the folder of the keys."""

    address: str
    keys: str

    @property
    def told(self) -> str:
        """As `key web-admin (10.0.0.7)`."""
        return f"{self.name} ({self.address})"

    def way_to(self, role: Role) -> str:
        """In the file of roles."""
        return f'{self.name.removeprefix("key ")} = "{role}" in {self.keys}/roles.toml'


def said(request: AnyRequest) -> str:
    """What a request is for. What a client makes up for the name of a service stays on one line."""
    text = printable(purpose(request))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def peer_of(address: str) -> Peer | None:
    """Who that is, of `localhost:UID:GID:PID` as libzmq has it; None when it is anything else."""
    _, *numbers = address.rsplit(":", 3)
    if len(numbers) != 3 or not all(number.isdecimal() for number in numbers):
        return None
    return Peer(*map(int, numbers))


def groups_of(fd: int, peer: Peer) -> tuple[int, ...]:
    """The supplementary groups of the process that opened this connection, as they were then (unix(7)).

    The kernel's own answer: what the name service says of a user may be slow, and other than what his
    process has. None when the connection is gone, or its number is another's by now.
    """
    try:
        # It is libzmq's: borrowed, and given back whatever happens.
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=fd)
    except OSError:
        return ()
    try:
        opened_by = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        if _CREDENTIALS.unpack(opened_by) != (peer.pid, peer.uid, peer.gid):
            return ()
        groups = connection.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, _GROUPS)
        return struct.unpack(f"{len(groups) // 4}I", groups)
    except OSError:
        return ()
    finally:
        connection.detach()


def taken_up(old: ControlSpec, new: ControlSpec) -> ControlSpec:
    """What holds when a running stackd reads `new`: who may do what. Where it listens stays as it is."""
    network = old.network
    if network:
        clients = new.network.clients if new.network else ()
        network = msgspec.structs.replace(network, clients=clients)
    return msgspec.structs.replace(new, socket=old.socket, events=old.events, network=network)


class Access:
    """The roles of a configuration. root and the user that stackd runs as have all of them."""

    def __init__(self, spec: ControlSpec, source: str) -> None:
        self._source = source
        self.become(spec)

    def become(self, spec: ControlSpec) -> None:
        """Decide by this from now on, also on those who are connected."""
        self._users: dict[int, set[Role]] = {0: {"admin"}, os.geteuid(): {"admin"}}
        self._groups: dict[int, set[Role]] = {}
        for grant in spec.grants:
            roles = self._groups if grant.is_group else self._users
            roles.setdefault(grant.number, set()).add(grant.role)
        self._keys = {key.public: key for key in spec.network.clients} if spec.network else {}
        self._folder = spec.network.keys if spec.network else ""

    def local(self, peer: Peer | None, name: str, groups: Callable[[], Iterable[int]]) -> Caller:
        """A process of this machine. `groups` is asked for when they matter."""
        return LocalCaller(
            name=name, role=self._role_of(peer, groups) if peer else None, peer=peer, source=self._source
        )

    def key(self, public: str) -> ClientKey | None:
        """The key that has this public half, None when it is not, or no longer, known."""
        return self._keys.get(public)

    def remote(self, key: ClientKey, address: str) -> Caller:
        """Somebody with a key that is known."""
        return RemoteCaller(name=f"key {key.name}", role=key.role, address=address, keys=self._folder)

    def _role_of(self, peer: Peer, groups: Callable[[], Iterable[int]]) -> Role | None:
        roles = set(self._users.get(peer.uid, ()))
        if self._groups and "admin" not in roles:
            for group in (peer.gid, *groups()):
                roles |= self._groups.get(group, set())
        return highest(roles)
