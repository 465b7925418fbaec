"""Where new disks go."""

from __future__ import annotations

from dataclasses import replace

from artesian.remedy.expanding import FEWEST_DISKS, places
from tests.planner.situations import GIB, POOL
from tests.remedy.cases import Clinic


def test_disks_go_to_two_nodes_at_least_even_if_one_alone_is_left_with_good_ones() -> None:
    """In two copies nothing can be held by what is added to one node alone."""
    clinic = Clinic(4)
    engine = clinic.world.engine
    assert engine is not None
    servers = {device.server for device in engine.devices}
    good = min(servers)
    devices = tuple(replace(one, failed=one.server != good) for one in engine.devices)
    clinic.world.engine = replace(engine, devices=devices)
    chosen = places(clinic.facts, POOL, 4, 10 * GIB, frozenset())
    assert len(chosen) == 4
    assert len({place.node for place in chosen}) >= FEWEST_DISKS


def test_disks_go_to_nodes_that_serve_already_where_there_are_two_of_them() -> None:
    clinic = Clinic(4)
    engine = clinic.world.engine
    assert engine is not None
    serving = {claim.node for claim in clinic.world.state.claims.values()}
    assert {place.node for place in places(clinic.facts, POOL, 6, 10 * GIB, frozenset())} <= serving
