"""What came of one question to a server."""

from __future__ import annotations

from typing import NamedTuple


class Answer(NamedTuple):
    """`words` say to people why the server is not ready; empty: it is.

    `heard`: the server itself did something at the connection, were it only to close it; it does not
    hang. `loaded`: how much it has read of what it needs before it is ready, in units of its own.
    """

    words: str = ""
    heard: bool = True
    loaded: int = 0
