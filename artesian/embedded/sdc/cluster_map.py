"""The client's picture of where everything is: built from the managers' maps, read on every request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from artesian.embedded.sdc.servers import RemoteServer


class Route:
    """Where the requests of one slice go: `targets` are the in-sync copies, (server, device number) each."""

    __slots__ = ("generation", "targets")

    def __init__(self, generation: int, targets: tuple[tuple[RemoteServer, int], ...]) -> None:
        self.generation = generation
        self.targets = targets


NOWHERE = Route(0, ())


class PoolMap:
    """The routes of one pool, by slice. The list itself is never replaced, only its entries."""

    def __init__(self, slice_count: int) -> None:
        self.slice_count = slice_count
        self.routes: list[Route] = [NOWHERE] * slice_count
        self.holders: list[list[tuple[str, str]]] = [[] for _ in range(slice_count)]


class ClusterMap:
    """All pools, servers and devices that this client has to do with.

    Maps of an older version than the newest applied are ignored, so they may arrive in any order.
    """

    def __init__(self, make_server: Callable[[str, str, int], RemoteServer]) -> None:
        self._make_server = make_server
        self.version = -1
        self.client_id: str | None = None
        self.servers: dict[str, RemoteServer] = {}
        self.device_servers: dict[str, str] = {}
        self.pools: dict[str, PoolMap] = {}
        self.volumes: list[dict[str, Any]] = []

    def apply(self, document: dict[str, Any]) -> bool:
        """Take a map over; False when it was older than what we have."""
        if document["version"] < self.version:
            return False
        self.client_id = document["client_id"]
        for server_id, (ip, port) in document["servers"].items():
            server = self.servers.get(server_id)
            if server is None or (server.ip, server.port) != (ip, port):
                if server is not None:
                    server.close()
                self.servers[server_id] = self._make_server(server_id, ip, port)
        self.device_servers = document["devices"]
        for pool_id, pool_document in document["pools"].items():
            self._apply_pool(pool_id, pool_document)
        for server_id in [id for id in self.servers if id not in document["servers"]]:
            self.servers.pop(server_id).close()
        self.volumes = document["volumes"]
        self.version = document["version"]
        return True

    def _apply_pool(self, pool_id: str, document: dict[str, Any]) -> None:
        pool = self.pools.get(pool_id)
        if pool is None:
            pool = self.pools[pool_id] = PoolMap(document["slice_count"])
        for text, (generation, copies) in document["slices"].items():
            slice_index = int(text)
            targets = []
            for device_id, state in copies:
                server = self.servers.get(self.device_servers.get(device_id, ""))
                if state == "in_sync" and server is not None:
                    targets.append((server, int(device_id, 16)))
            pool.routes[slice_index] = Route(generation, tuple(targets))
            pool.holders[slice_index] = [(device_id, state) for device_id, state in copies]

    def devices_of(self, server: RemoteServer) -> list[str]:
        """The ids of all devices on a server."""
        return [id for id, server_id in self.device_servers.items() if server_id == server.server_id]
