"""Which reply belongs to which request, what may come next, and until when. No I/O, and no clock.

A client sends the frames of an exchange, gives the conversation whatever arrives, and takes the replies out
of the exchange. Several exchanges may be open at once: replies are matched by the request's id.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import count
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import msgspec

from supervisor_stack.control.client.greeting import silent
from supervisor_stack.control.client.outcomes import Operation
from supervisor_stack.control.codec import Frames, decode_reply, encode_request, error_of
from supervisor_stack.control.messages import (
    Accepted,
    AnyReply,
    Apply,
    Done,
    Events,
    EventsReply,
    Failed,
    Finished,
    Graph,
    GraphReply,
    List,
    ListReply,
    PlanReply,
    Progress,
    Reply,
    Reset,
    Signal,
    Status,
    StatusReply,
)
from supervisor_stack.control.purpose import purpose
from supervisor_stack.errors import ProtocolVersionError, StackError, TimedOutError, UnreachableError

Question = Status | List | Events | Graph | Signal | Reset | Apply
Step = Accepted | Progress | Finished
Expected = TypeVar("Expected", bound=Reply)
Taken = TypeVar("Taken")

ANSWERS: dict[type[Question], type[Reply]] = {
    Status: StatusReply,
    List: ListReply,
    Events: EventsReply,
    Graph: GraphReply,
    Signal: Done,
    Reset: Done,
    Apply: PlanReply,
}
"""What is due for each question."""

REPEATABLE = (Status, List, Events, Graph)
"""Questions that the next stackd can be asked as well, when the one that was asked goes away."""

READING = 60.0
"""Seconds that stackd gets to read and judge its configuration: that looks at many files."""


class WentAwayError(UnreachableError):
    """The connection was lost before the answer came."""


class Conversation:
    """All that is said over one endpoint, with the stackd of the moment.

    `stackd`: when the stackd that answered last had begun, in RFC 3339; it tells one from the next.
    """

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.stackd = ""
        self._tickets = count(1)
        self._open: dict[str, Exchange[Any]] = {}

    @property
    def open_count(self) -> int:
        """How many requests somebody waits for."""
        return len(self._open)

    def begin(self, exchange: Exchange[Any]) -> str:
        """A fresh id, under which replies reach the exchange until `end`."""
        ticket = str(next(self._tickets))
        self._open[ticket] = exchange
        return ticket

    def end(self, ticket: str) -> None:
        """What still comes for this id is passed over."""
        self._open.pop(ticket, None)

    def hear(self, frames: Frames) -> None:
        """Give a message of stackd to whom it answers.

        What nobody can be found for, since it cannot be read or since stackd could not find an id in
        the request, is an answer to all who wait.
        """
        try:
            reply = decode_reply(frames)
        except ProtocolVersionError as error:
            self._fail(type(error), error.message, error.detail)
            return
        match reply:
            case Failed(id=""):
                error_ = error_of(reply)
                self._fail(type(error_), error_.message, error_.detail)
            case StatusReply() | EventsReply(stackd=msgspec.Struct()):
                self.stackd = reply.stackd.since if reply.stackd else ""
        if reply.id in self._open:
            self._open[reply.id].put(reply)

    def lose(self, *, for_good: bool = False) -> None:
        """The connection is gone, and all that arrived has been heard; `for_good`: by our own wish."""
        self._fail(
            UnreachableError if for_good else WentAwayError,
            f"cannot get an answer from {self.endpoint}: stackd went away",
            ("what was asked for may have been done, or begun.",),
        )

    def _fail(self, kind: type[StackError], message: str, detail: tuple[str, ...]) -> None:
        # Each gets an exception of its own: one that is raised takes on a traceback.
        for exchange in self._open.values():
            exchange.put(kind(message, detail))


class Exchange(Generic[Taken]):
    """A request and its replies. A context, which ends it.

    `frames`: what is to be sent. `deadline`: until when the next reply has to come, by the clock that
    `now` is of; None: no limit. `patience`: seconds for the first reply. `wake` is called when there is
    something to take. Raises RequestError when the request cannot be put into bytes.
    """

    def __init__(
        self,
        conversation: Conversation,
        message: Question | Operation,
        now: float,
        patience: float,
        wake: Callable[[], None] | None = None,
    ) -> None:
        self._ticket = conversation.begin(self)
        self._conversation = conversation
        self._patience = max(patience, READING) if isinstance(message, Apply) else patience
        self._wake = wake
        self._heard: deque[AnyReply | StackError] = deque()
        self.deadline: float | None = now + self._patience
        try:
            self.frames = encode_request(msgspec.structs.replace(message, id=self._ticket))
        except StackError:
            conversation.end(self._ticket)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._conversation.end(self._ticket)

    @property
    def is_accepted(self) -> bool:
        """Whether stackd is known to have taken up the request."""
        return False

    def put(self, reply: AnyReply | StackError) -> None:
        """A reply has arrived, or there is a reason why none will."""
        self._heard.append(reply)
        if self._wake:
            self._wake()

    def take(self) -> Taken | None:
        """The next reply, if there is one.

        Raises the error that stackd answered, UnreachableError, ProtocolVersionError.
        """
        if not self._heard:
            return None
        reply = self._heard.popleft()
        if isinstance(reply, StackError):
            raise reply
        if isinstance(reply, Failed):
            raise error_of(reply)
        return self._admit(reply)

    def late(self) -> TimedOutError:
        """What is wrong when the deadline has passed."""
        return silent(self._conversation.endpoint, self._patience)

    def _admit(self, reply: AnyReply) -> Taken:
        raise NotImplementedError


class Answer(Exchange[Reply]):
    """A question, which gets one reply."""

    def __init__(
        self,
        conversation: Conversation,
        message: Question,
        now: float,
        patience: float,
        wake: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(conversation, message, now, patience, wake)
        self._kind = ANSWERS[type(message)]

    def _admit(self, reply: AnyReply) -> Reply:
        return _expect(self._kind, reply)


class Course(Exchange[Step]):
    """An operation: Accepted first, Finished last. `limit`: seconds for all of it; None: no limit."""

    def __init__(
        self,
        conversation: Conversation,
        message: Operation,
        now: float,
        patience: float,
        limit: float | None,
        wake: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(conversation, message, now, patience, wake)
        self._message = message
        self._limit = limit
        self._end = None if limit is None else now + limit
        if limit is not None and limit < self._patience:
            self._patience, self.deadline = limit, self._end
        self._states: dict[str, str] | None = None

    @property
    def is_accepted(self) -> bool:
        """Whether it is under way."""
        return self._states is not None

    def late(self) -> TimedOutError:
        """What is wrong when the deadline has passed; of what is under way with what is true now."""
        if self._states is None or self._limit is None:
            return super().late()
        truth = (f"{service} is {state}." for service, state in self._states.items())
        return TimedOutError(
            f"cannot {purpose(self._message)}: not done within {self._limit:g} s",
            (*truth, "stackd goes on with it."),
        )

    def _admit(self, reply: AnyReply) -> Step:
        if self._states is None:
            accepted = _expect(Accepted, reply)
            self._states = {}
            self.deadline = self._end
            return accepted
        if isinstance(reply, Finished):
            return reply
        progress = _expect(Progress, reply)
        self._states[progress.service] = progress.state
        return progress


def _expect(kind: type[Expected], reply: AnyReply) -> Expected:
    if not isinstance(reply, kind):
        theirs, mine = type(reply).__name__, kind.__name__
        raise ProtocolVersionError(f"cannot understand stackd: it answered {theirs} where {mine} was due")
    return reply
