"""A real engine that soon gives up who is away, with a client that knows what it has written."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from artesian.embedded.local import managers, volumes
from artesian.embedded.local.engine import LocalEngine
from artesian.embedded.local.layout import Role
from artesian.embedded.local.status import Document, status
from artesian.embedded.sdc.nbd_constants import NBD_CMD_FLUSH, NBD_CMD_READ, NBD_CMD_WRITE
from artesian.host import processes
from tests.embedded.sdc.nbd_running import BlockingClient

MIB, GIB = 1 << 20, 1 << 30
REBUILD_AFTER_S = 2.0
USED = 48 * MIB
PIECE = 1 << 16


class ImpatientEngine:
    """Three nodes, whose managers wait for a server for two seconds only; a volume is open on the first."""

    def __init__(self, local: LocalEngine) -> None:
        self.local = local
        self._shorten_patience()
        volumes.create(local, "v", GIB, thick=False)
        volumes.map_to_node(local, "v", 1, read_only=False)
        self.until(lambda seen: any(mapping["open"] for mapping in seen["mappings"]))
        self.client = BlockingClient(Path(local.layout.nbd_socket(1)), "v")
        self.random = random.Random(5)
        self.written = bytearray()

    def _shorten_patience(self) -> None:
        places = self.local.places(roles=[Role.MDM])
        self.local.stop(places)
        for place in places:
            settings = yaml.safe_load(place.config.read_text())
            place.config.write_text(yaml.safe_dump(settings | {"rebuild_after_s": REBUILD_AFTER_S}))
        self.local.start(places)
        self.until(lambda seen: len(seen["servers"]) == 3 and all(s["connected"] for s in seen["servers"]))

    def until(self, condition: Callable[[Document], bool], within_s: float = 60.0) -> Document:
        deadline = time.monotonic() + within_s
        while True:
            seen = status(self.local)
            if seen["problem"] is None and condition(seen):
                return seen
            assert time.monotonic() < deadline, seen["pools"]
            time.sleep(0.1)

    def healthy(self) -> None:
        self.until(lambda seen: all(pool["healthy"] for pool in seen["pools"]))

    # --- the servers

    def kill(self, node: int) -> None:
        """SIGKILL."""
        assert self.local.kill(self.local.places(node, [Role.SDS])) == [f"sds-{node}"]

    def start(self, node: int) -> None:
        self.local.start(self.local.places(node, [Role.SDS]))

    def signal(self, node: int, number: signal.Signals) -> None:
        (place,) = self.local.places(node, [Role.SDS])
        identity = self.local.running(place)
        assert identity is not None
        processes.send(identity, number)

    def away(self) -> list[str]:
        """The devices of servers that are not connected."""
        return [one["id"] for one in status(self.local)["devices"] if one["condition"] == "away"]

    def homes(self) -> list[set[str]]:
        """The devices that hold each slice."""
        addresses = self.local.description.manager_addresses
        state, _ = managers.query(addresses, self.local.secret, 10.0)
        (pool,) = state.storage_pools.values()
        return [{copy.device_id for copy in one.copies} for one in pool.slices]

    # --- the client

    def fill(self) -> None:
        self.written = bytearray(self.random.randbytes(USED))
        for offset in range(0, USED, MIB):
            self._ask(NBD_CMD_WRITE, offset, data=bytes(self.written[offset : offset + MIB]))
        self._ask(NBD_CMD_FLUSH)

    def write_somewhere(self) -> None:
        offset = self.random.randrange(USED // PIECE) * PIECE
        data = self.random.randbytes(PIECE)
        self._ask(NBD_CMD_WRITE, offset, data=data)
        self.written[offset : offset + PIECE] = data

    def check_data(self) -> None:
        for offset in range(0, USED, MIB):
            found = self._ask(NBD_CMD_READ, offset, MIB)
            assert found == self.written[offset : offset + MIB], (
                f"the data at {offset} is not what was written"
            )

    def _ask(self, command: int, offset: int = 0, length: int = 0, data: bytes = b"") -> bytes:
        answer = self.client.ask(command, offset, length, data=data)
        assert answer.error == 0
        return answer.data
