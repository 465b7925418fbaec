"""The gateway's side of the managers: fresh views of the engine, and commands that change it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Protocol

from artesian.embedded.errors import CommandRefused, EngineError, ManagersUnavailable
from artesian.embedded.gateway import outcomes
from artesian.embedded.gateway.view import Relations, View
from artesian.embedded.state.codec import live_from_json, state_from_json

QUERY_TIMEOUT_S = 5.0
COMMAND_TIMEOUT_S = 10.0
_TRIES = 4


class Link(Protocol):
    """What the gateway needs of its connection to the leading manager."""

    async def request(
        self, kind: str, body: dict[str, Any], timeout_s: float = ..., *, once: bool = ...
    ) -> dict[str, Any]:
        """Raises EngineError of all kinds, and ConnectionError if it is to be sent only once."""


class Managers:
    """Queries and commands over one link.

    A view is never older than the call that asked for it, so that whoever was told that a change
    succeeded, by whichever gateway, sees it. Calls that come while a query is under way share the next
    one; the decoded state is used again as long as its version stays the same.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._running: asyncio.Task[View] | None = None
        self._waiting: asyncio.Task[View] | None = None
        self._last: View | None = None

    async def look(self) -> View:
        """The engine as it is now. Raises EngineError or ConnectionError."""
        if self._waiting is None:
            self._waiting = asyncio.create_task(self._query_after(self._running))
            self._waiting.add_done_callback(_retrieve)
        return await asyncio.shield(self._waiting)

    async def command(self, name: str, args: dict[str, Any], before: View) -> dict[str, Any]:
        """Changes the engine, once even if the leading manager changes meanwhile.

        `before` is a view from before the command. Raises CommandRefused, and what `look` raises; then the
        command may or may not have been carried out.
        """
        body = {"name": name, "args": args}
        repeatable = outcomes.may_repeat(name)
        tries = 0
        while True:
            try:
                return await self._link.request("command", body, COMMAND_TIMEOUT_S, once=not repeatable)
            except (CommandRefused, ManagersUnavailable):
                raise
            except (ConnectionError, EngineError):  # the manager, or its lead, was lost meanwhile
                tries += 1
                if tries == _TRIES:
                    raise
            if not repeatable:
                now = await self.look()
                done = outcomes.result_if_done(name, args, before.state, now.state)
                if done is not None:
                    return done

    async def _query_after(self, before: asyncio.Task[View] | None) -> View:
        if before is not None:
            await asyncio.wait([before])
        self._running, self._waiting = self._waiting, None
        answer = await self._link.request("query", {}, QUERY_TIMEOUT_S)
        self._last = _decode(answer, self._last)
        return self._last


def _decode(answer: dict[str, Any], last: View | None) -> View:
    """Decoding a large state costs milliseconds: a version that is known is not decoded again."""
    raw = answer["state"]
    live = live_from_json(answer["live"], only_shown=True)
    if last is not None and (raw["system_id"], raw["version"]) == (last.state.system_id, last.state.version):
        return View(last.state, live, last.relations)
    state = state_from_json(raw, only_shown=True)
    return View(state, live, Relations(state))


def _retrieve(task: asyncio.Task[View]) -> None:
    """Whoever waited may be gone by now; the failure is theirs to see, not the event loop's to report."""
    with contextlib.suppress(asyncio.CancelledError):
        task.exception()
