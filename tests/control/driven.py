"""The client that is awaited, driven as if it waited: what holds for one client has to hold for both."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Callable, Iterator
from types import TracebackType
from typing import Any, Self, cast

from supervisor_stack.control.client import AsyncStackClient, CurveKeys, StackClient

Connect = Callable[..., StackClient]


class Driven:
    """An AsyncStackClient with a loop of its own, which runs only while something is asked."""

    def __init__(self, endpoint: str, timeout: float, keys: CurveKeys | None) -> None:
        self._client = AsyncStackClient(endpoint, timeout, keys)
        self._loop = asyncio.new_event_loop()
        try:
            self._loop.run_until_complete(self._client.__aenter__())
        except BaseException:
            self._loop.close()
            raise

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._client, name)
        if not callable(attribute):
            return attribute

        def call(*args: Any, **kwargs: Any) -> Any:
            called: Any = attribute(*args, **kwargs)
            if inspect.isasyncgen(called):
                return self._iterate(called)
            return self._loop.run_until_complete(called)

        return call

    def _iterate(self, generator: AsyncGenerator[Any, Any]) -> Iterator[Any]:
        try:
            while True:
                try:
                    item = self._loop.run_until_complete(anext(generator))
                except StopAsyncIteration:
                    return
                yield item
        finally:
            if not self._loop.is_closed():
                self._loop.run_until_complete(generator.aclose())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.run_until_complete(self._client.close())
        assert not asyncio.all_tasks(self._loop)
        self._loop.close()


def driven(endpoint: str, timeout: float = 5.0, keys: CurveKeys | None = None) -> StackClient:
    """An AsyncStackClient, to be used as a StackClient."""
    return cast(StackClient, Driven(endpoint, timeout, keys))
