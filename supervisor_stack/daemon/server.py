"""The control socket: requests in, replies and notices out.

It alone knows clients. The core knows operations by number; who asked for which is kept in `under_way`.
"""

from __future__ import annotations

import itertools
import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Protocol

from supervisor_stack.control import codec, messages, parts
from supervisor_stack.control.names import require_known
from supervisor_stack.control.plans import Plan
from supervisor_stack.control.roles import needed
from supervisor_stack.core import actions as do
from supervisor_stack.core.stack import Stack
from supervisor_stack.core.state import NEVER
from supervisor_stack.daemon.access import said
from supervisor_stack.daemon.apply import Asked
from supervisor_stack.daemon.audit import Audit
from supervisor_stack.daemon.client import Client
from supervisor_stack.daemon.engine import Engine
from supervisor_stack.daemon.signals import number
from supervisor_stack.daemon.status import StatusReader
from supervisor_stack.daemon.under_way import UnderWay
from supervisor_stack.errors import RefusedError, RequestError, StackError

log = logging.getLogger(__name__)

REMEMBERED_NOTICES = 1000


class Outlet(Protocol):
    """Where notices leave."""

    def send_notice(self, frames: list[bytes]) -> None:
        """To all subscribers."""

    def apply(self, asked: Asked) -> None:
        """Read the configuration again."""

    def leave(self) -> None:
        """End stackd and leave the services running."""


