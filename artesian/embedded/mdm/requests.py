"""What servers, clients and gateways ask of the leading manager, and its answers."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from artesian.embedded.assignment import client_map
from artesian.embedded.capacity import (
    answering_devices,
    available_bytes,
    connected_servers,
    device_problems,
    device_slots,
)
from artesian.embedded.control import Connection
from artesian.embedded.errors import CommandRefused, EngineError, NotLeader
from artesian.embedded.mdm.duties import disconnected_device_ids, marking_changes
from artesian.embedded.mdm.identity import managers_of
from artesian.embedded.mdm.leader import Leader
from artesian.embedded.mdm.members import change_managers
from artesian.embedded.mdm.sessions import ClientSession, ServerSession
from artesian.embedded.state.codec import live_to_json, state_to_json
from artesian.embedded.state.commands import MACHINE_COMMANDS, parameters

log = structlog.get_logger()

Body = dict[str, Any]
WRONG_ARGUMENT = 62


class Requests:
    """Answers requests for one lead."""

    def __init__(self, leader: Leader) -> None:
        self._leader = leader
        self._raft = leader.raft
        self._document: tuple[int, str, Body] | None = None
        self._handlers: dict[str, Callable[[Connection, Body], Awaitable[Body]]] = {
            "register_server": self._register_server,
            "register_client": self._register_client,
            "register_gateway": self._register_gateway,
            "report": self._report,
            "client_report": self._client_report,
            "open_volume": self._open_volume,
            "report_failed": self._report_failed,
            "get_map": self._get_map,
            "query": self._query,
            "command": self._command,
            "bootstrap": self._bootstrap,
        }

    async def handle(self, connection: Connection, kind: str, body: Body) -> Body:
        """Raises CommandRefused, NotLeader or EngineError."""
        handler = self._handlers.get(kind)
        if handler is None:
            raise EngineError(f"managers do not know requests of kind {kind!r}")
        try:
            return await handler(connection, body)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            log.warning("request.malformed", kind=kind, peer=connection.peer, error=repr(error))
            raise EngineError(f"a malformed request of kind {kind}: {error!r}") from error

    # --- coming and going

    async def _register_server(self, connection: Connection, body: Body) -> Body:
        session = ServerSession(connection, str(body["ip"]), int(body["port"]), int(body["process_id"]))
        await self._raft.confirm()
        self._check_open(connection)
        self._leader.server_appeared(session)
        return {"server_id": session.server_id}

    async def _register_client(self, connection: Connection, body: Body) -> Body:
        self._leader.require_engine()
        guid, ip, name = str(body["guid"]), str(body["ip"]), body.get("name")
        await self._raft.confirm()
        known = [one for one in self._leader.state.clients.values() if one.guid == guid and one.ip == ip]
        if known:
            client_id = known[0].id
        else:
            args = {"guid": guid, "name": name, "ip": ip, "random": _random()}
            client_id = (await self._raft.propose("register_client", args))["client_id"]
        self._check_open(connection)
        self._leader.client_appeared(ClientSession(connection, client_id), int(body["process_id"]))
        return {"client_id": client_id}

    async def _register_gateway(self, connection: Connection, body: Body) -> Body:
        await self._raft.confirm()
        return {"system_id": self._leader.state.system_id}

    def _check_open(self, connection: Connection) -> None:
        """Who has gone while we waited must not be taken for present."""
        if connection.closed.is_set():
            raise EngineError("the connection has ended")
        if not self._raft.leading:
            raise NotLeader(None)

    async def _report(self, connection: Connection, body: Body) -> Body:
        self._leader.reported(connection, body)
        return {}

    async def _client_report(self, connection: Connection, body: Body) -> Body:
        self._leader.client_reported(connection, body)
        return {}

    # --- clients

    async def _open_volume(self, connection: Connection, body: Body) -> Body:
        args = {"volume_id": body["volume_id"], "client_id": body["client_id"], "session": body["session"]}
        epoch = (await self._raft.propose("open_volume", args))["epoch"]
        return {"epoch": epoch, "map": self._map(body["client_id"])}

    async def _report_failed(self, connection: Connection, body: Body) -> Body:
        """Copies that did not take a write are marked stale before the client may acknowledge it.

        Devices of servers that are away count as failed too: else a copy could be given up for one that has
        gone as well, and be missed when it alone comes back.
        """
        failed = {str(id) for id in body["device_ids"]}
        state = self._leader.state
        away = disconnected_device_ids(state, self._leader.live())
        if marking_changes(state, failed, away):
            args = {"device_ids": sorted(failed | away), "reason": str(body["reason"])}
            await self._raft.propose("mark_stale", args)
            self._leader.tell_servers_now()
        else:
            await self._raft.confirm()
        return {"version": state.version, "map": self._map(body["client_id"])}

    async def _get_map(self, connection: Connection, body: Body) -> Body:
        await self._raft.confirm()
        return {"map": self._map(body["client_id"])}

    def _map(self, client_id: str) -> Body:
        return client_map(self._leader.state, client_id)

    # --- gateways

    async def _query(self, connection: Connection, body: Body) -> Body:
        await self._raft.confirm()
        self._leader.require_engine()
        state = self._leader.state
        key = (state.version, state.system_id)
        if self._document is None or self._document[:2] != key:
            self._document = (*key, state_to_json(state))
        return {"state": self._document[2], "live": live_to_json(self._leader.live())}

    async def _command(self, connection: Connection, body: Body) -> Body:
        self._leader.require_engine()
        name, args = str(body["name"]), dict(body["args"])
        if name in MACHINE_COMMANDS:
            raise CommandRefused(WRONG_ARGUMENT, f"{name} is the managers' own command")
        if name == "set_managers":
            return await change_managers(self._leader, args)
        return await self._raft.propose(name, args | self._figures(name, args))

    def _figures(self, name: str, args: Body) -> Body:
        """What a command takes that only the leader knows; never what was sent to us."""
        known: dict[str, Callable[[], Any]] = {
            "random": _random,
            "now": lambda: int(time.time()),
            "device_slots": lambda: device_slots(self._leader.live()),
            "device_problems": lambda: device_problems(self._leader.state, self._leader.live()),
            "connected_servers": lambda: connected_servers(self._leader.live()),
            "answering_devices": lambda: answering_devices(self._leader.state, self._leader.live()),
            "available_bytes": lambda: self._available_bytes(args),
        }
        return {figure: known[figure]() for figure in known.keys() & parameters(name)}

    def _available_bytes(self, args: Body) -> int | None:
        state = self._leader.state
        volume = state.volumes.get(str(args.get("volume_id")))
        pool_id = volume.storage_pool_id if volume is not None else str(args.get("storage_pool_id"))
        if pool_id not in state.storage_pools:
            return None
        return available_bytes(state, self._leader.live(), pool_id)

    async def _bootstrap(self, connection: Connection, body: Body) -> Body:
        """{"name", "password_hash", "user_name"?, "system_id"?, "install_id"?, "token_key"?}."""
        args = {
            "name": body["name"],
            "password_hash": body["password_hash"],
            "user_name": body.get("user_name", "admin"),
            "system_id": body.get("system_id") or secrets.token_hex(8),
            "install_id": body.get("install_id") or secrets.token_hex(8),
            "token_key": body.get("token_key") or secrets.token_hex(32),
            "random": _random(),
            "managers": managers_of(self._leader.config.peers),
        }
        return await self._raft.propose("bootstrap", args)


def _random() -> str:
    """The half of an id that makes it differ from those of other engines; its other half is a count."""
    return f"{random.getrandbits(32):08x}"
