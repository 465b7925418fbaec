"""Mesos' agents as nodes."""

from __future__ import annotations

from typing import Any

import pytest

from artesian.clusters.mesos.agents import address_of, agents_of, attributes_of, same_name, scalars
from artesian.model.resources import Resources

MIB = 1 << 20


def scalar(name: str, value: float, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "SCALAR", "scalar": {"value": value}, **more}


def allocated(name: str, value: float, role: str) -> dict[str, Any]:
    return scalar(name, value, allocation_info={"role": role})


def answer(hostname: str = "alpha", **more: Any) -> dict[str, Any]:
    return {
        "agent_info": {"id": {"value": f"id-{hostname}"}, "hostname": hostname, "attributes": []},
        "pid": "slave(1)@10.0.0.7:5051",
        "active": True,
        "total_resources": [scalar("cpus", 4.0), scalar("mem", 4096.0), scalar("disk", 512.0)],
        **more,
    }


def test_an_agent_is_a_node_of_its_host_name_at_its_address() -> None:
    (found,) = agents_of([answer()], "storage")
    assert (found.node, found.agent_id, found.address) == ("alpha", "id-alpha", "10.0.0.7")
    assert found.active
    assert not found.leaving
    assert found.free == Resources(4.0, 4096 * MIB)


def test_agents_are_in_order_of_their_names() -> None:
    found = agents_of([answer("beta"), answer("alpha")], "storage")
    assert [one.node for one in found] == ["alpha", "beta"]


def test_what_others_have_is_not_free_and_what_we_have_is() -> None:
    taken = [allocated("cpus", 1.5, "analytics"), allocated("mem", 1024.0, "analytics"),
             allocated("cpus", 1.0, "storage"), allocated("mem", 512.0, "storage")]  # fmt: skip
    (found,) = agents_of([answer(allocated_resources=taken)], "storage")
    assert found.free == Resources(2.5, 3072 * MIB)


def test_others_that_have_more_than_there_is_leave_nothing() -> None:
    taken = [allocated("cpus", 9.0, "analytics"), allocated("mem", 9000.0, "analytics")]
    (found,) = agents_of([answer(allocated_resources=taken)], "storage")
    assert found.free == Resources()


def test_an_agent_that_says_no_total_has_what_its_information_says() -> None:
    bare = answer()
    del bare["total_resources"]
    bare["agent_info"]["resources"] = [scalar("cpus", 2.0)]
    (found,) = agents_of([bare], "storage")
    assert found.free == Resources(2.0, 0)


@pytest.mark.parametrize("more", [{"drain_info": {"state": "DRAINING"}}, {"deactivated": True}])
def test_an_agent_that_is_drained_is_leaving(more: dict[str, Any]) -> None:
    (found,) = agents_of([answer(**more)], "storage")
    assert found.leaving


def test_an_agent_that_is_not_deactivated_stays() -> None:
    (found,) = agents_of([answer(deactivated=False)], "storage")
    assert not found.leaving


@pytest.mark.parametrize(
    ("process", "address"),
    [
        ("slave(1)@10.0.0.7:5051", "10.0.0.7"),
        ("slave(1)@[fd00::7]:5051", "fd00::7"),
        ("slave(12)@127.0.0.1:31000", "127.0.0.1"),
        ("", "alpha.example"),
        ("nonsense", "alpha.example"),
    ],
)
def test_where_an_agent_is(process: str, address: str) -> None:
    assert address_of(process, "alpha.example") == address


def test_attributes_of_every_type_are_texts() -> None:
    found = attributes_of(
        {
            "attributes": [
                {"name": "rack", "type": "TEXT", "text": {"value": "r1"}},
                {"name": "level", "type": "SCALAR", "scalar": {"value": 4.0}},
                {"name": "share", "type": "SCALAR", "scalar": {"value": 0.25}},
                {"name": "slots", "type": "RANGES",
                 "ranges": {"range": [{"begin": 1, "end": 3}, {"begin": 7, "end": 7}]}},
                {"name": "kinds", "type": "SET", "set": {"item": ["ssd", "nvme"]}},
                {"name": "empty", "type": "TEXT", "text": {"value": ""}},
            ]
        }
    )  # fmt: skip
    assert found == {
        "rack": "r1", "level": "4", "share": "0.25", "slots": "1-3,7-7", "kinds": "ssd,nvme", "empty": "",
    }  # fmt: skip


def test_a_great_number_stays_what_it_is() -> None:
    number = {"name": "size", "type": "SCALAR", "scalar": {"value": 12345678.0}}
    assert attributes_of({"attributes": [number]}) == {"size": "12345678"}


def test_a_type_that_is_not_known_yet_does_no_harm() -> None:
    assert attributes_of({"attributes": [{"name": "odd", "type": "COLOUR"}]}) == {"odd": ""}


def test_region_and_zone_are_attributes() -> None:
    domain = {"fault_domain": {"region": {"name": "eu"}, "zone": {"name": "eu-1"}}}
    assert attributes_of({"domain": domain}) == {"region": "eu", "zone": "eu-1"}
    own = [{"name": "zone", "type": "TEXT", "text": {"value": "hall-2"}}]
    assert attributes_of({"domain": domain, "attributes": own}) == {"region": "eu", "zone": "hall-2"}


def test_resources_are_summed_up_whoever_they_are_for() -> None:
    many = [scalar("cpus", 0.1), scalar("cpus", 0.2, reservations=[{"role": "storage"}]), scalar("mem", 1.5),
            {"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 1, "end": 2}]}}]  # fmt: skip
    assert scalars(many) == Resources(0.3, MIB * 3 // 2)


def test_two_agents_of_one_name_are_told() -> None:
    other = answer()
    other["agent_info"]["id"] = {"value": "id-other"}
    assert same_name(agents_of([answer(), other, answer("beta")], "s")) == {"alpha": ("id-alpha", "id-other")}


def test_an_agent_that_came_back_under_another_id_is_one() -> None:
    before = answer(active=False)
    before["agent_info"]["id"] = {"value": "id-before"}
    assert not same_name(agents_of([answer(), before], "s"))
