"""Which parts of an engine that was just started its managers still wait for: a pure function."""

from __future__ import annotations

from artesian.embedded.local.description import EngineDescription
from artesian.embedded.state.live import Live
from artesian.embedded.state.model import Device, State


def awaited(description: EngineDescription, state: State, live: Live) -> list[str]:
    """The clients, servers and devices of which the leading manager has not heard yet, or that are still
    being opened, each in a few words; none once everything has settled. A device that has failed is
    settled: waiting does not help it."""
    connected = {id for id, seen in live.clients.items() if seen.connected}
    clients = {client.guid for client in state.clients.values() if client.id in connected}
    addresses = {(node.ip, node.sds_port) for node in description.nodes}
    servers = [server for server in state.servers.values() if (server.ips[0]["ip"], server.port) in addresses]
    there = {
        server.id for server in servers if server.id in live.servers and live.servers[server.id].connected
    }
    return [
        *(f"the client of {node.name}" for node in description.nodes if node.guid not in clients),
        *(f"the server {server.name}" for server in servers if server.id not in there),
        *(
            f"the device {device.name or device.path}"
            for device in state.devices.values()
            if device.server_id in there and _is_opening(device, live)
        ),
    ]


def _is_opening(device: Device, live: Live) -> bool:
    seen = live.devices.get(device.id)
    return device.error is None and (seen is None or seen.state == "opening")
