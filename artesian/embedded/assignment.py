"""What the managers tell servers and clients: pure functions of the state.

The messages are described in `docs/embedded-engine.md` ("Control"). A server's assignment is always complete;
a client's map can be limited to the slices that changed since a version.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from artesian.embedded.state.model import (
    CHUNK_BYTES,
    CopyState,
    Device,
    Join,
    Lifecycle,
    RebuildPolicy,
    Server,
    Slice,
    State,
    StoragePool,
)

REBUILD_REASONS = ("resync", "rebuild")  # the others go by the pool's rebalance policy
FAVOR_APPLICATIONS_BYTES_PER_S = 10 << 20  # PowerFlex' default for one device under favorAppIos


def server_address(server: Server) -> tuple[str, int]:
    """Where clients and other servers reach a server."""
    for entry in server.ips:
        if entry.get("role", "all") in ("all", "sdcOnly"):
            return entry["ip"], server.port
    return server.ips[0]["ip"], server.port


def server_assignment(state: State, server_id: str) -> dict[str, Any]:
    """Everything that one server has to do."""
    devices = {id: device for id, device in state.devices.items() if device.server_id == server_id}
    slices: dict[str, dict[str, list[Any]]] = {id: {} for id in devices}
    joins = []
    pools = {device.storage_pool_id for device in devices.values()}
    for pool_id in sorted(pools):
        pool = state.storage_pools[pool_id]
        active = state.protection_domains[pool.protection_domain_id].active
        busy = _joins_by_device(pool)
        for index, one in enumerate(pool.slices):
            _add_memberships(slices, index, one, serving=active)
            if one.join is not None and one.join.source_device_id in devices:
                joins.append(_join(state, pool, index, one.join, _limit(pool, one.join, busy)))
    return {
        "system_id": state.system_id,
        "version": state.version,
        "server_id": server_id,
        "devices": {id: _device(state, device, slices[id]) for id, device in devices.items()},
        "volumes": _volumes(state, pools),
        "joins": joins,
    }


def _add_memberships(
    slices: dict[str, dict[str, list[Any]]], index: int, one: Slice, *, serving: bool
) -> None:
    for copy in one.copies:
        if copy.device_id in slices:
            word = copy.state.value if serving else CopyState.STALE.value
            slices[copy.device_id][str(index)] = [word, one.generation]
    if one.join is not None and one.join.target_device_id in slices:
        slices[one.join.target_device_id][str(index)] = ["joining", one.generation]


def _device(state: State, device: Device, slices: dict[str, list[Any]]) -> dict[str, Any]:
    pool = state.storage_pools[device.storage_pool_id]
    return {
        "path": device.path,
        "uuid": device.uuid,
        "pool_id": pool.id,
        "lifecycle": device.lifecycle.value,
        "capacity_limit_bytes": device.capacity_limit_bytes,
        "force_takeover": device.force_takeover,
        "spare_percentage": pool.spare_percentage,
        "slice_count": len(pool.slices),
        "slices": slices,
        "drop_volumes": sorted(
            int(number) for number, waiting in state.deleted_volumes.items() if device.id in waiting
        ),
    }


def _volumes(state: State, pools: set[str]) -> dict[str, Any]:
    return {
        str(volume.number): {
            "epoch": volume.epoch,
            "pool_id": volume.storage_pool_id,
            "thin": volume.thin,
            "chunk_count": volume.size_bytes // CHUNK_BYTES,
            "allocate": volume.lifecycle is Lifecycle.ADDING,
        }
        for volume in state.volumes.values()
        if volume.storage_pool_id in pools
    }


def _join(state: State, pool: StoragePool, index: int, join: Join, limit_bytes_per_s: int) -> dict[str, Any]:
    one = pool.slices[index]
    ip, port = server_address(state.servers[state.devices[join.target_device_id].server_id])
    partners = [
        [copy.device_id, *server_address(state.servers[state.devices[copy.device_id].server_id])]
        for copy in one.copies
        if copy.state is CopyState.IN_SYNC and copy.device_id != join.source_device_id
    ]
    return {
        "job_id": join.job_id,
        "pool_id": pool.id,
        "slice": index,
        "slice_count": len(pool.slices),
        "source": join.source_device_id,
        "target": join.target_device_id,
        "target_ip": ip,
        "target_port": port,
        "generation": one.generation,
        "reason": join.reason,
        "limit_bytes_per_s": limit_bytes_per_s,
        "limited_while_busy_only": _policy_of(pool, join)[0] is RebuildPolicy.DYNAMIC_THROTTLING,
        "partners": partners,
    }


def _joins_by_device(pool: StoragePool) -> Counter[tuple[str, bool]]:
    """How many joins every device takes part in, by whether they are rebuilds."""
    joins = [one.join for one in pool.slices if one.join is not None]
    return Counter(
        (device_id, join.reason in REBUILD_REASONS)
        for join in joins
        for device_id in (join.source_device_id, join.target_device_id)
    )


def _policy_of(pool: StoragePool, join: Join) -> tuple[RebuildPolicy, int]:
    """The pool's policy for this kind of healing, and its limit in bytes per second."""
    if join.reason in REBUILD_REASONS:
        return pool.rebuild_policy, pool.rebuild_limit_bytes_per_s
    return pool.rebalance_policy, pool.rebalance_limit_bytes_per_s


def _limit(pool: StoragePool, join: Join, busy: Counter[tuple[str, bool]]) -> int:
    """Bytes per second that a join may copy; 0: no limit. Joins of one kind share their device's limit."""
    policy, limit = _policy_of(pool, join)
    if policy is RebuildPolicy.UNLIMITED:
        return 0
    if policy is not RebuildPolicy.LIMIT_CONCURRENT:
        limit = limit or FAVOR_APPLICATIONS_BYTES_PER_S
    is_rebuild = join.reason in REBUILD_REASONS
    sharing = max(busy[join.source_device_id, is_rebuild], busy[join.target_device_id, is_rebuild])
    return max(1, limit // sharing) if limit else 0


def client_map(state: State, client_id: str, since: int | None = None) -> dict[str, Any]:
    """What one client needs: its volumes and where their slices are (all, or those changed after `since`)."""
    mapped = [volume for volume in state.volumes.values() if client_id in volume.mappings]
    pool_ids = {volume.storage_pool_id for volume in mapped}
    devices = {
        id: device.server_id for id, device in state.devices.items() if device.storage_pool_id in pool_ids
    }
    server_ids = set(devices.values())
    return {
        "system_id": state.system_id,
        "version": state.version,
        "client_id": client_id,
        "full": since is None,
        "volumes": [
            {
                "id": volume.id,
                "number": volume.number,
                "name": volume.name,
                "size_bytes": volume.size_bytes,
                "pool_id": volume.storage_pool_id,
                "access_mode": volume.mappings[client_id].access_mode.value,
                "epoch": volume.epoch,
                "limit_iops": volume.mappings[client_id].limit_iops,
                "limit_bandwidth_kbps": volume.mappings[client_id].limit_bandwidth_kbps,
            }
            for volume in mapped
        ],
        "servers": {id: list(server_address(state.servers[id])) for id in sorted(server_ids)},
        "devices": devices,
        "pools": {
            pool_id: {
                "slice_count": len(state.storage_pools[pool_id].slices),
                "slices": {
                    str(index): [one.generation, [[copy.device_id, copy.state.value] for copy in one.copies]]
                    for index, one in enumerate(state.storage_pools[pool_id].slices)
                    if since is None or one.version > since
                },
            }
            for pool_id in sorted(pool_ids)
        },
    }
