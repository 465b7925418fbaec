"""Which processes of Ceph a node runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from artesian.engines.ceph import names
from artesian.engines.ceph.planned import clearing, planned
from artesian.engines.ceph.process_config import ProcessConfig, Role, read_config
from artesian.model.assignment import AssignedDevice, Assignment
from artesian.model.disk import PoolName
from artesian.model.engine import CephSettings, ManagerPlace
from artesian.model.names import device_name
from artesian.model.topology import ManagerRole

FOLDER = Path("/agent/engine/ceph")
SYSTEM = "0123456789abcdef"
ROLES = (ManagerRole.MANAGER, ManagerRole.MANAGER, ManagerRole.TIEBREAKER)
PLACES = tuple(
    ManagerPlace(f"n{number}", f"10.0.0.{number}", role) for number, role in enumerate(ROLES, start=1)
)
DISK = AssignedDevice("serial:1", "/dev/sdb", PoolName("main", "pool"), 1 << 31)


def assignment(node: str, **values: object) -> Assignment:
    own = [place for place in PLACES if place.node == node]
    known = Assignment(
        node,
        f"10.0.0.{node[1:]}",
        engine_kind="ceph",
        system_id=SYSTEM,
        managers=PLACES,
        manages=bool(own),
        is_gateway=any(place.role is ManagerRole.MANAGER for place in own),
        client_guid="GUID",
    )
    return replace(known, **values)  # type: ignore[arg-type]


def run(node: str, **values: object) -> dict[str, ProcessConfig]:
    return planned(assignment(node, **values), FOLDER)


def test_a_node_without_anything_to_do_runs_nothing() -> None:
    assert run("n4") == {}


def test_a_manager_is_a_monitor_and_counts_for_it() -> None:
    configs = run("n1")
    assert {name: config.role for name, config in configs.items()} == {"mon": Role.MON, "mgr": Role.MGR}
    assert {config.entity for config in configs.values()} == {"manager-n1"}


def test_a_tiebreaker_only_votes() -> None:
    configs = run("n3")
    assert set(configs) == {"mon"}
    assert configs["mon"].entity == "tiebreaker-n3"


def test_a_new_cluster_begins_with_all_its_monitors() -> None:
    monitor = run("n1", is_new=True)["mon"]
    assert monitor.is_new
    assert monitor.members == (
        ("manager-n1", "10.0.0.1"),
        ("manager-n2", "10.0.0.2"),
        ("tiebreaker-n3", "10.0.0.3"),
    )
    assert monitor.mgrs == ("manager-n1", "manager-n2")


def test_each_disk_has_a_process_that_knows_it_by_its_identity() -> None:
    configs = run("n4", devices=(DISK, replace(DISK, identity="serial:2", path="/dev/sdc")))
    osd = configs[f"osd-{device_name('serial:1')}"]
    assert len(configs) == 2
    assert osd.uuid == names.osd_uuid(SYSTEM, "serial:1")


def test_a_name_that_stays_with_a_disk_is_better_than_what_it_was_called() -> None:
    (osd,) = run("n4", devices=(DISK,)).values()
    assert osd.paths == (f"/agent/engine/disks/{device_name('serial:1')}", "/dev/sdb")


@pytest.mark.parametrize(("memory", "small"), [(1 << 30, True), (2 << 30, False)])
def test_a_disks_process_is_as_large_as_its_owner_says(memory: int, small: bool) -> None:
    (osd,) = run("n4", devices=(DISK,), ceph=CephSettings(osd_memory_bytes=memory)).values()
    assert osd.small == small


def test_a_client_has_its_guid() -> None:
    configs = run("n4", is_client=True)
    assert set(configs) == {"client"}
    assert configs["client"].guid == "GUID"


def test_everybody_knows_the_cluster_and_its_monitors() -> None:
    for config in run("n1", devices=(DISK,), is_client=True).values():
        assert config.fsid == names.fsid(SYSTEM)
        assert config.monitors == tuple(f"[v2:10.0.0.{one}:3300/0]" for one in (1, 2, 3))
        assert (config.node, config.address) == ("n1", "10.0.0.1")


def test_what_is_left_of_a_disk_goes_under_another_name() -> None:
    (osd,) = run("n4", devices=(DISK,)).values()
    config = clearing(osd)
    assert (config.role, config.name, config.entity) == (Role.CLEARING, f"clearing-{osd.name}", osd.name)
    assert (config.uuid, config.paths) == (osd.uuid, osd.paths)


def test_a_config_is_read_as_it_was_written(tmp_path: Path) -> None:
    for name, config in run("n1", devices=(DISK,), is_client=True, is_new=True).items():
        (tmp_path / name).write_text(config.to_text())
        assert read_config(tmp_path / name) == config


def test_a_config_of_another_version_is_read_as_far_as_it_is_known(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(run("n3")["mon"].to_text().replace('"node"', '"added_later": [1], "node"'))
    assert read_config(path) == run("n3")["mon"]


@pytest.mark.parametrize("text", ["", "{}", '{"role": "king"}', '{"role": "mon"}'])
def test_what_is_no_config_is_not_taken_for_one(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_text(text)
    with pytest.raises(ValueError, match=r"\w"):
        read_config(tmp_path / "config")