class Server:
    """Answers requests on behalf of an engine's stack.

    `status` and `graph` make the answers to these requests; `wall` turns a monotonic time into RFC 3339;
    `refusal` says what a run of a service answered when it was last asked whether it is ready, and was not.
    """

    def __init__(
        self,
        engine: Engine,
        outlet: Outlet,
        status: StatusReader,
        graph: Callable[[messages.Graph, int], messages.GraphReply],
        wall: Callable[[float], str],
        refusal: Callable[[str, int], str],
    ) -> None:
        self._engine = engine
        self._outlet = outlet
        self._status = status
        self._graph = graph
        self._wall = wall
        self._refusal = refusal
        self._numbers = itertools.count(1)
        self._under_way = UnderWay(engine.stack.forget)
        self._is_leaving = False
        self._notices: deque[messages.Notice] = deque(maxlen=REMEMBERED_NOTICES)
        self._seq = 0
        self._audit = Audit(engine.now)

    @property
    def _stack(self) -> Stack:
        return self._engine.stack

    def next_operation(self) -> int:
        """A fresh number; also for what stackd asks of itself."""
        return next(self._numbers)

    # Requests.

    def receive(self, client: Client, frames: list[bytes]) -> None:
        """Answer one message of a client, whatever is in it."""
        try:
            request = codec.decode_request(frames)
        except RequestError as error:
            _reply(client, codec.failure(error, codec.request_id(frames)))
            return
        self._carefully(client, request, lambda: self._serve(client, request))

    def _carefully(self, client: Client, request: messages.AnyRequest, serve: Callable[[], None]) -> None:
        """Whatever comes of it, he gets an answer."""
        try:
            serve()
        except StackError as error:
            self._audit.refuse(client.caller, request, error)
            _reply(client, codec.failure(error, request.id))
        except Exception:
            log.exception("cannot serve %s: internal error", request)
            problem = StackError(
                "cannot serve the request: internal error", ("stackd's log has the details",)
            )
            _reply(client, codec.failure(problem, request.id))

    def _serve(self, client: Client, request: messages.AnyRequest) -> None:
        stack = self._stack
        client.caller.require(request)
        self._refuse_when_leaving(request)
        require_known(_named(request), stack.services)
        match request:
            case messages.Status():
                self._status.prepare(
                    request,
                    partial(self._carefully, client, request, partial(self._tell_status, client, request)),
                )
            case messages.Graph():
                _reply(client, self._graph(request, self._seq))
            case messages.List():
                _reply(client, messages.ListReply(id=request.id, services=tuple(stack.services)))
            case messages.Events():
                known = [notice for notice in self._notices if notice.seq > request.since]
                notices = tuple(known[-request.limit :]) if request.limit > 0 else ()
                reply = messages.EventsReply(
                    id=request.id,
                    notices=notices,
                    events=client.events,
                    seq=self._seq,
                    stackd=self._status.stackd,
                )
                _reply(client, reply)
            case messages.Signal():
                number(request.signal)
                self._engine.request(lambda _: stack.signal(request.service, request.signal))
                self._audit.accept(client.caller, request, "done")
                _reply(client, messages.Done(id=request.id))
            case messages.Reset():
                self._engine.request(lambda now: stack.reset(request.services, now, client.caller.name))
                self._audit.accept(client.caller, request, "done")
                _reply(client, messages.Done(id=request.id))
            case messages.Apply():
                self._apply(client, request)
            case messages.Shutdown(keep_services=True):
                if stack.is_shutting_down:
                    raise RefusedError("cannot leave the services running: they are being stopped already")
                op = self.next_operation()
                self._audit.accept(client.caller, request, f"operation {op}")
                _reply(client, messages.Accepted(id=request.id, op=op, services=()))
                _reply(client, messages.Finished(id=request.id, op=op, ok=True, outcomes=()))
                self._outlet.leave()
            case _:
                self._operate(client, request)

    def _tell_status(self, client: Client, request: messages.Status) -> None:
        _reply(client, self._status(request, self._seq, client.events))

    def leave(self) -> None:
        """Tell those who wait that nobody here will see how it ends; what is to be done is the next one's."""
        self._is_leaving = True
        problem = StackError(
            "cannot tell how it ends: stackd leaves and the services go on",
            ("the next stackd goes on with what was begun; see `stackctl status`",),
        )
        self._under_way.fail_all(problem)

    def _refuse_when_leaving(self, request: messages.AnyRequest) -> None:
        """The engine has let go: it would do nothing, and be silent about it. Raises StackError."""
        if self._is_leaving and (needed(request) != "view" or isinstance(request, messages.Apply)):
            raise StackError(
                f"cannot {said(request)}: stackd leaves", ("nothing was done; ask the next one",)
            )

    def _operate(self, client: Client, request: messages.AnyRequest) -> None:
        if not isinstance(request, messages.Stop | messages.Shutdown):  # an end comes of it, also to these
            self._under_way.refuse_too_many(client)
        stack = self._stack
        op, by = self.next_operation(), client.caller.name

        def ask(now: float) -> list[do.Action]:
            match request:
                case messages.Start():
                    begun = stack.start(op, request.services, now, by)
                case messages.Stop():
                    begun = stack.stop(op, request.services, request.cascade, now, by)
                case messages.Restart():
                    begun = stack.restart(op, request.services, request.cascade, now, request.hard, by)
                case messages.Reload():
                    begun = stack.reload(op, request.services, now, by)
                case _:
                    begun = stack.shut_down(op, now, by)
            self._audit.accept(client.caller, request, f"operation {op}")
            self._under_way.open(op, client, request.id, begun.services)
            return begun.actions

        self._engine.request(ask)
        # Those that were under way already, and to whom this request was nothing new.
        for name in self._under_way.untold(op):
            self._under_way.tell(op, self._progress(op, name, stack.services[name].state))

    def _apply(self, client: Client, request: messages.Apply) -> None:
        def refuse(error: StackError) -> None:
            self._audit.refuse(client.caller, request, error)
            _reply(client, codec.failure(error, request.id))

        def show(plan: Plan) -> None:
            _reply(client, messages.PlanReply(id=request.id, plan=plan))

        def begin(op: int, services: tuple[str, ...], plan: Plan) -> None:
            self._audit.accept(client.caller, request, f"operation {op}")
            self._under_way.open(op, client, request.id, services, plan)

        asked = Asked(client.caller.name, request.plan, refuse, show, begin, self._under_way.conclude)
        self._outlet.apply(asked)
        client.go_on()

    # News.

    def publish(self, change: do.Publish) -> None:
        """Tell subscribers, and those who wait for an operation on this service."""
        self._seq += 1
        notice = messages.Notice(
            seq=self._seq,
            time=self._wall(change.at),
            service=change.service,
            event=change.event,
            state=change.state,
            previous=change.previous,
            wanted=change.wanted,
            run=change.run,
            pid=change.pid,
            reason=change.reason,
            detail=change.detail,
            by=change.by,
        )
        self._notices.append(notice)
        self._outlet.send_notice(codec.encode_notice(notice))
        log.info("%s", _describe(notice))
        for op in self._under_way.of(change.service):
            self._under_way.tell(op, self._progress(op, change.service, change.state, change.reason))

    def tell_awaited(self, order: do.TellAwaited) -> None:
        """Tell those who wait for an operation on a service that it waits for something else."""
        if service := self._stack.services.get(order.service):
            for op in self._under_way.of(service.name):
                self._under_way.tell(op, self._progress(op, service.name, service.state))

    def _progress(self, op: int, name: str, state: str, reason: str = "") -> messages.Progress:
        """What is told of a service on its way. By the time of this it may be a state further."""
        service = self._stack.services.get(name)
        if service is None or service.state != state:
            return messages.Progress(op=op, service=name, state=state, reason=reason)
        now, waits = self._engine.now(), self._stack.awaited(name)
        return messages.Progress(
            op=op,
            service=name,
            state=state,
            reason=waits.what or reason,
            lasted=round(now - service.since, 3),
            left=round(max(0.0, waits.until - now), 3) if waits.until != NEVER else None,
            then=waits.then if waits.until != NEVER else "",
        )

    def finish(self, end: do.Finish) -> None:
        """An operation ended for one of its services; when it did for all, the client is told."""
        if end.op in self._under_way:  # or stackd itself has asked, or who did has gone
            over = messages.Progress(op=end.op, service=end.service, state=end.state, reason=end.error)
            self._under_way.finish(end.op, over, self._outcome(end))

    def _outcome(self, end: do.Finish) -> parts.Outcome:
        service = self._stack.services.get(end.service)
        answer = self._refusal(end.service, service.run) if end.error and service else ""
        return parts.Outcome(
            service=end.service,
            state=end.state,
            error=end.error,
            detail=end.detail,
            probe="" if answer in end.error else answer,
            next_retry=None if end.retry == NEVER else self._wall(end.retry),
        )


