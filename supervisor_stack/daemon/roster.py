"""Who is connected, and for how many there is room: nobody keeps others out by coming often."""

from __future__ import annotations

from supervisor_stack.daemon.connection import Connection


class Roster:
    """Room for `most` connections. What is over goes at the expense of the user who has the most of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._count = 0
        self._users: dict[int, dict[Connection, None]] = {}

    def add(self, connection: Connection) -> Connection | None:
        """Let in a connection; returns the one that has to go for it, which may be itself."""
        mine = self._users.setdefault(connection.peer.uid, {})
        mine[connection] = None
        self._count += 1
        if self._count <= self._most:
            return None
        # Of several users with as many, the newcomer's goes: what is there is not disturbed for nothing.
        most = max(self._users.values(), key=lambda theirs: (len(theirs), theirs is mine))
        return next(reversed(most))

    def remove(self, connection: Connection) -> None:
        """It is gone."""
        mine = self._users[connection.peer.uid]
        del mine[connection]
        self._count -= 1
        if not mine:
            del self._users[connection.peer.uid]

    def all(self) -> list[Connection]:
        """Everybody."""
        return [connection for theirs in self._users.values() for connection in theirs]
