"""Whether a Mesos would have us: its master is there, believes who we are, and takes our role."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from artesian.clusters.mesos.settings import MesosSettings
from artesian.mesos.errors import MasterUnreachable
from artesian.mesos.scheduler import Pace, SchedulerClient

PATIENCE_S = 12.0


class _Taken(Exception):
    """Mesos has taken us."""


def try_out(settings: MesosSettings, patience_s: float = PATIENCE_S) -> None:
    """Subscribe for a moment, as a framework that Mesos forgets at once. Raises MesosError."""
    asyncio.run(_try_out(settings, patience_s))


async def _try_out(settings: MesosSettings, patience_s: float) -> None:
    info: dict[str, Any] = {
        "id": {"value": f"{settings.name}-trial-{uuid.uuid4()}"},
        "name": f"{settings.name} (trial)",
        "user": settings.user or "root",
        "roles": [settings.role],
        "failover_timeout": 0.0,
        "capabilities": [{"type": "MULTI_ROLE"}],
    }
    client = SchedulerClient(settings.access(), info, pace=Pace(0.2, 1.0))

    async def handle(event: dict[str, Any]) -> None:
        if event["type"] == "SUBSCRIBED":
            raise _Taken

    try:
        async with asyncio.timeout(patience_s):
            await client.run(handle)
    except _Taken:
        return
    except TimeoutError:
        raise MasterUnreachable(client.trouble or "no Mesos master answers") from None
