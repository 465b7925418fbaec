"""An engine in memory for the gateway's tests: the real commands on a real state, and servers that obey.

What a leading manager adds to commands (random digits, the time, what servers report) is added here too;
servers format a new device, and allocate a thick volume, a moment after they are told to.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from artesian.embedded import capacity
from artesian.embedded.errors import CommandRefused, EngineError, ManagersUnavailable
from artesian.embedded.gateway.passwords import hash_password
from artesian.embedded.state import commands
from artesian.embedded.state.codec import live_to_json, state_to_json
from artesian.embedded.state.live import ClientLive, DeviceLive, Live, ManagerLive, ServerLive
from artesian.embedded.state.model import Lifecycle, State

PASSWORD = "Sesame:open 1"
PASSWORD_HASH = hash_password(PASSWORD, cost=2)  # every test logs in
SYSTEM_ID = "14dbbf5617523654"
DEVICE_SLOTS = 10_000
MANAGERS = [
    {"id": f"{index:016x}", "name": f"mdm{index}", "ip": f"127.0.0.{index}", "raft_port": 7000,
     "control_port": 6611, "role": "TieBreaker" if index == 3 else "Manager"}
    for index in (1, 2, 3)
]  # fmt: skip


class MemoryEngine:
    """Stands where the link to the leading manager is."""

    def __init__(self) -> None:
        self.state = State()
        self.reachable = True
        self.lost_answers = 0  # so many commands are carried out, but their connection is lost
        self.lost_commands = 0  # so many commands are lost on their way
        self.refused_paths: dict[str, str] = {}
        self.servers_work = True
        self.queries = 0
        self.sent: list[str] = []
        self.live = Live(1.0, True)
        self.apply(
            "bootstrap",
            name="mocksystem",
            system_id=SYSTEM_ID,
            install_id="1c078b073d75512c",
            token_key="5a" * 32,
            password_hash=PASSWORD_HASH,
            managers=MANAGERS,
        )
        self.live = replace(
            self.live,
            managers={manager["id"]: ManagerLive(True, manager["name"] == "mdm2") for manager in MANAGERS},
        )

    async def request(
        self, kind: str, body: dict[str, Any], timeout_s: float = 10.0, *, once: bool = False
    ) -> dict[str, Any]:
        """As `ManagerLink.request`; what passes is JSON both ways."""
        if not self.reachable:
            raise ManagersUnavailable(f"no manager answered within {timeout_s:g} s")
        if not self.state.system_id:
            raise EngineError("this engine has not been bootstrapped yet")
        if kind == "query":
            self.queries += 1
            if self.servers_work:
                self.servers_obey()
            return _json({"state": state_to_json(self.state), "live": live_to_json(self.live)})
        assert kind == "command"
        self.sent.append(body["name"])
        if self.lost_commands:
            self.lost_commands -= 1
            return self._lose(once)
        if body["name"] in commands.MACHINE_COMMANDS:
            raise CommandRefused(0, "only managers may send this")
        result = self.apply(body["name"], **_json(body["args"]))
        if self.lost_answers:
            self.lost_answers -= 1
            return self._lose(once)
        return _json(result)

    def _lose(self, once: bool) -> dict[str, Any]:
        assert once, "a command that may not be repeated would be repeated by the link"
        if (self.lost_answers + self.lost_commands) % 2:
            raise EngineError("the lead was lost meanwhile")
        raise ConnectionResetError("the connection to the manager was lost")

    def apply(self, name: str, /, **args: Any) -> dict[str, Any]:
        """A command, with what the leading manager adds."""
        added = {
            "random": f"{(self.state.version * 2654435761 + 12345) & 0xFFFFFFFF:08x}",
            "now": 1_700_000_000,
            "device_slots": capacity.device_slots(self.live),
            "device_problems": capacity.device_problems(self.state, self.live),
            "connected_servers": capacity.connected_servers(self.live),
            "answering_devices": capacity.answering_devices(self.state, self.live),
            "available_bytes": self._available(name, args),
        }
        wanted = commands.parameters(name)
        return commands.apply(self.state, name, args | {k: v for k, v in added.items() if k in wanted})

    def _available(self, name: str, args: dict[str, Any]) -> int | None:
        pool_id = args.get("storage_pool_id")
        if name == "grow_volume" and args["volume_id"] in self.state.volumes:
            pool_id = self.state.volumes[args["volume_id"]].storage_pool_id
        if pool_id not in self.state.storage_pools:
            return None
        return capacity.available_bytes(self.state, self.live, str(pool_id))

    def servers_obey(self) -> None:
        """Servers carry out what the state wants of them, and report it."""
        for device in list(self.state.devices.values()):
            if not self.live.servers.get(device.server_id, ServerLive(False, 0)).connected:
                continue
            error = self.refused_paths.get(device.path)
            if device.lifecycle is Lifecycle.ADDING and error is not None:
                self.report(device.id, state="refused", error=error)
                self.refused_paths.pop(device.path)
            elif device.lifecycle is Lifecycle.ADDING and device.id in self.live.devices:
                if self.live.devices[device.id].error is not None:
                    self.apply("device_refused", device_id=device.id, error="refused")
                else:
                    uuid = f"uuid of {device.id}"
                    self.apply("device_formatted", device_id=device.id, uuid=uuid, slot_count=DEVICE_SLOTS)
            elif device.lifecycle is Lifecycle.ADDING:
                self.report(device.id, slot_count=DEVICE_SLOTS)
        for volume in list(self.state.volumes.values()):
            if volume.lifecycle is Lifecycle.ADDING:
                self.apply("volume_allocated", volume_id=volume.id, size_bytes=volume.size_bytes)

    def report(self, device_id: str, state: str = "ready", **facts: Any) -> None:
        self.live = replace(self.live, devices={**self.live.devices, device_id: DeviceLive(state, **facts)})

    def connect_server(self, server_id: str, connected: bool = True) -> None:
        self.live = replace(
            self.live, servers={**self.live.servers, server_id: ServerLive(connected, 1.0, process_id=4711)}
        )

    def add_client(self, guid: str, ip: str, *, connected: bool = True, name: str | None = None) -> str:
        client_id = str(self.apply("register_client", guid=guid, name=name, ip=ip)["client_id"])
        self.client_reports(client_id, {}, connected=connected)
        return client_id

    def client_reports(
        self, client_id: str, volumes: dict[str, dict[str, object]], *, connected: bool = True
    ) -> None:
        self.live = replace(
            self.live, clients={**self.live.clients, client_id: ClientLive(connected, 1.0, volumes=volumes)}
        )

    def document(self) -> dict[str, Any]:
        """The whole state, for comparing."""
        return state_to_json(self.state)


class Topology:
    """A domain with three servers of two devices each, a pool and two clients, made without the gateway."""

    def __init__(self, engine: MemoryEngine) -> None:
        self.domain = str(engine.apply("add_protection_domain", name="domain1")["id"])
        self.pool = str(
            engine.apply("add_storage_pool", protection_domain_id=self.domain, name="pool1", slice_count=16)[
                "id"
            ]
        )
        self.fault_sets: list[str] = []
        self.servers: list[str] = []
        self.devices: list[str] = []
        for index in (1, 2, 3):
            fault_set = engine.apply("add_fault_set", protection_domain_id=self.domain, name=f"rack{index}")[
                "id"
            ]
            server = engine.apply(
                "add_server",
                protection_domain_id=self.domain,
                name=f"node{index}",
                fault_set_id=fault_set,
                ips=[{"ip": f"127.0.1.{index}", "role": "all"}],
            )["id"]
            engine.connect_server(server)
            self.fault_sets.append(fault_set)
            self.servers.append(server)
            for disk in ("a", "b"):
                device = engine.apply(
                    "add_device", server_id=server, storage_pool_id=self.pool, path=f"/disks/{disk}"
                )["id"]
                self.devices.append(device)
        for _ in range(2):
            engine.servers_obey()
        self.clients = [
            engine.add_client("F8ECB844-23B8-4629-92BB-B6E49A1744CB", "127.0.1.1", name="h1"),
            engine.add_client("0A1B2C3D-23B8-4629-92BB-B6E49A1744CC", "127.0.1.2", name="h2"),
        ]


def _json(value: Any) -> Any:
    return json.loads(json.dumps(value))
