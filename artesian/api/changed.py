"""Tells waiting requests that the scheduler's state has changed, from whatever thread."""

from __future__ import annotations

import asyncio
from contextlib import suppress


class Changed:
    """Events of one loop, set together."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: set[asyncio.Event] = set()
        self.closed = False

    def bind(self) -> None:
        """Use the running loop."""
        self._loop = asyncio.get_running_loop()

    def subscribe(self) -> asyncio.Event:
        """An event that is set at each change from now on."""
        event = asyncio.Event()
        self._waiting.add(event)
        return event

    def unsubscribe(self, event: asyncio.Event) -> None:
        """No longer."""
        self._waiting.discard(event)

    def tell(self) -> None:
        """Something has changed. From any thread."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended, and nobody waits
                self._loop.call_soon_threadsafe(self._set_all)

    def close(self) -> None:
        """Let everybody who waits go."""
        self.closed = True
        self._set_all()

    def _set_all(self) -> None:
        for event in self._waiting:
            event.set()
