"""The client's conversation with the managers: its map, its epochs, and copies that failed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from artesian.embedded.control import Connection, ManagerLink
from artesian.embedded.sdc.cluster_map import ClusterMap
from artesian.embedded.sdc.servers import RemoteServer

REQUEST_TIMEOUT_S = 30.0


class ClientManagers:
    """Keeps the cluster map current, whoever leads."""

    def __init__(
        self,
        addresses: list[tuple[str, int]],
        secret: bytes,
        cluster_map: ClusterMap,
        registration: Callable[[], dict[str, Any]],
        on_map: Callable[[], None],
        session: str,
    ) -> None:
        self._map = cluster_map
        self._registration = registration
        self._on_map = on_map
        self._session = session
        self._refreshing: asyncio.Task[None] | None = None
        self._link = ManagerLink(
            addresses,
            secret,
            "sdc",
            self._pushed,
            lambda: ("register_client", registration()),
            self._registered,
        )

    async def run(self) -> None:
        """For ever."""
        await self._link.run()

    def push_report(self, volumes: dict[str, Any]) -> None:
        """Tell the leader which map we use and how our volumes fare."""
        if self._link.connected:
            self._link.push("client_report", {"version": self._map.version, "volumes": volumes})

    def _registered(self, answer: dict[str, Any]) -> None:
        self._map.client_id = answer["client_id"]

    async def _pushed(self, connection: Connection, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        if kind == "client_map":
            self._apply(body)
        return {}

    def _apply(self, document: dict[str, Any]) -> None:
        if self._map.apply(document):
            self._on_map()

    async def report_failed(self, device_ids: list[str], reason: str) -> None:
        """Have these devices' copies marked stale; returns when the map that says so is applied.

        Raises ManagersUnavailable when no manager leads for long.
        """
        answer = await self._link.request(
            "report_failed",
            {
                "client_id": self._map.client_id,
                "device_ids": device_ids,
                "reason": reason,
                "version": self._map.version,
            },
            timeout_s=REQUEST_TIMEOUT_S,
        )
        self._apply(answer["map"])

    async def refresh(self) -> None:
        """Fetch and apply the newest map; many that ask at once share one request."""
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.get_running_loop().create_task(self._refresh())
        await asyncio.shield(self._refreshing)

    async def _refresh(self) -> None:
        answer = await self._link.request(
            "get_map", {"client_id": self._map.client_id}, timeout_s=REQUEST_TIMEOUT_S
        )
        self._apply(answer["map"])

    async def new_epoch(self, volume_id: str) -> int:
        """A new epoch of a volume for our session, with the newest map applied."""
        answer = await self._link.request(
            "open_volume",
            {"volume_id": volume_id, "client_id": self._map.client_id, "session": self._session},
            timeout_s=REQUEST_TIMEOUT_S,
        )
        self._apply(answer["map"])
        return int(answer["epoch"])

    def devices_of(self, server: RemoteServer) -> list[str]:
        """The ids of all devices on a server."""
        return self._map.devices_of(server)
