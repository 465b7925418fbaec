"""The control protocol: how servers, clients, gateways and managers talk about everything but data.

TCP; frames of JSON (`framing.py`). Greeting, after which both sides are equal:

    server → peer   {"nonce": hex}
    peer → server   {"proof": HMAC(secret, nonce + role), "role": "sds|sdc|gateway|mdm", "nonce": hex2}
    server → peer   {"proof": HMAC(secret, hex2 + "mdm")}

    request         {"id": n, "kind": "...", "body": {...}}
    reply           {"re": n, "body": {...}} or {"re": n, "error": {"type", "code", "message", "leader"}}
    push            {"kind": "...", "body": {...}}

Pushes of one connection are handled one after the other, in their order. A request is begun when all
pushes before it have been handled; requests run side by side, and nothing waits for their end.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, cast

import structlog

from artesian.embedded import framing
from artesian.embedded.errors import CommandRefused, EngineError, NotLeader
from artesian.embedded.framing import ProtocolError

log = structlog.get_logger()

GREETING_TIMEOUT_S = 5.0
MAX_WAITING_MESSAGES = 1000  # received and not begun, or begun and not answered; then we stop reading
MAX_BACKLOG_BYTES = 256 << 20  # sent and not taken by a peer; then it is cut off


class Handler(Protocol):
    """What is done with requests (the dict is the reply) and pushes (the dict is ignored).

    CommandRefused, NotLeader and EngineError are sent to whoever asked.
    """

    def __call__(
        self, connection: Connection, kind: str, body: dict[str, Any], /
    ) -> Awaitable[dict[str, Any]]: ...


Opened = Callable[["Connection"], None]


class Connection(asyncio.Protocol):
    """One authenticated peer. Made by `connect` and `serve` only.

    `role` is what the peer takes part as, `peer` its address as "ip:port", `closed` is set when the
    connection has ended for whatever reason, `heard_s` is the loop's time of the last bytes from it,
    `unanswered` the number of our pings since then, `session_key` 32 bytes that only the two sides of this
    connection know, for who wants to encrypt; `context` is free for whoever uses the connection.
    """

    def __init__(
        self,
        secret: bytes,
        own_role: str | None,
        handler: Handler,
        on_open: Opened | None = None,
        on_close: Opened | None = None,
    ) -> None:
        self.role = ""
        self.peer = ""
        self.handler = handler
        self.closed = asyncio.Event()
        self.session_key = b""
        self.context: object = None
        self._loop = asyncio.get_running_loop()
        self.heard_s = self._loop.time()
        self.unanswered = 0
        self.opened: asyncio.Future[None] = self._loop.create_future()
        self._secret = secret
        self._own_role = own_role  # None: we are the side that was connected to
        self._nonce = framing.new_nonce()
        self._greeted = False
        self._on_open = on_open
        self._on_close = on_close
        self._decoder = framing.FrameDecoder()
        self._transport: asyncio.Transport | None = None
        self._numbers = itertools.count(1)
        self._replies: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._waiting: deque[dict[str, Any]] = deque()
        self._pump: asyncio.Task[None] | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._paused = False

    # --- for users

    async def request(self, kind: str, body: dict[str, Any], timeout_s: float = 10.0) -> dict[str, Any]:
        """Ask the peer and wait for its reply.

        Raises CommandRefused, NotLeader or EngineError as the peer did, ConnectionError when the
        connection is or gets lost (the peer may have done it), TimeoutError.
        """
        if self.closed.is_set():
            raise ConnectionError(f"the connection to {self.peer} is closed")
        number = next(self._numbers)
        reply: asyncio.Future[dict[str, Any]] = self._loop.create_future()
        self._replies[number] = reply
        try:
            self._send({"id": number, "kind": kind, "body": body})
            async with asyncio.timeout(timeout_s):
                return await reply
        finally:
            self._replies.pop(number, None)

    def push(self, kind: str, body: dict[str, Any]) -> None:
        """Send without an answer; does nothing when the connection is closed."""
        self._send({"kind": kind, "body": body})

    def ping(self, body: dict[str, Any]) -> None:
        """Ask the peer for a sign of life, and wait for none: `unanswered` tells."""
        self.unanswered += 1
        self._send({"id": next(self._numbers), "kind": "ping", "body": body})

    def close(self) -> None:
        """Send what is under way, then close."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once, also when the peer takes nothing any more; what is under way is lost."""
        if self._transport is not None:
            self._transport.abort()

    @property
    def backlog_bytes(self) -> int:
        """Sent by us, not yet taken by the operating system."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        name = transport.get_extra_info("peername")
        self.peer = f"{name[0]}:{name[1]}" if name else "?"
        if self._own_role is None:
            self._send({"nonce": self._nonce})
            self._loop.call_later(GREETING_TIMEOUT_S, self._end_unless_greeted)

    def data_received(self, data: bytes) -> None:
        self.heard_s = self._loop.time()
        self.unanswered = 0
        try:
            for message in self._decoder.feed(data):
                if self._greeted:
                    self._take(message)
                else:
                    self._greet(message)
                if self._transport is None or self._transport.is_closing():
                    return
        except ProtocolError as error:
            log.warning("control.bad_peer", peer=self.peer, error=str(error))
            self._give_up(error)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.closed.set()
        self._waiting.clear()
        lost = ConnectionError(f"the connection to {self.peer} was lost")
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(lost)
        if not self.opened.done():
            self.opened.set_exception(
                ConnectionError(f"{self.peer} closed the connection; does it have the same secret?")
            )
            self.opened.exception()  # whoever awaits it sees it; nobody awaits it on the serving side
        if self._greeted and self._on_close is not None:
            self._on_close(self)

    # --- greeting

    def _greet(self, message: dict[str, Any]) -> None:
        if self._own_role is None:
            self._welcome_peer(message)
        elif not self.role:
            nonce = framing.nonce_of(message)
            self.role = "mdm"
            self.session_key = framing.session_key(self._secret, nonce, self._nonce)
            proof = framing.greeting_proof(self._secret, nonce, self._own_role)
            self._send({"proof": proof, "role": self._own_role, "nonce": self._nonce})
        else:
            framing.check_proof(message, self._secret, self._nonce, "mdm")
            self._open()

    def _welcome_peer(self, message: dict[str, Any]) -> None:
        role = message.get("role")
        if not isinstance(role, str) or role not in framing.ROLES:
            raise ProtocolError("an unknown role")
        framing.check_proof(message, self._secret, self._nonce, role)
        nonce = framing.nonce_of(message)
        self.role = role
        self.session_key = framing.session_key(self._secret, self._nonce, nonce)
        self._send({"proof": framing.greeting_proof(self._secret, nonce, "mdm")})
        self._open()

    def _open(self) -> None:
        self._greeted = True
        self._decoder.max_frame_bytes = framing.MAX_FRAME_BYTES
        if not self.opened.done():
            self.opened.set_result(None)
        if self._on_open is not None:
            self._on_open(self)

    def _end_unless_greeted(self) -> None:
        if not self._greeted:
            self._give_up(ProtocolError("no greeting in time"))

    # --- messages

    def _take(self, message: dict[str, Any]) -> None:
        reply_to = message.get("re")
        if reply_to is not None:
            reply = self._replies.get(reply_to) if isinstance(reply_to, int) else None
            if reply is not None and not reply.done():
                _settle(reply, message)
            return
        if not isinstance(message.get("kind"), str) or not isinstance(message.get("body"), dict):
            raise ProtocolError("a message without kind or body")
        if not isinstance(message.get("id", 0), int):
            raise ProtocolError("a request whose id is no number")
        self._waiting.append(message)
        if self._pump is None:
            self._pump = self._loop.create_task(self._work_off())
        self._regulate()

    async def _work_off(self) -> None:
        try:
            while self._waiting:
                message = self._waiting.popleft()
                if "id" in message:
                    task = self._loop.create_task(self._answer(message))
                    self._running.add(task)
                    task.add_done_callback(self._request_done)
                else:
                    await self._handle_push(message)
                self._regulate()
        finally:
            self._pump = None

    async def _handle_push(self, message: dict[str, Any]) -> None:
        try:
            await self.handler(self, message["kind"], message["body"])
        except Exception:
            log.exception("control.push_failed", kind=message["kind"], peer=self.peer)

    async def _answer(self, message: dict[str, Any]) -> None:
        try:
            reply = {"re": message["id"], "body": await self.handler(self, message["kind"], message["body"])}
        except EngineError as error:
            reply = {"re": message["id"], "error": _error_to_json(error)}
        except asyncio.CancelledError:
            self._send({"re": message["id"], "error": _error_to_json(EngineError("given up"))})
            raise
        except Exception as error:
            log.exception("control.request_failed", kind=message["kind"], peer=self.peer)
            text = f"{message['kind']} could not be carried out: {type(error).__name__}: {error}"
            reply = {"re": message["id"], "error": _error_to_json(EngineError(text))}
        try:
            self._send(reply)
        except (ProtocolError, TypeError, ValueError) as error:
            log.exception("control.reply_failed", kind=message["kind"], peer=self.peer)
            self._send({"re": message["id"], "error": _error_to_json(EngineError(str(error)))})

    def _request_done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._regulate()

    def _regulate(self) -> None:
        """Stop reading from a peer that asks faster than we answer."""
        too_many = len(self._waiting) + len(self._running) > MAX_WAITING_MESSAGES
        if too_many == self._paused or self._transport is None or self._transport.is_closing():
            return
        self._paused = too_many
        if too_many:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _send(self, message: dict[str, Any]) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(framing.encode_frame(message))
        if self._transport.get_write_buffer_size() > MAX_BACKLOG_BYTES:
            self._give_up(ProtocolError("the peer does not take what we send"))

    def _give_up(self, error: ProtocolError) -> None:
        if not self.opened.done():
            self.opened.set_exception(ConnectionError(f"{self.peer}: {error}"))
            self.opened.exception()
        self.abort()


async def connect(
    ip: str, port: int, secret: bytes, role: str, handler: Handler, timeout_s: float = 2.0
) -> Connection:
    """Connect and greet. Raises ConnectionError (also for a wrong secret), OSError or TimeoutError."""
    loop = asyncio.get_running_loop()
    connection: Connection | None = None
    try:
        async with asyncio.timeout(timeout_s):
            _, connection = await loop.create_connection(lambda: Connection(secret, role, handler), ip, port)
            await connection.opened
            return connection
    except BaseException:
        if connection is not None:
            connection.close()
        raise


async def serve(
    ip: str, port: int, secret: bytes, handler: Handler, on_open: Opened | None, on_close: Opened | None
) -> asyncio.Server:
    """Listen. `on_open` is called for each authenticated peer before its first message, `on_close` after it.

    Raises OSError when the address is taken. Closing the server leaves its connections open.
    """
    loop = asyncio.get_running_loop()
    return await loop.create_server(
        lambda: Connection(secret, None, handler, on_open, on_close), ip, port, reuse_address=True
    )


def _settle(reply: asyncio.Future[dict[str, Any]], message: dict[str, Any]) -> None:
    error, body = message.get("error"), message.get("body")
    if isinstance(error, dict):
        reply.set_exception(_error_from_json(error))
    elif isinstance(body, dict):
        reply.set_result(body)
    else:
        raise ProtocolError("a reply with neither body nor error")


def _error_to_json(error: EngineError) -> dict[str, Any]:
    if isinstance(error, CommandRefused):
        return {"type": "CommandRefused", "code": error.code, "message": error.message, "leader": None}
    if isinstance(error, NotLeader):
        return {"type": "NotLeader", "code": 0, "message": str(error), "leader": error.leader}
    return {"type": "EngineError", "code": 0, "message": str(error), "leader": None}


def _error_from_json(error: dict[str, Any]) -> EngineError:
    kind, code, leader = error.get("type"), error.get("code"), error.get("leader")
    message = str(error.get("message"))
    if kind == "CommandRefused":
        return CommandRefused(code if isinstance(code, int) else 0, message)
    if kind == "NotLeader":
        return NotLeader(leader if isinstance(leader, str) else None)
    return EngineError(message)
