"""One look at the engine: the replicated state, the leader's live picture, and who belongs to whom."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TypeVar

from artesian.embedded.state.live import Live
from artesian.embedded.state.model import (
    Client,
    Device,
    FaultSet,
    ProtectionDomain,
    Server,
    State,
    StoragePool,
    Volume,
)

_T = TypeVar("_T")


def _group(items: Iterable[_T], key: Callable[[_T], str | None]) -> dict[str, list[_T]]:
    groups: dict[str, list[_T]] = defaultdict(list)
    for item in items:
        owner = key(item)
        if owner is not None:
            groups[owner].append(item)
    return dict(groups)


class Relations:
    """Who belongs to whom in one state; each index is built when it is first asked for."""

    def __init__(self, state: State) -> None:
        self._state = state

    @cached_property
    def pools_of_domain(self) -> dict[str, list[StoragePool]]:
        return _group(self._state.storage_pools.values(), lambda pool: pool.protection_domain_id)

    @cached_property
    def fault_sets_of_domain(self) -> dict[str, list[FaultSet]]:
        return _group(self._state.fault_sets.values(), lambda fault_set: fault_set.protection_domain_id)

    @cached_property
    def servers_of_domain(self) -> dict[str, list[Server]]:
        return _group(self._state.servers.values(), lambda server: server.protection_domain_id)

    @cached_property
    def servers_of_fault_set(self) -> dict[str, list[Server]]:
        return _group(self._state.servers.values(), lambda server: server.fault_set_id)

    @cached_property
    def devices_of_server(self) -> dict[str, list[Device]]:
        return _group(self._state.devices.values(), lambda device: device.server_id)

    @cached_property
    def devices_of_pool(self) -> dict[str, list[Device]]:
        return _group(self._state.devices.values(), lambda device: device.storage_pool_id)

    @cached_property
    def volumes_of_pool(self) -> dict[str, list[Volume]]:
        return _group(self._state.volumes.values(), lambda volume: volume.storage_pool_id)

    @cached_property
    def volumes_of_vtree(self) -> dict[str, list[Volume]]:
        return _group(self._state.volumes.values(), lambda volume: volume.vtree_id)

    @cached_property
    def volumes_of_client(self) -> dict[str, list[Volume]]:
        groups: dict[str, list[Volume]] = defaultdict(list)
        for volume in self._state.volumes.values():
            for client_id in volume.mappings:
                groups[client_id].append(volume)
        return dict(groups)

    def servers_of_pool(self, pool_id: str) -> list[Server]:
        ids = dict.fromkeys(device.server_id for device in self.devices_of_pool.get(pool_id, ()))
        return [self._state.servers[server_id] for server_id in ids if server_id in self._state.servers]


class View:
    """What one request sees. The state and its relations are shared by requests and never changed."""

    def __init__(self, state: State, live: Live, relations: Relations | None = None) -> None:
        self.state = state
        self.live = live
        self.relations = relations or Relations(state)

    def server_connected(self, server: Server) -> bool:
        seen = self.live.servers.get(server.id)
        return seen is not None and seen.connected

    def client_connected(self, client: Client) -> bool:
        seen = self.live.clients.get(client.id)
        return seen is not None and seen.connected

    def domain_of_pool(self, pool: StoragePool) -> ProtectionDomain | None:
        return self.state.protection_domains.get(pool.protection_domain_id)
