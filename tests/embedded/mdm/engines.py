"""A small engine's state, made by commands as a real one is."""

from __future__ import annotations

from typing import Any

from artesian.embedded.state import commands
from artesian.embedded.state.model import State

SLICES = 16


class Engine:
    """Three servers (or as many as asked for) with one device each; `devices` and `servers` are their ids."""

    def __init__(self, servers: int = 3, *, formatted: bool = True) -> None:
        self.state = State()
        self.make("bootstrap", name="engine", system_id="0" * 15 + "1", install_id="0" * 15 + "2",
                  token_key="00", random="0" * 8, password_hash="x", managers=[manager(1)])  # fmt: skip
        self.domain = self.make("add_protection_domain", random="d" * 8, name="domain")["id"]
        self.pool = self.make(
            "add_storage_pool",
            random="e" * 8,
            protection_domain_id=self.domain,
            name="pool",
            slice_count=SLICES,
        )["id"]
        self.servers: list[str] = []
        self.devices: list[str] = []
        for n in range(servers):
            self.add_server(n, formatted=formatted)
        if formatted:
            placements = {
                str(index): [self.devices[index % servers], self.devices[(index + 1) % servers]]
                for index in range(SLICES)
            }
            self.make("place_slices", pool_id=self.pool, placements=placements)

    def make(self, name: str, /, **args: Any) -> dict[str, Any]:
        return commands.apply(self.state, name, args)

    def add_server(self, n: int, *, formatted: bool) -> None:
        server_id = self.make(
            "add_server", random="a" * 8, protection_domain_id=self.domain,
            ips=[{"ip": f"127.0.1.{n + 1}", "role": "all"}], port=7072,
        )["id"]  # fmt: skip
        device_id = self.make(
            "add_device", random="b" * 8, server_id=server_id, storage_pool_id=self.pool, path="/disk"
        )["id"]
        if formatted:
            self.make("device_formatted", device_id=device_id, uuid=f"uuid{n}", slot_count=1000)
        self.servers.append(server_id)
        self.devices.append(device_id)

    def add_volume(self, name: str = "volume", *, thin: bool = True) -> str:
        volume_id: str = self.make(
            "add_volume", random="c" * 8, storage_pool_id=self.pool, size_bytes=1 << 30, name=name, thin=thin,
            available_bytes=1 << 40,
        )["id"]  # fmt: skip
        return volume_id

    def add_client(self, guid: str = "G") -> str:
        client_id: str = self.make("register_client", random="f" * 8, guid=guid, name=None, ip="127.0.1.1")[
            "client_id"
        ]
        return client_id


def manager(n: int) -> dict[str, Any]:
    return {
        "id": f"{n:016x}", "name": f"mdm{n}", "ip": f"127.0.0.{n}", "raft_port": 6711, "control_port": 6611,
        "role": "Manager",
    }  # fmt: skip


def device_report(state: str = "ready", **fields: Any) -> dict[str, Any]:
    """What a server says of a device."""
    return {
        "state": state, "error": None, "uuid": "uuid", "slot_count": 1000, "used_slots": 0, "damaged": False,
        "dropped_volumes": [], "allocated_volumes": [], "volume_slots": {}, "read_bytes": 0, "read_count": 0,
        "write_bytes": 0, "write_count": 0, "open_chunks": 0, "bad_blocks": 0,
    } | fields  # fmt: skip
