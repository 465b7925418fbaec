"""A real server in maintenance: killed for longer than it would be waited for, while a client goes on."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from artesian.embedded.local import managers, volumes
from artesian.embedded.local.engine import LocalEngine
from artesian.embedded.local.errors import RestRefused
from artesian.embedded.local.layout import Role
from artesian.embedded.local.status import Document, status
from artesian.embedded.sdc.nbd_constants import NBD_CMD_FLUSH, NBD_CMD_READ, NBD_CMD_WRITE
from tests.embedded.sdc.nbd_running import BlockingClient

from .conftest import MIB

pytestmark = pytest.mark.slow

Up = Callable[..., LocalEngine]
GIB = 1 << 30
REBUILD_AFTER_S = 2.0
AWAY_S = 4 * REBUILD_AFTER_S
USED = 48 * MIB
PIECE = 1 << 16


class Maintained:
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

    def maintain(self, action: str, node: int) -> None:
        with self.local.gateway() as gateway:
            server = gateway.named("Sds", self.local.description.node(node).name)
            gateway.act("Sds", server["id"], f"{action}MaintenanceMode")

    def kill(self, node: int) -> None:
        """SIGKILL."""
        assert self.local.kill(self.local.places(node, [Role.SDS])) == [f"sds-{node}"]

    def start(self, node: int) -> None:
        self.local.start(self.local.places(node, [Role.SDS]))

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


@pytest.fixture
def engine(up: Up) -> Maintained:
    return Maintained(up(nodes=3))


def test_a_server_away_in_maintenance_is_not_replaced_and_gets_what_it_missed(engine: Maintained) -> None:
    engine.fill()
    homes = engine.homes()
    engine.maintain("enter", 3)
    with pytest.raises(RestRefused, match="in maintenance mode"):
        engine.maintain("enter", 2)
    engine.kill(3)
    back_s = time.monotonic() + AWAY_S
    while time.monotonic() < back_s:
        for _ in range(20):
            engine.write_somewhere()
        seen = status(engine.local)
        assert not any(pool["healing"] for pool in seen["pools"])
    assert [(one["connected"], one["in_maintenance"]) for one in seen["servers"]] == [
        *((True, False), (True, False), (False, True))
    ]
    assert seen["pools"][0]["degraded_slices"] > 0 and seen["pools"][0]["unavailable_slices"] == 0
    engine.start(3)
    engine.until(lambda seen: all(one["connected"] for one in seen["servers"]))
    engine.maintain("exit", 3)
    engine.healthy()
    assert engine.homes() == homes
    engine.check_data()
    engine.kill(2)  # the copies on the server that was away are half of what is left
    engine.check_data()


def test_a_server_that_stays_away_after_maintenance_is_replaced(engine: Maintained) -> None:
    engine.fill()
    engine.maintain("enter", 3)
    engine.kill(3)
    time.sleep(AWAY_S)
    engine.write_somewhere()
    engine.maintain("exit", 3)
    engine.healthy()
    (gone,) = [one["id"] for one in status(engine.local)["devices"] if one["condition"] == "away"]
    assert not any(gone in devices for devices in engine.homes())
    engine.check_data()
