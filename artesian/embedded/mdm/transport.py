"""How Raft messages travel between managers: pysyncobj's `Transport` over the control protocol, on asyncio.

pysyncobj's own transport unpickles what peers send, buffers without a limit for strangers, and lives in a
poll loop of its own. This one takes part in the process' event loop, so that everything about the managers'
state happens in one thread; takes only peers that prove to know the secret (`connection.py`) and whose
address is a member's; and seals every message with AES-GCM under a key of its own for each connection, with
counted nonces, so that nothing can be read, changed, or played again.

Between two managers there is one connection, made by the one with the greater address.

One rule about stable storage: what is added to the journal is synced before a message goes out that could
acknowledge it. Messages wait until the end of the current turn of the event loop, so that many share one
sync. Only the leader's entries go out before its own sync; it counts itself later (`journal.py`).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pysyncobj.node import Node
from pysyncobj.transport import Transport

from artesian.embedded.config import split_address
from artesian.embedded.control import Connection, connect, serve
from artesian.embedded.errors import EngineError
from artesian.embedded.mdm.journal import DurableJournal
from artesian.embedded.mdm.messages import BadMessage, Message, decode_message, encode_message

log = structlog.get_logger()

CONNECT_TIMEOUT_S = 2.0
RETRY_S = 0.2
MAX_BACKLOG_BYTES = 64 << 20  # a peer that takes nothing is cut off, and is sent what it needs later
_CALLER, _CALLED = 0, 1


class _Seal:
    """Authenticated encryption of one connection."""

    def __init__(self, key: bytes, side: int) -> None:
        self._cipher = AESGCM(key)
        self._side = side
        self._sent = 0
        self._received = 0

    def close(self, data: bytes) -> str:
        nonce = _nonce(self._side, self._sent)
        self._sent += 1
        return base64.b64encode(self._cipher.encrypt(nonce, data, None)).decode()

    def open(self, sealed: Any) -> bytes:
        """Raises BadMessage unless this is the next message as the peer sealed it."""
        nonce = _nonce(1 - self._side, self._received)
        self._received += 1
        try:
            return self._cipher.decrypt(nonce, base64.b64decode(sealed, validate=True), None)
        except (InvalidTag, TypeError, ValueError, binascii.Error) as error:
            raise BadMessage("a message that is not sealed as it must be") from error


def _nonce(side: int, count: int) -> bytes:
    return bytes([side]) + count.to_bytes(11, "little")


class _Session:
    """A connection with another manager that has said which one it is."""

    def __init__(self, peer: _Peer, connection: Connection, side: int) -> None:
        self.peer = peer
        self.connection = connection
        self.seal = _Seal(connection.session_key, side)
        self.seen = 0  # the newest `sent` of the peer, as a leader
        self.echoed = 0  # the newest of our own `sent` that the peer has echoed to us as its leader
        connection.context = self


class _Peer:
    """Another manager. `session` is there while pysyncobj takes it for connected."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.session: _Session | None = None
        self.caller: asyncio.Task[None] | None = None


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the transport asks and tells its owner; members are known by their addresses.

    `greeting` is what we say of ourselves when we connect, `met` gets what a member said. `received` gets
    every message, with its sender and with what hands one on to pysyncobj. `replying` may change a
    `next_node_idx` before it goes out. `woken` is called after anything came in, `lost` when the connection
    to a member has ended, however that came about, and `failed` with an error after which this manager must
    not go on, such as of its disk.
    """

    greeting: Callable[[], dict[str, Any]]
    met: Callable[[str, dict[str, Any]], None]
    received: Callable[[str, Message, Callable[[Message], None]], None]
    replying: Callable[[Message], None]
    woken: Callable[[], None]
    lost: Callable[[str], None]
    failed: Callable[[Exception], None]


class RaftTransport(Transport):  # type: ignore[misc]
    """`start` listens; pysyncobj adds and drops nodes."""

    def __init__(self, address: str, secret: bytes, journal: DurableJournal, hooks: Hooks) -> None:
        super().__init__(None, None, None)
        self.sent = 0  # counts the messages that we sent as a leader
        self._address = address
        self._secret = secret
        self._journal = journal
        self._hooks = hooks
        self._peers: dict[str, _Peer] = {}
        self._outbox: list[tuple[_Session, bytes]] = []
        self._outbox_acknowledges = False
        self._flush_planned = False
        self._server: asyncio.Server | None = None
        self._stopped = False

    async def start(self) -> None:
        """Listen on our address. Raises OSError."""
        ip, port = split_address(self._address)
        self._server = await serve(ip, port, self._secret, self._received, None, self._lost)

    def echoes(self) -> list[int]:
        """For each connected peer, the number of our newest message that it took from us as its leader."""
        return [peer.session.echoed for peer in self._peers.values() if peer.session is not None]

    def connected_peers(self) -> set[str]:
        """Addresses of the members that we can talk to."""
        return {address for address, peer in self._peers.items() if peer.session is not None}

    # --- pysyncobj

    def addNode(self, node: Node) -> None:
        peer = self._peers[node.id] = _Peer(node)
        if self._address > node.id:
            peer.caller = asyncio.get_running_loop().create_task(self._keep_connected(peer))

    def dropNode(self, node: Node) -> None:
        peer = self._peers.pop(node.id, None)
        if peer is None:
            return
        if peer.caller is not None:
            peer.caller.cancel()
        if peer.session is not None:
            self._end(peer.session)

    def send(self, node: Node, message: Message) -> bool:
        peer = self._peers.get(node.id)
        if peer is None or peer.session is None:
            return False
        if peer.session.connection.backlog_bytes > MAX_BACKLOG_BYTES:
            self._end(peer.session)
            return False
        kind = message["type"]
        if kind == "append_entries":
            self.sent += 1
            message = {**message, "sent": self.sent, "last": self._journal.last_index}
        elif kind == "next_node_idx":
            message = {**message, "echo": peer.session.seen}
            self._hooks.replying(message)
        elif kind == "request_vote":
            message = {**message, "new": bool(self._hooks.greeting()["new"])}
        self._outbox_acknowledges |= kind != "append_entries"
        self._outbox.append((peer.session, encode_message(message)))
        if not self._flush_planned:
            self._flush_planned = True
            asyncio.get_running_loop().call_soon(self._flush)
        return True

    def destroy(self) -> None:
        self._stopped = True
        self._outbox.clear()
        for peer in list(self._peers.values()):
            self.dropNode(peer.node)
        if self._server is not None:
            self._server.close()

    # --- sending

    def _flush(self) -> None:
        self._flush_planned = False
        outbox, self._outbox = self._outbox, []
        acknowledges, self._outbox_acknowledges = self._outbox_acknowledges, False
        if self._stopped:
            return
        try:
            if acknowledges:
                self._journal.sync()
        except OSError as error:
            self._hooks.failed(error)
            return
        for session, data in outbox:
            if session.peer.session is session:
                session.connection.push("raft", {"sealed": session.seal.close(data)})

    # --- connections

    async def _keep_connected(self, peer: _Peer) -> None:
        ip, port = split_address(peer.node.id)
        while True:
            try:
                connection = await connect(ip, port, self._secret, "mdm", self._received, CONNECT_TIMEOUT_S)
                try:
                    await self._call(peer, connection)
                    await connection.closed.wait()
                finally:
                    connection.abort()
                    self._lost(connection)
            except (OSError, EngineError) as error:
                log.debug("raft.unreachable", peer=peer.node.id, error=str(error))
            await asyncio.sleep(RETRY_S)

    async def _call(self, peer: _Peer, connection: Connection) -> None:
        session = _Session(peer, connection, _CALLER)  # the peer may send before its answer gets here
        answer = await connection.request("raft_hello", self._hello(), CONNECT_TIMEOUT_S)
        self._begin(session, answer)

    def _hello(self) -> dict[str, Any]:
        return {**self._hooks.greeting(), "address": self._address}

    def _begin(self, session: _Session, hello: dict[str, Any]) -> None:
        peer = session.peer
        if self._peers.get(peer.node.id) is not peer:
            raise EngineError(f"{peer.node.id} is no manager any more")
        if peer.session is not None:  # it has come back before we saw it go
            self._end(peer.session)
        peer.session = session
        self._onNodeConnected(peer.node)
        self._hooks.met(peer.node.id, hello)
        self._hooks.woken()

    def _end(self, session: _Session) -> None:
        session.connection.abort()
        if session.peer.session is session:
            session.peer.session = None
            self._onNodeDisconnected(session.peer.node)
            if not self._stopped:
                self._hooks.lost(session.peer.node.id)
                self._hooks.woken()

    def _lost(self, connection: Connection) -> None:
        if isinstance(connection.context, _Session):
            self._end(connection.context)

    # --- receiving

    async def _received(self, connection: Connection, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        if connection.role != "mdm" or self._stopped:
            raise EngineError("only managers talk here")
        if kind == "raft_hello":
            peer = self._peers.get(str(body.get("address")))
            if peer is None:
                raise EngineError("not a manager of this engine")
            self._begin(_Session(peer, connection, _CALLED), body)
            return self._hello()
        if kind == "raft" and isinstance(connection.context, _Session):
            self._take(connection.context, body)
        return {}

    def _take(self, session: _Session, body: dict[str, Any]) -> None:
        peer = session.peer
        if self._peers.get(peer.node.id) is not peer or peer.session not in (None, session):
            return
        try:
            message = decode_message(session.seal.open(body.get("sealed")))
            if message["type"] == "append_entries":
                session.seen = message["sent"]
            elif message["type"] == "next_node_idx":
                session.echoed = max(session.echoed, message["echo"])
            self._hooks.received(peer.node.id, message, partial(self._onMessageReceived, peer.node))
        except BadMessage as error:
            log.warning("raft.bad_message", peer=peer.node.id, error=str(error))
            session.connection.abort()
        except Exception as error:
            log.exception("raft.failed", peer=peer.node.id)
            self._hooks.failed(error)
        else:
            self._hooks.woken()
