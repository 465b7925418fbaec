"""The managers of a simulated cluster: the real state, decisions and messages, with one member that never
loses what it has committed. (Several members, elections and the journal have tests of their own.)"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import Any

from artesian.embedded import control
from artesian.embedded.assignment import client_map, server_assignment
from artesian.embedded.control import Connection
from artesian.embedded.errors import CommandRefused
from artesian.embedded.healing import HealingPolicy, decide
from artesian.embedded.state.commands import apply
from artesian.embedded.state.live import DeviceLive, JoinLive, Live, ServerLive
from artesian.embedded.state.model import Lifecycle, State

SETTLE_S = 3.0
AWAY_S = 2.0
COMMIT_S = 0.02


class SimulatedManager:
    """Leads from its start on. `state` outlives it."""

    def __init__(self, state: State, secret: bytes, address: tuple[str, int], policy: HealingPolicy) -> None:
        self.state = state
        self._secret = secret
        self._address = address
        self._policy = policy
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._servers: dict[Connection, str | None] = {}
        self._addresses: dict[Connection, tuple[str, int]] = {}
        self._clients: dict[Connection, str] = {}
        self._seen: dict[str, ServerLive] = {}
        self._devices: dict[str, DeviceLive] = {}
        self._joins: dict[int, JoinLive] = {}
        self._pushed: dict[Connection, int] = {}
        self.refused: dict[str, str] = {}

    async def run(self) -> None:
        await control.serve(*self._address, self._secret, self._handle, None, self._closed)
        while True:
            await asyncio.sleep(0.2)
            self._lead()
            for connection in [*self._servers, *self._clients]:
                connection.push("ping", {})

    def command(self, name: str, /, **args: Any) -> dict[str, Any]:
        """Apply, and tell everybody."""
        result = apply(self.state, name, args)
        self._push_all()
        return result

    def _closed(self, connection: Connection) -> None:
        server_id = self._servers.pop(connection, None)
        self._clients.pop(connection, None)
        if server_id is not None and server_id not in self._servers.values():
            self._seen[server_id] = ServerLive(False, self._loop.time())

    async def _handle(self, connection: Connection, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(COMMIT_S)
        if kind == "register_server":
            self._addresses[connection] = (body["ip"], body["port"])
            self._servers[connection] = None
            self._identify(connection)
            return {"server_id": self._servers[connection]}
        if kind == "report":
            self._report(body)
            return {}
        if kind == "register_client":
            number = f"{self._loop.random.getrandbits(32):08x}"  # type: ignore[attr-defined]
            answer = self.command(
                "register_client", random=number, guid=body["guid"], name=body["name"], ip=body["ip"]
            )
            self._clients[connection] = answer["client_id"]
            self._push_all()
            return answer
        if kind == "open_volume":
            answer = self.command("open_volume", volume_id=body["volume_id"], client_id=body["client_id"])
            return {**answer, "map": client_map(self.state, body["client_id"])}
        if kind == "report_failed":
            self.command("mark_stale", device_ids=body["device_ids"], reason=body["reason"])
            return {"version": self.state.version, "map": client_map(self.state, body["client_id"])}
        if kind == "get_map":
            return {"map": client_map(self.state, body["client_id"])}
        return {}

    def _identify(self, connection: Connection) -> None:
        ip, port = self._addresses[connection]
        for server in self.state.servers.values():
            if server.port == port and any(entry["ip"] == ip for entry in server.ips):
                self._servers[connection] = server.id
                self._seen[server.id] = ServerLive(True, self._loop.time())
                self._pushed.pop(connection, None)
                connection.push("assignment", server_assignment(self.state, server.id))

    def _push_all(self) -> None:
        for connection, server_id in list(self._servers.items()):
            if server_id is None or server_id not in self.state.servers:
                self._identify(connection)
            else:
                connection.push("assignment", server_assignment(self.state, server_id))
        for connection, client_id in self._clients.items():
            connection.push("client_map", client_map(self.state, client_id))

    def _report(self, body: dict[str, Any]) -> None:
        for device_id, document in body["devices"].items():
            fields = {
                key: tuple(value) if isinstance(value, list) else value for key, value in document.items()
            }
            self._devices[device_id] = DeviceLive(**fields)
        for text, document in body["joins"].items():
            self._joins[int(text)] = JoinLive(**document)
        self._lead()

    def live(self) -> Live:
        now = self._loop.time()
        for id, seen in self._seen.items():
            if id in self.state.servers and self.state.servers[id].in_maintenance:
                self._seen[id] = replace(seen, excused_s=now)
        return Live(
            now, now - self._began > SETTLE_S, dict(self._seen), dict(self._devices), {}, dict(self._joins)
        )

    def _lead(self) -> None:
        """What a leader does several times a second."""
        with contextlib.suppress(CommandRefused):
            for device_id, device in list(self.state.devices.items()):
                self._follow_device(device_id, device)
            live = self.live()
            for server_id, seen in live.servers.items():
                if not seen.connected and live.settled and live.now_s - seen.changed_s > AWAY_S:
                    ids = [id for id, device in self.state.devices.items() if device.server_id == server_id]
                    if self._serves(ids):
                        self.command("mark_stale", device_ids=ids, reason="away")
            for name, args in decide(self.state, self.live(), self._policy).commands:
                self.command(name, **args)

    def _serves(self, device_ids: list[str]) -> bool:
        """Whether something would be marked."""
        return any(
            len([copy for copy in one.copies if copy.state.value == "in_sync"]) > 1
            and any(copy.device_id in device_ids and copy.state.value == "in_sync" for copy in one.copies)
            for pool in self.state.storage_pools.values()
            for one in pool.slices
        )

    def _follow_device(self, device_id: str, device: Any) -> None:
        seen = self._devices.get(device_id)
        if seen is None:
            return
        if device.lifecycle is Lifecycle.ADDING and seen.state == "ready":
            self.command("device_formatted", device_id=device_id, uuid=seen.uuid, slot_count=seen.slot_count)
        elif device.lifecycle is Lifecycle.ADDING and seen.state == "refused":
            self.refused[device_id] = seen.error or ""
            self.command("device_refused", device_id=device_id, error=seen.error or "")
        elif seen.state == "failed" and device.error is None and device.uuid and seen.error:
            self.command("device_failed", device_id=device_id, error=seen.error)
        waiting = [number for number in seen.dropped_volumes if device_id in
                   self.state.deleted_volumes.get(str(number), ())]  # fmt: skip
        if waiting:
            self.command("volume_chunks_dropped", device_id=device_id, numbers=waiting)
