"""Where new disks go."""

from __future__ import annotations

from dataclasses import replace

from artesian.model.engine import SeenPool
from artesian.remedy.expanding import FEWEST_DISKS, disks_needed, places
from artesian.remedy.parts import disks_wanted
from tests.planner.situations import GIB, POOL
from tests.remedy.cases import EXPAND, POOL_NAME, Clinic

FULL = SeenPool("p", POOL, 100 * GIB, 72 * GIB, spare_percentage=10)


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


def test_a_pool_is_brought_down_to_its_share() -> None:
    assert disks_needed(FULL, 10 * GIB, 0.6) == 4  # 72 GiB are 60 % of 120, which 133 GiB of devices may hold


def test_a_pool_that_grows_gets_room_for_what_is_to_come() -> None:
    assert disks_needed(FULL, 10 * GIB, 0.6, 72 * GIB) == 6
    assert disks_needed(FULL, 10 * GIB, 0.6, GIB) == 4


def test_growth_alone_does_not_more_than_double_a_pool() -> None:
    assert disks_needed(FULL, 10 * GIB, 0.6, 10_000 * GIB) == 10


def test_the_growth_is_that_at_which_the_rule_fired() -> None:
    clinic = Clinic(3)
    clinic.fill(0.5)
    clinic.fire(EXPAND, POOL_NAME)
    clinic.look()
    slow = replace(clinic.remedy, saw={"time_to_full_s": 10 * 24 * 3600.0})
    quick = replace(clinic.remedy, saw={"time_to_full_s": 1800.0})
    unknown = replace(clinic.remedy, saw={})
    assert disks_wanted(unknown, clinic.facts) == disks_wanted(slow, clinic.facts) == FEWEST_DISKS
    assert disks_wanted(quick, clinic.facts) > FEWEST_DISKS
