"""A manager's process: its part in Raft, its control port, and its lead while it has it."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import structlog

from artesian.embedded.config import MdmConfig
from artesian.embedded.control import Connection, serve
from artesian.embedded.errors import NotLeader
from artesian.embedded.mdm.identity import control_address, raft_address
from artesian.embedded.mdm.leader import Leader
from artesian.embedded.mdm.machine import EngineMachine
from artesian.embedded.mdm.raft import Raft
from artesian.embedded.mdm.requests import Requests

log = structlog.get_logger()

PING_S = 0.5
MAX_UNANSWERED = 12  # pings: six seconds, in which whoever is alive says something
EXIT_FATAL = 70


def end_process(error: Exception) -> None:
    """The disk has failed us, or we have made a mistake: what we would say from now on could be wrong."""
    log.critical("mdm.fatal", error=f"{type(error).__name__}: {error}")
    os._exit(EXIT_FATAL)


class Manager:
    """One MDM. `start`, then it lives until `stop`."""

    def __init__(self, config: MdmConfig, secret: bytes, on_fatal: Any = end_process) -> None:
        """Opens the data folder. Raises EngineError or OSError when it cannot be used."""
        self._config = config
        self._secret = secret
        self._machine = EngineMachine(self._state_changed)
        self._raft = Raft(
            raft_address(config),
            [raft_address(peer) for peer in config.peers],
            config.data_dir,
            secret,
            self._machine,
            self._lead_changed,
            on_fatal,
            tiebreaker=config.role == "TieBreaker",
        )
        self._leader: Leader | None = None
        self._requests: Requests | None = None
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._pinging: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take part. Raises OSError when a port is taken."""
        config = self._config
        self._server = await serve(
            config.ip, config.control_port, self._secret, self._handle, self._connections.add, self._lost
        )
        await self._raft.start()
        self._pinging = asyncio.get_running_loop().create_task(self._ping())
        log.info(
            "mdm.started", name=config.name, ip=config.ip, control_port=config.control_port, role=config.role
        )

    async def stop(self) -> None:
        """Leave; the others elect another leader at once if we lead."""
        if self._server is not None:
            self._server.close()
        if self._pinging is not None:
            self._pinging.cancel()
        await self._raft.stop()
        for connection in list(self._connections):
            connection.close()
        log.info("mdm.stopped", name=self._config.name)

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(PING_S)
            if self._leader is not None:
                managers = self._machine.state.managers.values()
                addresses = [f"{one.ip}:{one.control_port}" for one in managers]
                for connection in list(self._connections):
                    if connection.unanswered < MAX_UNANSWERED:
                        connection.ping({"managers": addresses})
                    else:  # its machine may have lost its power, or hangs, and nothing else would say so
                        log.warning("mdm.silent_peer", role=connection.role, peer=connection.peer)
                        connection.abort()

    # --- the lead

    def _lead_changed(self) -> None:
        if self._raft.leading and self._leader is None:
            self._leader = Leader(self._config, self._raft, self._machine)
            self._requests = Requests(self._leader)
            self._leader.start()
        elif not self._raft.leading and self._leader is not None:
            self._leader.stop()
            self._leader = self._requests = None
            for connection in list(self._connections):
                connection.push("not_leader", {"leader": self._hint()})
                connection.close()

    def _state_changed(self) -> None:
        if self._leader is not None:
            self._leader.changed()

    def _hint(self) -> str | None:
        """Control address of whoever leads, as far as we know."""
        leader = self._raft.leader
        managers = self._machine.state.managers.values()
        return control_address(managers, leader) or control_address(self._config.peers, leader)

    # --- requests

    async def _handle(self, connection: Connection, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        if self._requests is None:
            raise NotLeader(self._hint())
        try:
            return await self._requests.handle(connection, kind, body)
        except NotLeader as error:
            raise NotLeader(error.leader if error.leader is not None else self._hint()) from error

    def _lost(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if self._leader is not None:
            self._leader.lost(connection)
