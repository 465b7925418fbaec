"""The servers as a client sees them: one connection to each, made anew when it is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from artesian.embedded import datalink
from artesian.embedded.arena import Arena
from artesian.embedded.datalink import DataLink

log = structlog.get_logger()

RECONNECT_S = 0.1


class RemoteServer:
    """One server. `link` is what to send over; while it is not open, everything is answered with LOST."""

    def __init__(
        self,
        server_id: str,
        ip: str,
        port: int,
        secret: bytes,
        peer: int,
        payloads: Arena | None,
        on_lost: Callable[[RemoteServer], None],
    ) -> None:
        self.server_id = server_id
        self.ip = ip
        self.port = port
        self.unreported = False  # lost with writes that no flush has covered: the managers must know first
        self.link: DataLink = DataLink(secret, 0)  # never open: a link that has not been made yet
        self.link.owner = self
        self._secret = secret
        self._peer = peer
        self._payloads = payloads
        self._on_lost = on_lost
        self._task = asyncio.get_running_loop().create_task(self._keep_connected())
        self._opened = asyncio.Event()
        self._tried = asyncio.Event()

    async def _keep_connected(self) -> None:
        while True:
            try:
                link = await datalink.connect(
                    self.ip, self.port, self._secret, self._peer, payloads=self._payloads
                )
            except (OSError, TimeoutError):
                self._tried.set()
                await asyncio.sleep(RECONNECT_S)
                continue
            link.owner = self
            self.link = link
            self._opened.set()
            self._tried.set()
            reason = await asyncio.shield(self.link.lost)
            self._opened.clear()
            log.info("server.lost", server_id=self.server_id, ip=self.ip, reason=reason)
            self._on_lost(self)

    async def wait_open(self, timeout_s: float) -> bool:
        """Whether the link is open within the time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._opened.wait()
        except TimeoutError:
            return False
        return True

    async def wait_tried(self) -> bool:
        """Wait until a connection was tried at least once; whether it is open now."""
        await self._tried.wait()
        return self.link.is_open

    def close(self) -> None:
        """Give the server up."""
        self._task.cancel()
        self.link.close()
