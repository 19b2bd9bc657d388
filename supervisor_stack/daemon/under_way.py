"""The long requests that somebody waits for: how many may be, and who is told what.

What they have begun is the core's; here an operation may be forgotten, and goes on there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from supervisor_stack.control import codec, messages, parts
from supervisor_stack.control.plans import Plan
from supervisor_stack.daemon.client import Client
from supervisor_stack.errors import RefusedError, StackError

MOST, MOST_ONE = 1000, 100
"""Of all callers, and of one user or key: each is told of every change that it waits for."""


class Operation(msgspec.Struct):
    """A long request under way: who waits for it, and what came of it so far. `untold`: the services of
    which nothing was told yet."""

    client: Client
    request_id: str
    services: tuple[str, ...]
    untold: set[str]
    outcomes: dict[str, parts.Outcome] = {}


class UnderWay:
    """The operations by number, and by the services that they wait for.

    `forget(op, services)` is called when nobody waits for one any more.
    """

    def __init__(self, forget: Callable[[int, Iterable[str]], None]) -> None:
        self._forgotten = forget
        self._operations: dict[int, Operation] = {}
        self._waiting: dict[str, set[int]] = {}

    def open(
        self, op: int, client: Client, request_id: str, services: tuple[str, ...], plan: Plan | None = None
    ) -> None:
        """It is accepted. When its user or key has too many without, the oldest one is given up."""
        mine = self._of_same(client)
        if len(mine) >= MOST_ONE:
            self._give_up(mine[0])
        self._operations[op] = Operation(client, request_id, services, set(services))
        for service in services:
            self._waiting.setdefault(service, set()).add(op)
        _reply(client, messages.Accepted(id=request_id, op=op, services=services, plan=plan))

    def refuse_too_many(self, client: Client) -> None:
        """Return when there may be one more of this client. Raises RefusedError."""
        mine, under_way = len(self._of_same(client)), len(self._operations)
        if mine >= MOST_ONE or under_way >= MOST:
            raise RefusedError(
                f"cannot begin with it: {under_way} operations are under way, {mine} of them yours",
                ("nothing was begun; try again when some of them have ended",),
            )

    def of(self, service: str) -> tuple[int, ...]:
        """Those that wait for a service."""
        return tuple(self._waiting.get(service, ()))

    def untold(self, op: int) -> list[str]:
        """The services of which nothing was told yet; none of an operation that nobody waits for."""
        operation = self._operations.get(op)
        return sorted(operation.untold) if operation else []

    def tell(self, op: int, progress: messages.Progress) -> None:
        """Tell who waits how far it is."""
        operation = self._operations[op]
        operation.untold.discard(progress.service)
        _reply(operation.client, msgspec.structs.replace(progress, id=operation.request_id))

    def finish(self, op: int, over: messages.Progress, outcome: parts.Outcome) -> None:
        """It ended for one of its services; when it did for all, that is told too."""
        self._waiting[outcome.service].discard(op)
        self._operations[op].outcomes[outcome.service] = outcome
        self.tell(op, msgspec.structs.replace(over, outcome=outcome))
        self.conclude(op)

    def conclude(self, op: int) -> None:
        """Tell the client of the end, if it has come for all services; an operation may be about none."""
        operation = self._operations.get(op)
        if operation and len(operation.outcomes) == len(operation.services):
            self._forget(op)
            outcomes = tuple(operation.outcomes[name] for name in operation.services)
            ok = not any(outcome.error for outcome in outcomes)
            finished = messages.Finished(id=operation.request_id, op=op, ok=ok, outcomes=outcomes)
            _reply(operation.client, finished)

    def __contains__(self, op: int) -> bool:
        """Whether somebody waits for it."""
        return op in self._operations

    def fail_all(self, problem: StackError) -> None:
        """Tell everybody that nothing more is told."""
        for op in list(self._operations):
            self._fail(op, problem)

    def _give_up(self, op: int) -> None:
        told = f"cannot tell how it ends: {MOST_ONE} that you asked for later are under way"
        self._fail(op, StackError(told, ("what was begun goes on; see `stackctl status`",)))

    def _fail(self, op: int, problem: StackError) -> None:
        operation = self._forget(op)
        _reply(operation.client, codec.failure(problem, operation.request_id))

    def _of_same(self, client: Client) -> list[int]:
        """Those of a client's user or key, the oldest first; none while all together are few.

        Those whose clients have hung up are forgotten.
        """
        if len(self._operations) < MOST_ONE:
            return []
        for op in [op for op, operation in self._operations.items() if operation.client.is_gone()]:
            self._forget(op)
        account = client.caller.account
        return [
            op for op, operation in self._operations.items() if operation.client.caller.account == account
        ]

    def _forget(self, op: int) -> Operation:
        operation = self._operations.pop(op)
        for service in operation.services:
            self._waiting[service].discard(op)
        self._forgotten(op, operation.services)
        return operation


def _reply(client: Client, reply: messages.Reply) -> None:
    client.reply(codec.encode_reply(reply))
