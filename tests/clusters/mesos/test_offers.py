"""What is in an offer for us."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from artesian.clusters.mesos.offers import Reserver, as_list, by_agent, is_nothing, minus, read_offer
from artesian.model.resources import Resources
from tests.clusters.mesos.situations import MIB, RESERVER, amounts, offer


def scalar(name: str, value: float, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "SCALAR", "scalar": {"value": value}, **more}


def offered(*resources: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": {"value": "o1"},
        "agent_id": {"value": "a1"},
        "hostname": "alpha",
        "url": {"scheme": "http", "address": {"hostname": "alpha", "ip": "10.0.0.7", "port": 5051}},
        "resources": list(resources),
        "attributes": [{"name": "rack", "type": "TEXT", "text": {"value": "r1"}}],
        **more,
    }


def test_free_and_kept_are_told_apart() -> None:
    kept = as_list(Resources(0.5, 64 * MIB), RESERVER, kept=True)
    found = read_offer(offered(scalar("cpus", 2.0), scalar("mem", 512.0), *kept), RESERVER)
    assert found.free == Resources(2.0, 512 * MIB)
    assert found.kept == Resources(0.5, 64 * MIB)
    assert (found.id, found.agent_id, found.node, found.address) == ("o1", "a1", "alpha", "10.0.0.7")
    assert found.attributes == {"rack": "r1"}


def test_what_others_in_the_role_keep_is_neither() -> None:
    another = replace(RESERVER, label="another cluster")
    kept = as_list(Resources(0.5, 64 * MIB), another, kept=True)
    static = scalar("cpus", 1.0, reservations=[{"type": "STATIC", "role": "storage"}])
    found = read_offer(offered(*kept, static), RESERVER)
    assert is_nothing(found.kept)
    assert is_nothing(found.free)


def test_what_is_kept_for_a_part_of_the_role_is_not_ours_as_it_is() -> None:
    (ours,) = as_list(Resources(1.0), RESERVER, kept=True)
    parts = [*ours["reservations"], {"type": "DYNAMIC", "role": "storage/part"}]
    refined = scalar("cpus", 1.0, reservations=parts)
    assert is_nothing(read_offer(offered(refined), RESERVER).kept)


@pytest.mark.parametrize("more", [{"revocable": {}}, {"disk": {"persistence": {"id": "p"}}}])
def test_what_can_be_taken_away_again_and_others_volumes_are_not_counted(more: dict[str, Any]) -> None:
    assert is_nothing(read_offer(offered(scalar("cpus", 2.0, **more)), RESERVER).free)


def test_ports_and_disks_are_left_alone() -> None:
    ports = {"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 1, "end": 2}]}}
    assert is_nothing(read_offer(offered(ports, scalar("disk", 512.0)), RESERVER).free)


def test_an_offer_without_an_address_has_its_host_name() -> None:
    bare = offered()
    del bare["url"]
    assert read_offer(bare, RESERVER).address == "alpha"


@pytest.mark.parametrize("lacking", ["id", "agent_id", "hostname"])
def test_what_is_no_offer_is_said_to_be_none(lacking: str) -> None:
    broken = offered()
    del broken[lacking]
    with pytest.raises(KeyError):
        read_offer(broken, RESERVER)


def test_a_reservation_names_who_keeps_it_and_what_for() -> None:
    for one in as_list(Resources(1.0, MIB), RESERVER, kept=True):
        assert RESERVER.holds(one)
        assert one["reservations"][-1]["role"] == "storage"
        assert one["reservations"][-1]["principal"] == "artesian"
    for one in as_list(Resources(1.0, MIB), RESERVER, kept=False):
        assert not RESERVER.holds(one)
        assert one["allocation_info"] == {"role": "storage"}


def test_who_has_no_principal_names_none() -> None:
    (kept,) = as_list(Resources(1.0), Reserver("f", "storage", "label"), kept=True)
    assert "principal" not in kept["reservations"][-1]


def test_a_reservation_is_ours_whichever_framework_of_ours_made_it() -> None:
    (kept, _) = as_list(Resources(1.0, MIB), RESERVER, kept=True)
    assert replace(RESERVER, framework_id="framework-2").holds(kept)


def test_amounts_stay_what_they_are() -> None:
    for one in (Resources(0.1, 96 * MIB), Resources(0.0, MIB), Resources(1.25, 0)):
        assert amounts(as_list(one, RESERVER, kept=True)) == one
    assert as_list(Resources(), RESERVER, kept=True) == []


def test_less_than_nothing_is_nothing() -> None:
    assert minus(Resources(0.3, 5), Resources(0.1, 9)) == Resources(0.2, 0)


def test_offers_of_one_agent_are_one() -> None:
    one, two = (
        offer(free=Resources(1.0, MIB), id="one"),
        offer(kept=Resources(0.5, MIB), free=Resources(), id="two"),
    )
    other = offer("beta", id="three")
    together = by_agent([one, other, two])
    assert [each.ids for each in together] == [("one", "two"), ("three",)]
    assert together[0].free == Resources(1.0, MIB)
    assert together[0].kept == Resources(0.5, MIB)
