"""Who sent a request, to those who answer it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from supervisor_stack.daemon.access import Caller


class Client(NamedTuple):
    """Who sent a request. `events`: where he hears of notices; `reply`: sends him an answer; `go_on`: lets
    his next request be served before this one is answered, which may take long; `is_gone`: whether he has
    hung up, which nobody tells of who comes over the network."""

    caller: Caller
    events: str
    reply: Callable[[list[bytes]], None]
    go_on: Callable[[], None] = lambda: None
    is_gone: Callable[[], bool] = lambda: False


Deliver = Callable[[Client, list[bytes]], None]
