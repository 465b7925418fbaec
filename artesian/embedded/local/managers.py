"""Talking to the managers from a command: one question, one answer, then hang up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

from artesian.embedded.control import Connection, address_of, connect
from artesian.embedded.errors import ManagersUnavailable, NotLeader
from artesian.embedded.state.codec import live_from_json, state_from_json
from artesian.embedded.state.live import Live
from artesian.embedded.state.model import State

_CONNECT_TIMEOUT_S = 1.0
_RETRY_S = 0.02


def query(addresses: Sequence[tuple[str, int]], secret: bytes, timeout_s: float) -> tuple[State, Live]:
    """The state, and what the leader sees. Raises ManagersUnavailable."""
    answer = ask(addresses, secret, "query", {}, timeout_s)
    live = live_from_json(answer["live"], only_shown=True)
    return state_from_json(answer["state"], only_shown=True), live


def ask(
    addresses: Sequence[tuple[str, int]], secret: bytes, kind: str, body: dict[str, Any], timeout_s: float
) -> dict[str, Any]:
    """Ask whoever leads, also one of whom only those at `addresses` know. The request may be sent more than
    once. Raises ManagersUnavailable, EngineError."""
    return asyncio.run(_ask(addresses, secret, kind, body, timeout_s))


async def _ask(
    addresses: Sequence[tuple[str, int]], secret: bytes, kind: str, body: dict[str, Any], timeout_s: float
) -> dict[str, Any]:
    leaders: set[tuple[str, int]] = set()
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                known = {*addresses, *leaders}
                leaders.clear()
                answer = await _first(
                    [_ask_one(address, secret, kind, body, timeout_s, leaders) for address in known]
                )
                if answer is not None:
                    return answer
                await asyncio.sleep(_RETRY_S)
    except TimeoutError:
        raise ManagersUnavailable(f"no manager answered within {timeout_s:g} s") from None


async def _first(attempts: Sequence[Awaitable[dict[str, Any] | None]]) -> dict[str, Any] | None:
    """The first answer that is one; the other attempts are given up."""
    tasks = [asyncio.ensure_future(attempt) for attempt in attempts]
    try:
        for task in asyncio.as_completed(tasks):
            answer = await task
            if answer is not None:
                return answer
        return None
    finally:
        for pending in tasks:
            pending.cancel()


async def _ask_one(
    address: tuple[str, int],
    secret: bytes,
    kind: str,
    body: dict[str, Any],
    timeout_s: float,
    leaders: set[tuple[str, int]],
) -> dict[str, Any] | None:
    """None if this manager is not there or does not lead; who does, as far as it knows, joins `leaders`."""
    connection = None
    try:
        connection = await connect(*address, secret, "gateway", _ignore, _CONNECT_TIMEOUT_S)
        return await connection.request(kind, body, timeout_s)
    except NotLeader as error:
        leader = address_of(error.leader)
        if leader is not None:
            leaders.add(leader)
        return None
    except OSError:
        return None
    finally:
        if connection is not None:
            connection.close()


async def _ignore(_connection: Connection, _kind: str, _body: dict[str, Any]) -> dict[str, Any]:
    return {}
