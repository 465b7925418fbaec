"""Who is connected to the leading manager, and what each has been told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from artesian.embedded.assignment import client_map, server_assignment
from artesian.embedded.control import Connection
from artesian.embedded.state.model import State

MAX_BACKLOG_BYTES = 4 << 20  # who takes so little is told the newest when it has caught up


@dataclass(slots=True)
class ServerSession:
    """A server; `server_id` is None as long as no server with this address has been added."""

    connection: Connection
    ip: str
    port: int
    process_id: int
    server_id: str | None = None
    sent_version: int = -1

    def matches(self, state: State) -> str | None:
        """The id of the server with this address."""
        for server in state.servers.values():
            if server.port == self.port and any(entry["ip"] == self.ip for entry in server.ips):
                return server.id
        return None


@dataclass(slots=True)
class ClientSession:
    """A client. Maps only tell what changed since `acknowledged`, unless the rest has changed too."""

    connection: Connection
    client_id: str
    acknowledged: int = -1
    sent_version: int = -1
    shape: Any = None
    shape_version: int = 0

    def next_map(self, state: State) -> dict[str, Any]:
        """What the client has to be told now.

        Where slices are is told by what changed; but a client that gets another pool, server or device has
        to see everything again, as slices that did not change may now mean something else to it.
        """
        since: int | None = self.acknowledged if self.acknowledged >= self.shape_version else None
        document = client_map(state, self.client_id, since)
        shape = (document["servers"], document["devices"], sorted(document["pools"]))
        if shape != self.shape:
            self.shape, self.shape_version = shape, state.version
            if since is not None:
                document = client_map(state, self.client_id)
        return document


class Sessions:
    """All of them. A connection that comes back replaces its predecessor."""

    def __init__(self) -> None:
        self.servers: dict[Connection, ServerSession] = {}
        self.clients: dict[Connection, ClientSession] = {}

    def add_server(self, session: ServerSession) -> None:
        for other in list(self.servers.values()):
            if (other.ip, other.port) == (session.ip, session.port):
                self._replace(self.servers, other.connection, session.connection)
        self.servers[session.connection] = session

    def add_client(self, session: ClientSession) -> None:
        for other in list(self.clients.values()):
            if other.client_id == session.client_id:
                self._replace(self.clients, other.connection, session.connection)
        self.clients[session.connection] = session

    @staticmethod
    def _replace(sessions: dict[Connection, Any], old: Connection, new: Connection) -> None:
        del sessions[old]
        if old is not new:
            old.abort()

    def tell_servers(self, state: State) -> None:
        """Send each server its assignment if the state has changed."""
        for session in list(self.servers.values()):
            if session.sent_version == state.version or session.connection.backlog_bytes > MAX_BACKLOG_BYTES:
                continue
            if session.server_id is not None:
                session.connection.push("assignment", server_assignment(state, session.server_id))
                session.sent_version = state.version

    def tell_clients(self, state: State) -> None:
        """Send each client the map, or what changed in it."""
        for session in list(self.clients.values()):
            if session.sent_version == state.version or session.connection.backlog_bytes > MAX_BACKLOG_BYTES:
                continue
            if _known(session, state):
                session.connection.push("client_map", session.next_map(state))
                session.sent_version = state.version

    def behind(self, state: State) -> bool:
        """Whether somebody has not been told the newest."""
        sessions: list[ServerSession | ClientSession] = [*self.servers.values(), *self.clients.values()]
        return any(one.sent_version != state.version for one in sessions if _known(one, state))


def _known(session: ServerSession | ClientSession, state: State) -> bool:
    if isinstance(session, ServerSession):
        return session.server_id is not None
    return session.client_id in state.clients
