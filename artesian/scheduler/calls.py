"""Questions to others that may take seconds, asked beside the loop: the answer is there at a later pass."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

Answer = TypeVar("Answer")


class Calls:
    """At most one call at a time for each key. `wake` is called when one has ended. For one thread."""

    def __init__(self, executor: Executor, wake: Callable[[], None]) -> None:
        self._executor = executor
        self._wake = wake
        self._under_way: dict[Hashable, Future[Any]] = {}

    def ask(self, key: Hashable, call: Callable[[], Answer]) -> Future[Answer] | None:
        """The finished call, which is forgotten with that; None while it is under way."""
        future = self._under_way.get(key)
        if future is None:
            future = self._under_way[key] = self._executor.submit(call)
            future.add_done_callback(lambda _: self._wake())
        if not future.done():
            return None
        del self._under_way[key]
        return future

    def close(self) -> None:
        """Wait for nobody."""
        self._executor.shutdown(wait=False, cancel_futures=True)
