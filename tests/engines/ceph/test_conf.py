"""What Ceph's daemons and clients read."""

from __future__ import annotations

from configparser import ConfigParser
from pathlib import Path

import pytest

from artesian.engines.ceph import healing
from artesian.engines.ceph.conf import (
    addresses_of,
    client_settings,
    monitor_address,
    monitor_addresses,
    node_conf,
    plain_address,
)
from artesian.model.assignment import Assignment
from artesian.model.engine import CephSettings, Healing, ManagerPlace
from artesian.model.topology import ManagerRole

FOLDER = Path("/somewhere/of/ours")
FSID = "6c6a1f0e-0000-0000-0000-000000000000"
PLACES = tuple(ManagerPlace(f"n{one}", f"10.0.0.{one}", ManagerRole.MANAGER) for one in (2, 1))
MONITORS = ("[v2:10.0.0.1:3300/0]", "[v2:10.0.0.2:3300/0]")
GIB = 1 << 30


def read(text: str) -> ConfigParser:
    parser = ConfigParser(interpolation=None)
    parser.read_string(text)
    return parser


def of_node(settings: CephSettings) -> ConfigParser:
    return read(node_conf(FOLDER, FSID, MONITORS, settings))


def test_monitors_are_named_in_the_same_order_by_everybody() -> None:
    assert monitor_addresses(PLACES) == monitor_addresses(reversed(PLACES)) == MONITORS


def test_those_of_somebody_else_are_named_as_he_writes_them() -> None:
    assignment = Assignment("n", "10.0.0.9", managers=PLACES[1:], manager_addresses=("mon.example:6789",))
    assert addresses_of(assignment) == (MONITORS[0], "mon.example:6789")


def test_a_node_knows_its_cluster() -> None:
    conf = of_node(CephSettings())
    assert (conf["global"]["fsid"], conf["global"]["mon_host"]) == (FSID, ",".join(MONITORS))


def test_everything_is_in_the_nodes_folder() -> None:
    conf = of_node(CephSettings())
    paths = [value for part in conf.values() for value in part.values() if value.startswith("/")]
    assert paths and all(path.startswith(f"{FOLDER}/") for path in paths)


def test_a_socket_has_a_short_name_however_long_the_folders_is() -> None:
    conf = read(node_conf(Path("/" + "x" * 200), FSID, MONITORS, CephSettings()))
    assert conf["global"]["admin_socket"] == "run/$name.asok"


def test_a_silent_disk_is_missed_as_soon_by_monitors_as_by_other_disks() -> None:
    conf = of_node(CephSettings())
    assert conf["global"]["osd_heartbeat_grace"] == "6"
    assert "osd_heartbeat_grace" not in {*conf["osd"], *conf["mon"]}


def test_healing_begins_when_its_owner_says() -> None:
    assert of_node(CephSettings(heal_after_s=77))["mon"]["mon_osd_down_out_interval"] == "77"


def test_how_much_healing_may_disturb_is_not_in_files_which_count_for_more() -> None:
    assert not healing.settings(Healing.LIMITED).keys() & of_node(CephSettings())["osd"].keys()


def test_a_full_disk_does_not_hold_up_its_own_relief() -> None:
    assert of_node(CephSettings())["osd"]["osd_debug_skip_full_check_in_recovery"] == "true"


def test_where_disks_are_in_the_map_is_not_for_them_to_say() -> None:
    osd = of_node(CephSettings())["osd"]
    assert (osd["osd_crush_update_on_start"], osd["osd_class_update_on_start"]) == ("false", "false")


def test_a_small_osd_keeps_a_small_cache() -> None:
    osd = of_node(CephSettings(osd_memory_bytes=GIB))["osd"]
    assert (osd["bluestore_cache_autotune"], osd["bluestore_cache_size"]) == ("false", str(64 << 20))


def test_a_large_osd_tunes_itself() -> None:
    osd = of_node(CephSettings(osd_memory_bytes=4 * GIB))["osd"]
    assert (osd["bluestore_cache_autotune"], osd["osd_memory_target"]) == ("true", str(4 * GIB))
    assert "bluestore_cache_size" not in osd


def test_a_missing_disk_is_not_made_up() -> None:
    assert of_node(CephSettings())["osd"]["bluestore_block_create"] == "false"


def test_volumes_wait_for_storage_and_questions_do_not() -> None:
    conf = of_node(CephSettings())
    assert not any("timeout" in key for part in ("global", "client") for key in conf[part] if "osd" in key)
    settings = client_settings(FSID, MONITORS, 2.5, 1)
    assert [settings[f"rados_{of}_op_timeout"] for of in ("mon", "osd")] == ["2.5", "2.5"]
    assert settings["client_mount_timeout"] == "1"


def test_what_manager_daemons_are_asked_is_never_given_up_by_librados() -> None:
    given_up = {"rados_mon_op_timeout"}
    patient = client_settings(FSID, MONITORS, is_patient=True)
    assert client_settings(FSID, MONITORS).keys() - patient.keys() == given_up


def test_a_cluster_that_is_not_known_yet_may_be_any() -> None:
    assert "fsid" not in client_settings("", MONITORS)


@pytest.mark.parametrize(
    ("address", "written"),
    [("10.0.0.1", "[v2:10.0.0.1:3300/0]"), ("10.0.0.1:3301", "[v2:10.0.0.1:3301/0]")],
)
def test_a_monitor_listens_on_our_port_if_nobody_says_another(address: str, written: str) -> None:
    assert monitor_address(address) == written
    assert plain_address(written).startswith(address)