def _reply(client: Client, reply: messages.Reply) -> None:
    client.reply(codec.encode_reply(reply))


def _named(request: messages.AnyRequest) -> tuple[str, ...]:
    match request:
        case messages.List() | messages.Events() | messages.Graph() | messages.Apply() | messages.Shutdown():
            return ()
        case messages.Signal():
            return (request.service,)
        case _:
            return request.services


_WORDS = {
    "StartRequested": "start requested",
    "StopRequested": "stop requested",
    "RestartRequested": "restart requested",
    "BecameReady": "ready again",
    "Spawned": "process made",
    "FilesChanged": "its files changed",
}
"""Events that change what is wanted or known, and not the state, in the words of the log."""


def _describe(notice: messages.Notice) -> str:
    """A notice as a line of the log."""
    if notice.state == notice.previous:
        move = f"{notice.state}, {_WORDS.get(notice.event, notice.event)}"
    else:
        move = f"{notice.previous} -> {notice.state}"
    who = f" (pid {notice.pid}, run {notice.run})" if notice.pid else ""
    by = f", by {notice.by}" if notice.by else ""
    why = f": {notice.reason}" if notice.reason else ""
    evidence = "".join(f"\n  {line}" for line in notice.detail)
    return f"{notice.service}: {move}{who}{by}{why}{evidence}"
