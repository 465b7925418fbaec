"""Telling the engine about its nodes and disks, through the gateway: what is missing is added, nothing else
is touched."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from artesian.embedded.local.description import DiskDescription, EngineDescription, NodeDescription
from artesian.embedded.local.layout import POOL, Layout
from artesian.embedded.local.rest import Gateway

DOMAIN = "default"
_AT_ONCE = 8
_DEFAULT_SPARE_PERCENTAGE = 10
Item = TypeVar("Item")


def fault_set_name(number: int) -> str:
    return f"fault-set-{number}"


def disk_name(node: NodeDescription, disk: DiskDescription) -> str:
    """A device's name in the engine."""
    return f"{node.name}-disk-{disk.number}"


def spare_percentage(description: EngineDescription) -> int:
    """Enough to remake what the largest fault unit held; of no use where there is nowhere to remake it."""
    units = description.fault_sets or len(description.nodes)
    return max(_DEFAULT_SPARE_PERCENTAGE, -(-100 // units)) if units > 2 else _DEFAULT_SPARE_PERCENTAGE


def is_complete(description: EngineDescription) -> bool:
    """Whether the engine has been told about everything."""
    return all(node.taken and all(disk.taken for disk in node.disks) for node in description.nodes)


def ensure(gateway: Gateway, layout: Layout, description: EngineDescription) -> None:
    """Add whatever the engine does not have yet, and mark it as taken in the description.

    Raises RestRefused, NotRunning.
    """
    with gateway:
        domain_id = _ensure_named(gateway, "ProtectionDomain", DOMAIN, {})
        pool_id = _ensure_pool(gateway, domain_id, description)
        fault_sets = {
            number: _ensure_named(
                gateway, "FaultSet", fault_set_name(number), {"protectionDomainId": domain_id}
            )
            for number in range(1, description.fault_sets + 1)
        }
        _ensure_servers(gateway, description, domain_id, fault_sets)
        _ensure_devices(gateway, layout, description, pool_id)


def _ensure_named(gateway: Gateway, kind: str, name: str, parameters: dict[str, Any]) -> str:
    for item in gateway.list(kind):
        if item.get("name") == name:
            return str(item["id"])
    return gateway.create(kind, {"name": name, **parameters})


def _ensure_pool(gateway: Gateway, domain_id: str, description: EngineDescription) -> str:
    for item in gateway.list("StoragePool"):
        if item.get("name") == POOL:
            return str(item["id"])
    parameters = {"name": POOL, "protectionDomainId": domain_id, "mediaType": "HDD"}
    pool_id = gateway.create("StoragePool", parameters)
    percentage = spare_percentage(description)
    if percentage != _DEFAULT_SPARE_PERCENTAGE:
        gateway.act("StoragePool", pool_id, "setSparePercentage", {"sparePercentage": str(percentage)})
    return pool_id


def _ensure_servers(
    gateway: Gateway, description: EngineDescription, domain_id: str, fault_sets: dict[int, str]
) -> None:
    known = {item["name"] for item in gateway.list("Sds")}

    def add(node: NodeDescription) -> None:
        if node.name not in known:
            parameters: dict[str, Any] = {
                "name": node.name,
                "protectionDomainId": domain_id,
                "sdsIpList": [{"SdsIp": {"ip": node.ip, "role": "all"}}],
                "sdsPort": str(node.sds_port),
            }
            if node.fault_set is not None:
                parameters["faultSetId"] = fault_sets[node.fault_set]
            gateway.create("Sds", parameters)
        node.taken = True

    _each(add, [node for node in description.nodes if not node.taken])


def _ensure_devices(gateway: Gateway, layout: Layout, description: EngineDescription, pool_id: str) -> None:
    servers = {item["name"]: item["id"] for item in gateway.list("Sds")}
    known = {(item["sdsId"], item["deviceCurrentPathName"]) for item in gateway.list("Device")}

    def add(pair: tuple[NodeDescription, DiskDescription]) -> None:
        node, disk = pair
        path = str(layout.disk(node, disk))
        if (servers[node.name], path) not in known:
            parameters = {
                "name": disk_name(node, disk),
                "deviceCurrentPathname": path,
                "sdsId": servers[node.name],
                "storagePoolId": pool_id,
            }
            gateway.create("Device", parameters)
        disk.taken = True

    wanted = [
        (node, disk)
        for node in description.nodes
        if node.name in servers
        for disk in node.disks
        if not disk.taken
    ]
    _each(add, wanted)


def _each(work: Callable[[Item], None], items: Iterable[Item]) -> None:
    """Several at once; the first error is raised after all have ended."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for result in [pool.submit(work, item) for item in items]:
            result.result()
