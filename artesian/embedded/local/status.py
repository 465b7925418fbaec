"""Everything there is to see of an engine: what the operating system says of its processes, and what the
leading manager says of the rest. As plain data, for JSON and for tables alike.

Sizes are bytes; `None` stands for what is not known, such as everything while no manager answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from artesian.embedded.capacity import pool_statistics
from artesian.embedded.errors import EngineError
from artesian.embedded.healing.policy import HealingPolicy
from artesian.embedded.healing.summary import PoolHealth, summarize
from artesian.embedded.local import managers
from artesian.embedded.local.engine import LocalEngine
from artesian.embedded.local.layout import USER, Role
from artesian.embedded.state.live import ClientLive, Live
from artesian.embedded.state.model import CHUNK_BYTES, Device, Server, State, Volume

QUERY_TIMEOUT_S = 3.0
Document = dict[str, Any]
Named = TypeVar("Named", Server, Device, Volume)


def status(engine: LocalEngine, timeout_s: float = QUERY_TIMEOUT_S) -> Document:
    """The engine now. Never fails because managers do not answer: then `problem` says so."""
    description = engine.description
    document: Document = {
        "engine": {
            "name": description.name,
            "folder": str(engine.folder),
            "system_id": description.system_id,
            "gateway": description.gateway_url,
            "user": USER,
            "password_file": str(engine.layout.password),
            "secret_file": str(engine.layout.secret),
            "certificate": str(engine.layout.certificates / "gateway.crt"),
        },
        "problem": None,
        "processes": _processes(engine),
    }
    state, live = State(), Live(0.0, False)
    if any(process["running"] for process in document["processes"] if process["role"] == Role.MDM):
        try:
            state, live = managers.query(description.manager_addresses, engine.secret, timeout_s)
        except EngineError as error:
            document["problem"] = str(error)
    else:
        document["problem"] = "no manager is running"
    nodes = {(node.ip, node.sds_port): node.number for node in description.nodes}
    clients = {node.guid: node.number for node in description.nodes}
    return document | {
        "managers": _managers(engine, state, live, document["processes"]),
        "servers": [_server(state, live, server, nodes) for server in _by_name(state.servers)],
        "devices": [_device(state, live, device, nodes) for device in _by_name(state.devices)],
        "pools": _pools(state, live),
        "volumes": [_volume(state, live, volume, clients) for volume in _by_name(state.volumes)],
        "mappings": _mappings(state, live, clients),
    }


def _by_name(objects: Mapping[str, Named]) -> list[Named]:
    return sorted(objects.values(), key=lambda item: (item.name or "", item.id))


def _processes(engine: LocalEngine) -> list[Document]:
    found = []
    for place in engine.places():
        identity = engine.running(place)
        found.append(
            {
                "role": place.role.value,
                "name": place.name,
                "node": place.node,
                "running": identity is not None,
                "process_id": identity.process_id if identity is not None else None,
                "config": str(place.config),
                "log": str(place.log),
            }
        )
    return found


def _managers(engine: LocalEngine, state: State, live: Live, seen: list[Document]) -> list[Document]:
    """`connected` is what the leader says; None while there is none."""
    by_name = {process["name"]: process for process in seen}
    ids = {(manager.ip, manager.raft_port): manager.id for manager in state.managers.values()}
    found = []
    for manager in engine.description.managers:
        report = live.managers.get(ids.get((manager.ip, manager.raft_port), ""))
        found.append(
            {
                "name": manager.name,
                "role": manager.role,
                "node": manager.node,
                "address": f"{manager.ip}:{manager.control_port}",
                "leader": report.leader if report is not None else False,
                "connected": report.connected if report is not None else None,
                "process_id": by_name[manager.name]["process_id"],
            }
        )
    return found


def _server(state: State, live: Live, server: Server, nodes: dict[tuple[str, int], int]) -> Document:
    report = live.servers.get(server.id)
    fault_set = state.fault_sets.get(server.fault_set_id or "")
    return {
        "id": server.id,
        "name": server.name,
        "node": nodes.get((server.ips[0]["ip"], server.port)),
        "address": f"{server.ips[0]['ip']}:{server.port}",
        "protection_domain": state.protection_domains[server.protection_domain_id].name,
        "fault_set": fault_set.name if fault_set is not None else None,
        "lifecycle": server.lifecycle.value,
        "in_maintenance": server.in_maintenance,
        "connected": report is not None and report.connected,
        "process_id": report.process_id or None if report is not None and report.connected else None,
    }


def _device(state: State, live: Live, device: Device, nodes: dict[tuple[str, int], int]) -> Document:
    server = state.servers[device.server_id]
    report = live.devices.get(device.id)
    connected = device.server_id in live.servers and live.servers[device.server_id].connected
    return {
        "id": device.id,
        "name": device.name,
        "node": nodes.get((server.ips[0]["ip"], server.port)),
        "server": server.name,
        "pool": state.storage_pools[device.storage_pool_id].name,
        "path": device.path,
        "uuid": device.uuid or None,
        "condition": _condition(device, connected, report.state if report is not None else None),
        "error": device.error or (report.error if report is not None and connected else None),
        "size_bytes": device.slot_count * CHUNK_BYTES,
        "used_bytes": report.used_slots * CHUNK_BYTES if report is not None else None,
        "bad_blocks": report.bad_blocks if report is not None else None,
        "errors": report.errors if report is not None else None,
        "read_s": report.read_s if report is not None else None,
        "write_s": report.write_s if report is not None else None,
    }


def _condition(device: Device, connected: bool, reported: str | None) -> str:
    """ "normal" | "adding" | "removing" | "failed" | "away" | "opening"."""
    if device.error is not None or reported in ("failed", "refused"):
        return "failed"
    if not connected:
        return "away"
    if device.lifecycle.value != "normal":
        return device.lifecycle.value
    return "normal" if reported == "ready" else "opening"


def _pools(state: State, live: Live) -> list[Document]:
    healths = {health.pool_id: health for health in summarize(state, live, HealingPolicy())}
    return [_pool(state, live, pool_id, healths[pool_id]) for pool_id in state.storage_pools]


def _pool(state: State, live: Live, pool_id: str, health: PoolHealth) -> Document:
    pool = state.storage_pools[pool_id]
    figures = pool_statistics(state, live, pool_id)
    return {
        "id": pool_id,
        "name": pool.name,
        "protection_domain": state.protection_domains[pool.protection_domain_id].name,
        "healthy": health.is_healthy,
        "raw_bytes": figures["maxCapacityInKb"] * 1024,
        "used_bytes": figures["capacityInUseInKb"] * 1024,
        "spare_bytes": figures["spareCapacityInKb"] * 1024,
        "free_bytes": max(0, figures["unusedCapacityInKb"]) * 1024,
        "protected_bytes": health.protected_bytes,
        "degraded_bytes": health.degraded_bytes,
        "unavailable_bytes": health.unavailable_bytes,
        "protected_slices": health.protected_slices,
        "degraded_slices": health.degraded_slices,
        "unavailable_slices": health.unavailable_slices,
        "unplaced_slices": health.unplaced_slices,
        "healing": [
            {
                "reason": progress.reason,
                "under_way": progress.under_way,
                "waiting": progress.waiting,
                "copied_bytes": progress.copied_bytes,
                "total_bytes": progress.total_bytes,
                "left_bytes": progress.left_bytes,
                "rate_bytes_per_s": progress.rate_bytes_per_s,
                "seconds_left": progress.seconds_left,
            }
            for progress in health.joins
        ],
        "sentences": list(health.sentences),
    }


def _volume(state: State, live: Live, volume: Volume, clients: dict[str, int]) -> Document:
    slots = sum(report.volume_slots.get(str(volume.number), 0) for report in live.devices.values())
    return {
        "id": volume.id,
        "name": volume.name,
        "pool": state.storage_pools[volume.storage_pool_id].name,
        "size_bytes": volume.size_bytes,
        "used_bytes": slots * CHUNK_BYTES,
        "thin": volume.thin,
        "lifecycle": volume.lifecycle.value,
        "nodes": [clients.get(state.clients[client_id].guid) for client_id in volume.mappings],
    }


def _mappings(state: State, live: Live, clients: dict[str, int]) -> list[Document]:
    found = []
    for volume in state.volumes.values():
        for client_id, mapping in volume.mappings.items():
            client = state.clients[client_id]
            report = live.clients.get(client_id, ClientLive(False, 0.0))
            seen = report.volumes.get(volume.id, {}) if report.connected else {}
            found.append(
                {
                    "volume": volume.name,
                    "volume_id": volume.id,
                    "node": clients.get(client.guid),
                    "client": client.name,
                    "client_id": client_id,
                    "process_id": report.process_id or None if report.connected else None,
                    "access_mode": mapping.access_mode.value,
                    "open": bool(seen.get("open", False)),
                    "nbd": seen.get("nbd"),
                    "read_bytes": seen.get("read_bytes"),
                    "write_bytes": seen.get("write_bytes"),
                }
            )
    return found
