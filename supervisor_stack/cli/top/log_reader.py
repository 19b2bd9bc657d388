"""The logs of one service, followed in a thread for a pane."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress

from supervisor_stack.cli.logs.past import Line
from supervisor_stack.cli.logs.show import Display, prefixes
from supervisor_stack.cli.logs.sources import Source, of_services
from supervisor_stack.cli.logs.verb import stream
from supervisor_stack.cli.render import visible
from supervisor_stack.cli.top.feeds import Basket, Connect, Post
from supervisor_stack.control.messages import Status
from supervisor_stack.errors import StackError

_PAST = 200
"""Lines to begin with."""


class LogReader(threading.Thread):
    """Puts the last lines of a service into a basket, and what comes, until it is stopped."""

    def __init__(self, service: str, connect: Connect, post: Post) -> None:
        super().__init__(name="logs", daemon=True)
        self.basket = Basket(post)
        self._service = service
        self._connect = connect
        # The end to read from hangs up when the other one is closed, which is how the following is ended.
        self._reader, self._writer = os.pipe()

    def run(self) -> None:
        """Read on."""
        try:
            with self._connect() as client:
                found = client.request(Status(services=(self._service,), detail=True)).services
            sources = of_services(found)
            if not sources:
                self.basket.put([f"{self._service} has no log that could be shown"])
                return
            with suppress(BrokenPipeError):
                stream(sources, _PAST, True, _Pane(self.basket, prefixes(sources, False), self._reader))
        except StackError as error:
            self.basket.put([error.message, *error.detail])
        finally:
            os.close(self._reader)

    def stop(self) -> None:
        """End within a moment. To be called once."""
        os.close(self._writer)


class _Pane(Display):
    """Lines for a pane, harmless: visitors choose what stands in a log."""

    def __init__(self, basket: Basket, whose: Mapping[Source, bytes], reader: int) -> None:
        super().__init__(reader)
        self._basket = basket
        self._whose = whose

    def show(self, lines: Iterable[tuple[Source, Line]]) -> None:
        self._basket.put(visible(self._whose[source] + line.text) for source, line in lines)

    def _tell(self, text: str) -> None:
        self._basket.put([text])

    def _tell_error(self, error: StackError) -> None:
        self._basket.put([error.message, *error.detail])
