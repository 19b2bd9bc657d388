"""Who a caller is and what he may do. Nobody else decides that.

On the control socket it is the kernel that says who opened a connection, as it was at connect(2). Over the
network it is the key that the connection was agreed upon with.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Iterable

import msgspec

from supervisor_stack.config.words import printable
from supervisor_stack.control.messages import AnyRequest
from supervisor_stack.control.purpose import purpose
from supervisor_stack.control.roles import covers, highest, needed
from supervisor_stack.daemon.names import by_number
from supervisor_stack.daemon.peer import Peer
from supervisor_stack.errors import NotPermittedError
from supervisor_stack.spec import ClientKey, ControlSpec, Role

_LONGEST = 200


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who asks. `name`: in events and errors; `role`: None for none."""

    name: str
    role: Role | None

    @property
    @abstractmethod
    def told(self) -> str:
        """All that is known of him, for the log and for himself."""

    @property
    @abstractmethod
    def account(self) -> str:
        """On whose account it goes: that of one user, or of one key, however often he connects."""

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
    """A process of this machine. `source`: the configuration."""

    peer: Peer
    source: str

    @property
    def told(self) -> str:
        """As `alice (uid 1000, pid 4711)`."""
        uid = "" if self.name == by_number(self.peer.uid) else f"uid {self.peer.uid}, "
        return f"{self.name} ({uid}pid {self.peer.pid})"

    @property
    def account(self) -> str:
        """The number of his user: the name of it may not be known yet."""
        return by_number(self.peer.uid)

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

    @property
    def account(self) -> str:
        """The key, from whatever machine."""
        return self.name

    def way_to(self, role: Role) -> str:
        """In the file of roles."""
        return f'{self.name.removeprefix("key ")} = "{role}" in {self.keys}/roles.toml'


def said(request: AnyRequest) -> str:
    """What a request is for. What a client makes up for the name of a service stays on one line."""
    text = printable(purpose(request))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


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

    def local(self, peer: Peer, name: str, groups: Callable[[], Iterable[int]]) -> Caller:
        """A process of this machine. `groups` is asked for when they matter."""
        return LocalCaller(name=name, role=self._role_of(peer, groups), peer=peer, source=self._source)

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
