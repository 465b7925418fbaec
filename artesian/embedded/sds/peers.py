"""Connections to other servers, for healing."""

from __future__ import annotations

import asyncio

from artesian.embedded import datalink
from artesian.embedded.datalink import DataLink
from artesian.embedded.wire import Operation, Status


class Peers:
    """One link to each other server, made when it is needed and made anew when it was lost."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._peer = datalink.new_peer()
        self._links: dict[tuple[str, int], DataLink] = {}
        self._locks: dict[tuple[str, int], asyncio.Lock] = {}
        self._unflushed: dict[DataLink, None] = {}

    async def link(self, ip: str, port: int) -> DataLink:
        """Raises ConnectionError or TimeoutError when the server cannot be reached."""
        key = (ip, port)
        async with self._locks.setdefault(key, asyncio.Lock()):
            link = self._links.get(key)
            if link is None or not link.is_open:
                link = self._links[key] = await datalink.connect(ip, port, self._secret, self._peer)
            return link

    def forwarded(self, link: DataLink) -> None:
        """Remember that clients' writes went over this link and are not flushed there yet."""
        self._unflushed[link] = None

    async def flush(self) -> bool:
        """Flush every server that clients' writes were passed on to; False if one of them failed.

        A write stays in need of this after its join has been committed: the client that flushes may
        not know the new copy yet.
        """
        links, self._unflushed = self._unflushed, {}
        good = True
        for link, answer in [(link, link.ask(Operation.FLUSH)) for link in links]:
            status, _ = await answer
            if status != Status.OK:
                good = False
                if link.is_open:
                    self._unflushed[link] = None
        return good

    def close(self) -> None:
        """Give up all links."""
        for link in self._links.values():
            link.close()
