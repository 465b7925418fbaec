"""The control protocol as its users see it: `connect`, `serve`, `Connection`, and the link to the leader.

`connection.py` has the protocol itself. What only the managers' side of it does: a manager that leads
asks "ping", with the addresses of all managers, twice a second, and gives up whoever says nothing for six
seconds; one that stops leading pushes "not_leader" with a hint and closes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from artesian.embedded.connection import Connection, Handler, connect, serve
from artesian.embedded.errors import EngineError, ManagersUnavailable, NotLeader

__all__ = ["Connection", "Handler", "ManagerLink", "connect", "serve"]

log = structlog.get_logger()

SILENCE_S = 3.0  # a leading manager that has not been heard for so long is given up
RETRY_S = 0.1
FIRST_CONNECT_TIMEOUT_S = 0.7  # per manager; grows while none answers, for the sake of slow machines
LAST_CONNECT_TIMEOUT_S = 5.0


class ManagerLink:
    """Follows the leading manager: finds it, registers with it, stays, and starts anew when it is lost."""

    def __init__(
        self,
        managers: Sequence[tuple[str, int]],
        secret: bytes,
        role: str,
        handler: Handler,
        register: Callable[[], tuple[str, dict[str, Any]]],
        on_registered: Callable[[dict[str, Any]], None],
    ) -> None:
        """`register` gives the request that registers; `on_registered` gets its reply, each time."""
        self._configured = list(managers)
        self._managers = list(managers)
        self._secret = secret
        self._role = role
        self._handler = handler
        self._register = register
        self._on_registered = on_registered
        self._hint: tuple[str, int] | None = None
        self._connection: Connection | None = None
        self._ready = asyncio.Event()
        self._connect_timeout_s = FIRST_CONNECT_TIMEOUT_S

    @property
    def connected(self) -> bool:
        """Registered with a manager that leads, as far as we know."""
        return self._connection is not None and not self._connection.closed.is_set()

    async def run(self) -> None:
        """For ever, until cancelled."""
        while True:
            connection = await self._find_leader()
            if connection is not None:
                self._connect_timeout_s = FIRST_CONNECT_TIMEOUT_S
                try:
                    await _until_silent_or_closed(connection)
                finally:
                    self._ready.clear()
                    self._connection = None
                    connection.abort()
            else:
                self._connect_timeout_s = min(1.5 * self._connect_timeout_s, LAST_CONNECT_TIMEOUT_S)
            await asyncio.sleep(RETRY_S)

    async def request(
        self, kind: str, body: dict[str, Any], timeout_s: float = 10.0, *, once: bool = False
    ) -> dict[str, Any]:
        """Ask the leading manager, whoever that is by then; only for what may run twice.

        With `once` a request is not repeated after it has been sent and its connection was lost: that
        raises ConnectionError, and the manager may or may not have done it. Raises ManagersUnavailable
        when there is no answer in time, CommandRefused and EngineError as the manager did.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    await self._ready.wait()
                    connection = self._connection
                    if connection is not None and not connection.closed.is_set():
                        try:
                            return await connection.request(kind, body, timeout_s)
                        except NotLeader as error:
                            self._follow(error.leader)
                            connection.close()
                        except ConnectionError:
                            if once:
                                raise
                    if self._connection is connection:
                        self._ready.clear()
        except TimeoutError as error:
            raise ManagersUnavailable(f"no manager answered within {timeout_s:g} s") from error

    def push(self, kind: str, body: dict[str, Any]) -> bool:
        """Send to the leading manager; False when there is none at the moment."""
        if self._connection is None or not self.connected:
            return False
        self._connection.push(kind, body)
        return True

    async def _find_leader(self) -> Connection | None:
        """One round over all managers, the hinted one first."""
        tried: set[tuple[str, int]] = set()
        while True:
            hint, self._hint = self._hint, None
            candidates = ([hint] if hint is not None else []) + self._managers
            left = [address for address in candidates if address not in tried]
            if not left:
                return None
            tried.add(left[0])
            connection = await self._try(*left[0])
            if connection is not None:
                return connection

    async def _try(self, ip: str, port: int) -> Connection | None:
        try:
            connection = await connect(
                ip, port, self._secret, self._role, self._received, self._connect_timeout_s
            )
        except OSError:  # ConnectionError and TimeoutError are kinds of it
            return None
        try:
            answer = await connection.request(*self._register(), timeout_s=2 * self._connect_timeout_s)
        except NotLeader as error:
            self._follow(error.leader)
        except (EngineError, OSError) as error:
            log.info("control.not_registered", peer=connection.peer, error=str(error) or type(error).__name__)
        else:
            self._connection = connection
            self._on_registered(answer)
            self._ready.set()
            return connection
        connection.close()
        return None

    async def _received(self, connection: Connection, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        if kind == "ping":
            self._learn(body.get("managers"))
            return {}
        if kind == "not_leader":
            self._follow(body.get("leader"))
            connection.close()
            return {}
        return await self._handler(connection, kind, body)

    def _follow(self, leader: str | None) -> None:
        self._hint = address_of(leader)

    def _learn(self, managers: Any) -> None:
        """Who the managers are now; the configured ones are asked too, after them."""
        if isinstance(managers, list):
            known = [address for one in managers if (address := address_of(one)) is not None]
            self._managers = list(dict.fromkeys([*known, *self._configured]))


def address_of(text: Any) -> tuple[str, int] | None:
    """The host and port of a manager as another one names it; None if it names none."""
    ip, _, port = (text if isinstance(text, str) else "").rpartition(":")
    return (ip, int(port)) if ip and port.isdigit() else None


async def _until_silent_or_closed(connection: Connection) -> None:
    loop = asyncio.get_running_loop()
    while not connection.closed.is_set():
        left_s = connection.heard_s + SILENCE_S - loop.time()
        if left_s <= 0:
            log.warning("control.silent_manager", peer=connection.peer, silence_s=SILENCE_S)
            return
        try:
            async with asyncio.timeout(left_s):
                await connection.closed.wait()
        except TimeoutError:
            continue
