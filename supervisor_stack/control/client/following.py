"""Which notices are new: their numbers, the gaps in them, and a stackd that counts anew. No I/O."""

from __future__ import annotations

from supervisor_stack.control.messages import Events, EventsReply, Notice
from supervisor_stack.errors import TimedOutError

SILENCE = 1.0
"""Seconds without a notice after which a subscriber asks whether it missed one, and whether stackd lives."""

SETTLING = 0.1
"""A PUB learns of a subscriber some time after the subscriber has connected, and tells nobody when. What it
published until then is asked for once, after this many seconds."""

WITHOUT_LIMIT = 2**31 - 1


class Following:
    """A subscription. `since`: the number of the last notice that is known; None: of the last that there is.

    `stackd`: when the stackd that counted so far had begun, in RFC 3339; "" when that is not known.
    """

    def __init__(self, since: int | None, stackd: str) -> None:
        self._since = since
        self._stackd = stackd

    def greeting(self) -> Events:
        """What to ask to learn where the notices are published."""
        return Events(since=self._since or 0, limit=0)

    def greeted(self, reply: EventsReply) -> None:
        """The answer to that. Another stackd than before counts anew, and all it knows is new."""
        if self._since is None:
            self._since = reply.seq
        elif not self.is_same(reply):
            self._since = 0
        self._stackd = reply.stackd.since if reply.stackd else ""

    def question(self) -> Events:
        """What to ask for what was missed."""
        return Events(since=self._since or 0, limit=WITHOUT_LIMIT)

    def is_same(self, reply: EventsReply) -> bool:
        """Whether the stackd that answers is the one that counted so far; if not, greet it."""
        if reply.stackd and self._stackd and reply.stackd.since != self._stackd:
            return False
        return reply.seq >= (self._since or 0)  # which also tells one that does not say when it began

    def is_new(self, notice: Notice) -> bool:
        """Whether this one is to be told; it is known from now on."""
        known = self._since or 0
        self._since = max(known, notice.seq)
        return notice.seq > known

    def leaves_gap(self, notice: Notice) -> bool:
        """Whether some that came before it are missing: PUB drops them for a slow reader."""
        return notice.seq > (self._since or 0) + 1


def no_more_time() -> TimedOutError:
    """What is wrong when a subscriber's own time is over."""
    return TimedOutError("cannot wait longer for events: the time is over")
