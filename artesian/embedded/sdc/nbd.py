"""The NBD server: exports volumes on a Unix socket, to any number of clients.

An export's name is looked up when a client attaches; the list of exports may change at any time. A client
sees the size that the export had when it attached: to see a volume grow, it has to attach again. Several
connections to one export are alike: a flush on one covers the completed writes of all, which the export sees
to. The server trusts whoever can open its socket, and gives it the mode 0600.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

from artesian.embedded.buffers import BufferPool
from artesian.embedded.errors import EngineError
from artesian.embedded.sdc.nbd_connection import NbdConnection
from artesian.embedded.sdc.nbd_flow import NbdFlow, Pool
from artesian.embedded.sdc.nbd_handshake import Export
from artesian.embedded.sdc.nbd_request import IoRequest

__all__ = ["Export", "IoRequest", "NbdServer"]

BACKLOG = 128
POOL_BYTES = 32 << 20
ABORT_S = 1.0


class NbdServer:
    """Serves the exports that `exports` finds by name; `names` lists them for clients that ask."""

    def __init__(
        self,
        exports: Callable[[str], Export | None],
        names: Callable[[], list[str]],
        pool: Pool | None = None,
    ) -> None:
        """`pool`: where large payloads are received into."""
        self.exports = exports
        self.names = names
        self.pool = pool or BufferPool(POOL_BYTES)
        self._connections: set[NbdFlow] = set()
        self._none_left = asyncio.Event()
        self._server: asyncio.AbstractServer | None = None
        self._path: Path | None = None
        self._identity: tuple[int, int] | None = None

    async def start(self, path: str | os.PathLike[str]) -> None:
        """Listen on a Unix socket; a socket that nobody answers on any more is replaced.

        Raises EngineError when another process serves there or the path is something else, OSError when the
        socket cannot be made.
        """
        self._path = Path(path)
        listener = _listen(self._path)
        self._identity = _identity(self._path)
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_unix_server(
                lambda: NbdConnection(self, loop), sock=listener, backlog=BACKLOG
            )
        except BaseException:
            listener.close()
            raise

    async def stop(self, grace_s: float = 10.0) -> None:
        """Take no more clients, answer what is under way, and close.

        Requests that come meanwhile get ESHUTDOWN. What is not answered after `grace_s` never is.
        """
        if self._server is not None:
            self._server.close()
            self._server = None
        self._remove_socket()
        for connection in list(self._connections):
            connection.finish()
        if not await self._wait_until_none(grace_s):
            for connection in list(self._connections):
                connection.abort()
            await self._wait_until_none(ABORT_S)

    def drop_export(self, name: str) -> None:
        """Close all connections to the export that has this name now; open requests are not answered."""
        for connection in [one for one in self._connections if one.serves(name)]:
            connection.close()

    def connection_count(self, name: str) -> int:
        """How many connections to the export that has this name now are open."""
        return sum(1 for connection in self._connections if connection.serves(name))

    # --- for connections

    def opened(self, connection: NbdFlow) -> None:
        """A client has come."""
        self._connections.add(connection)
        self._none_left.clear()
        if self._server is None:
            connection.finish()

    def lost(self, connection: NbdFlow) -> None:
        """It has gone."""
        self._connections.discard(connection)
        if not self._connections:
            self._none_left.set()

    # --- stopping

    async def _wait_until_none(self, timeout_s: float) -> bool:
        if not self._connections:
            return True
        try:
            async with asyncio.timeout(timeout_s):
                await self._none_left.wait()
        except TimeoutError:
            return False
        return True

    def _remove_socket(self) -> None:
        """Unless somebody else has put another one in its place."""
        if self._path is not None and self._identity is not None and _identity(self._path) == self._identity:
            self._path.unlink(missing_ok=True)
        self._identity = None


def _listen(path: Path) -> socket.socket:
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        before = os.umask(0o177)
        try:
            listener.bind(os.fspath(path))
        finally:
            os.umask(before)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def _remove_stale(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise EngineError(f"{path} exists and is not a socket; it is left alone")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(2.0)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except FileNotFoundError:
            return
        except (BlockingIOError, TimeoutError):
            pass  # a full backlog is somebody's
    raise EngineError(f"another process already serves on {path}")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
