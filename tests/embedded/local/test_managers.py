"""One question to the managers: whoever leads answers it, wherever it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from artesian.embedded.control import Connection, serve
from artesian.embedded.errors import CommandRefused, ManagersUnavailable, NotLeader
from artesian.embedded.local import managers
from tests.embedded.mdm.managers import free_port
from tests.patience import PATIENCE

SECRET = b"the engine's secret, 32 bytes..."
HOST = "127.0.0.1"


@asynccontextmanager
async def manager(leader: tuple[str, int] | None, port: int) -> AsyncIterator[tuple[str, int]]:
    """One that names this leader, or leads itself if that is its own address."""

    async def handle(_connection: Connection, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        if leader != (HOST, port):
            raise NotLeader(f"{leader[0]}:{leader[1]}" if leader is not None else None)
        if kind == "wrong":
            raise CommandRefused(7, "no such thing")
        return {kind: body}

    server = await serve(HOST, port, SECRET, handle, None, None)
    try:
        yield HOST, port
    finally:
        server.close()


async def ask(*addresses: tuple[str, int], kind: str = "question", timeout_s: float = 5.0) -> dict[str, Any]:
    return await asyncio.to_thread(
        managers.ask, addresses, SECRET, kind, {"about": "this"}, timeout_s * PATIENCE
    )


def test_a_leader_that_only_other_managers_know_of_is_asked() -> None:
    async def story() -> None:
        leader = (HOST, free_port(HOST))
        async with manager(leader, leader[1]), manager(leader, free_port(HOST)) as other:
            assert await ask(other) == {"question": {"about": "this"}}
            with pytest.raises(CommandRefused, match="no such thing"):
                await ask(other, kind="wrong")

    asyncio.run(story())


def test_a_leader_that_is_gone_and_managers_that_know_none_are_no_answer() -> None:
    async def story() -> None:
        gone = (HOST, free_port(HOST))
        async with manager(gone, free_port(HOST)) as first, manager(None, free_port(HOST)) as second:
            with pytest.raises(ManagersUnavailable, match="no manager answered"):
                await ask(first, second, gone, timeout_s=0.5)

    asyncio.run(story())
