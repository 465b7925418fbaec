"""A real server in maintenance: killed for longer than it would be waited for, while a client goes on."""

from __future__ import annotations

import time

import pytest

from artesian.embedded.local.errors import RestRefused
from artesian.embedded.local.status import status

from .impatient import REBUILD_AFTER_S, ImpatientEngine

pytestmark = pytest.mark.slow

AWAY_S = 4 * REBUILD_AFTER_S


def maintain(engine: ImpatientEngine, action: str, node: int) -> None:
    with engine.local.gateway() as gateway:
        server = gateway.named("Sds", engine.local.description.node(node).name)
        gateway.act("Sds", server["id"], f"{action}MaintenanceMode")


def test_a_server_away_in_maintenance_is_not_replaced_and_gets_what_it_missed(
    impatient: ImpatientEngine,
) -> None:
    impatient.fill()
    homes = impatient.homes()
    maintain(impatient, "enter", 3)
    with pytest.raises(RestRefused, match="in maintenance mode"):
        maintain(impatient, "enter", 2)
    impatient.kill(3)
    back_s = time.monotonic() + AWAY_S
    while time.monotonic() < back_s:
        for _ in range(20):
            impatient.write_somewhere()
        seen = status(impatient.local)
        assert not any(pool["healing"] for pool in seen["pools"])
    assert [(one["connected"], one["in_maintenance"]) for one in seen["servers"]] == [
        *((True, False), (True, False), (False, True))
    ]
    assert seen["pools"][0]["degraded_slices"] > 0 and seen["pools"][0]["unavailable_slices"] == 0
    impatient.start(3)
    impatient.until(lambda seen: all(one["connected"] for one in seen["servers"]))
    maintain(impatient, "exit", 3)
    impatient.healthy()
    assert impatient.homes() == homes
    impatient.check_data()
    impatient.kill(2)  # the copies on the server that was away are half of what is left
    impatient.check_data()


def test_a_server_that_stays_away_after_maintenance_is_replaced(impatient: ImpatientEngine) -> None:
    impatient.fill()
    maintain(impatient, "enter", 3)
    impatient.kill(3)
    time.sleep(AWAY_S)
    impatient.write_somewhere()
    maintain(impatient, "exit", 3)
    impatient.healthy()
    (gone,) = impatient.away()
    assert not any(gone in devices for devices in impatient.homes())
    impatient.check_data()
