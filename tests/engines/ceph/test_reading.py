"""A Ceph cluster is told of in the framework's words, and never as better than it is."""

from __future__ import annotations

import pytest

from artesian.engines.ceph.reading import SOMEBODY, Reading
from artesian.model.engine import (
    EngineSeen,
    SeenDevice,
    SeenLimits,
    SeenPool,
    SeenServer,
    SeenVolume,
    SeenWarning,
)
from artesian.model.names import server_name
from artesian.model.topology import ManagerRole
from tests.engines.ceph.answers import FULL_RATIO, POOL, SECRET, Cluster


def seen(cluster: Cluster) -> EngineSeen:
    return Reading(cluster.answers(), "the-system", SECRET).seen()


def pool(cluster: Cluster) -> SeenPool:
    found = seen(cluster).pool(POOL)
    assert found is not None
    return found


def device(cluster: Cluster, number: int) -> SeenDevice:
    return next(one for one in seen(cluster).devices if one.name == f"disk-{number}")


def server(cluster: Cluster, node: str) -> SeenServer:
    return next(one for one in seen(cluster).servers if one.name == server_name(node, "main"))


def volume(cluster: Cluster, name: str) -> SeenVolume:
    found = seen(cluster).volume(name)
    assert found is not None
    return found


class TestManagers:
    def test_a_monitor_is_a_manager_and_its_name_says_which_kind(self) -> None:
        managers = {one.host: one for one in seen(Cluster()).managers}
        assert managers["10.0.0.1"].role is ManagerRole.MANAGER and managers["10.0.0.1"].leads
        assert managers["10.0.0.3"].role is ManagerRole.TIEBREAKER and not managers["10.0.0.3"].leads

    def test_one_outside_the_quorum_is_not_healthy(self) -> None:
        cluster = Cluster()
        cluster.quorum.remove("manager-n2")
        assert [one.name for one in seen(cluster).managers if not one.healthy] == ["manager-n2"]


class TestServersAndDevices:
    @pytest.mark.parametrize("nonce", [4_567, 2_004_567])  # as it began, and missed twice since then
    def test_a_device_says_which_process_serves_it(self, nonce: int) -> None:
        cluster = Cluster()
        cluster.osds[1]["public_addrs"] = {
            "addrvec": [{"type": "v2", "addr": "10.0.0.2:6800", "nonce": nonce}]
        }
        assert device(cluster, 1).is_served_by([17, 3_004_567])
        assert not device(cluster, 1).is_served_by([17, None])
        cluster.osds[1]["up"] = 0
        assert not device(cluster, 1).is_served_by([4_567])

    def test_a_server_is_connected_as_long_as_one_of_its_disks_is(self) -> None:
        cluster = Cluster()
        cluster.add_device(3, "n1")
        cluster.osds[0]["up"] = 0
        assert server(cluster, "n1").connected
        cluster.osds[3]["up"] = 0
        assert not server(cluster, "n1").connected

    def test_a_server_is_there_whose_node_says_that_all_its_disks_have_failed(self) -> None:
        cluster = Cluster()
        cluster.add_device(3, "n1")
        cluster.osds[0]["up"] = cluster.osds[3]["up"] = 0
        cluster.documents["disks", "uuid-0"] = {"failed": "it cannot be read"}
        assert not server(cluster, "n1").connected  # it does not say so of the other one
        cluster.documents["disks", "uuid-3"] = {"failed": "it is not there"}
        assert server(cluster, "n1").connected

    def test_a_server_without_disks_has_nothing_to_be_away_with(self) -> None:
        cluster = Cluster()
        cluster.add_server("n9")
        assert server(cluster, "n9").connected

    def test_a_host_whose_disks_are_not_given_up_is_in_maintenance(self) -> None:
        cluster = Cluster()
        cluster.flags = {"sds.n2.main": ["noout"]}
        assert [one.name for one in seen(cluster).servers if one.in_maintenance] == [
            server_name("n2", "main")
        ]

    def test_a_disk_that_is_away_for_a_moment_has_not_failed(self) -> None:
        cluster = Cluster()
        cluster.add_device(3, "n1")
        cluster.osds[0]["up"] = 0
        assert not device(cluster, 0).failed and device(cluster, 0).away
        assert not device(cluster, 3).away

    def test_a_disk_that_is_to_go_need_not_be_there(self) -> None:
        cluster = Cluster()
        cluster.add_device(3, "n1")
        cluster.osds[0]["up"] = 0
        cluster.documents["devices", "uuid-0"]["leaving"] = True
        assert not device(cluster, 0).away

    def test_a_disk_that_stays_away_beside_others_of_its_server_has_failed(self) -> None:
        cluster = Cluster()
        cluster.add_device(3, "n1")
        cluster.osds[0] |= {"up": 0, "in": 0, "down_at": 8}
        assert device(cluster, 0).failed and not device(cluster, 0).away
        assert not device(cluster, 3).failed

    def test_a_disk_that_comes_back_later_than_another_one_of_its_server_has_not_failed(self) -> None:
        cluster = Cluster()
        cluster.add_device(3, "n1")
        cluster.osds[0] |= {"up": 0, "in": 0, "down_at": 8}
        cluster.osds[3] |= {"up_from": 9, "down_at": 8}  # both were away
        assert not device(cluster, 0).failed and device(cluster, 0).away

    def test_the_disks_of_a_lost_server_have_not_failed(self) -> None:
        cluster = Cluster()
        cluster.osds[0] |= {"up": 0, "in": 0}
        assert not device(cluster, 0).failed
        assert not device(cluster, 0).away  # as the server itself is

    def test_a_disk_of_which_its_node_says_so_has_failed(self) -> None:
        cluster = Cluster()
        cluster.documents["disks", "uuid-0"] = {"failed": "it cannot be read"}
        assert not device(cluster, 0).failed  # its OSD serves
        cluster.osds[0]["up"] = 0
        assert device(cluster, 0).failed

    def test_figures_are_those_of_the_disk(self) -> None:
        one = device(Cluster(), 1)
        assert (one.size_bytes, one.used_bytes) == (1 << 30, 1 << 20)
        assert one.write_latency_s == pytest.approx(0.004)

    def test_a_disk_has_no_room_beyond_the_share_at_which_nobody_can_write_any_more(self) -> None:
        assert device(Cluster(), 1).room_bytes == FULL_RATIO * (1 << 30) - (1 << 20)


class TestPools:
    def test_a_pool_of_clean_groups_is_settled(self) -> None:
        cluster = Cluster()
        cluster.add_group("active+clean")
        assert pool(cluster).is_settled
        assert pool(cluster).size_bytes == 3 << 30
        assert pool(cluster).iops == 12

    def test_the_spare_share_is_kept_free(self) -> None:
        cluster = Cluster()
        before = pool(cluster).free_bytes
        cluster.documents["pools", "main", "gold"] = {"spare_percentage": 34}
        assert pool(cluster).free_bytes == pytest.approx(before - (3 << 30) * 24 // 200, abs=1)

    @pytest.mark.parametrize(
        ("flags", "is_full"),
        [("hashpspool", False), ("hashpspool,nearfull", False), ("hashpspool,full", True)],
    )
    def test_a_pool_is_full_if_nobody_can_write_to_it(self, flags: str, *, is_full: bool) -> None:
        cluster = Cluster()
        cluster.pool_flags = flags
        assert pool(cluster).is_full is is_full

    @pytest.mark.parametrize(
        ("state", "degraded", "failed", "moving"),
        [
            ("active+undersized+degraded", 500, 0, 0),
            ("active+undersized", 500, 0, 0),
            ("active+recovery_wait+degraded", 500, 0, 500),
            ("peering", 500, 0, 0),
            ("down", 0, 1000, 0),
            ("stale+active+clean", 500, 0, 0),
            ("unknown", 0, 1000, 0),
            ("active+recovery_unfound+degraded", 500, 0, 0),
        ],
    )
    def test_what_is_not_clean_is_told_of(self, state: str, degraded: int, failed: int, moving: int) -> None:
        cluster = Cluster()
        cluster.add_group("active+clean")
        cluster.add_group(state, num_objects_degraded=10)
        one = pool(cluster)
        assert (one.degraded_bytes, one.failed_bytes, one.moving_bytes) == (degraded, failed, moving)

    def test_data_that_is_only_in_the_wrong_place_is_whole_and_moves(self) -> None:
        cluster = Cluster()
        cluster.add_group("active+remapped+backfilling", num_objects_misplaced=4)
        assert pool(cluster).is_whole
        assert pool(cluster).moving_bytes == 200

    def test_a_group_nobody_speaks_for_is_lost_only_if_none_of_its_disks_is_there(self) -> None:
        cluster = Cluster()
        cluster.add_group("stale+active+clean", acting=(0, 1))
        cluster.osds[0]["up"] = 0
        assert pool(cluster).failed_bytes == 0
        assert pool(cluster).degraded_bytes > 0
        cluster.osds[1]["up"] = 0
        assert pool(cluster).failed_bytes == 1000

    def test_groups_without_objects_miss_nothing(self) -> None:
        cluster = Cluster()
        cluster.add_group("unknown", num_objects=0, num_bytes=0)
        assert pool(cluster).is_settled

    @pytest.mark.parametrize("state", ["unknown", "down", "incomplete", "stale+active+clean"])
    def test_groups_that_nobody_answers_for_may_have_objects_where_there_are_volumes(
        self, state: str
    ) -> None:
        cluster = Cluster()
        cluster.add_group("active+clean")
        cluster.add_group(state, num_objects=0, num_bytes=0, num_object_copies=0)
        assert pool(cluster).is_settled
        cluster.add_volume("3-a", "one")
        assert not pool(cluster).is_whole
        assert bool(pool(cluster).failed_bytes) is (state != "stale+active+clean")

    def test_groups_that_a_pool_was_divided_into_just_now_are_not_lost(self) -> None:
        cluster = Cluster()
        cluster.add_volume("3-a", "one")
        cluster.add_group("active+clean")
        cluster.add_group("unknown", num_objects=0, num_bytes=0, num_object_copies=0)
        assert pool(cluster).failed_bytes
        cluster.new_groups = [cluster.groups[1]["pgid"]]
        assert not pool(cluster).is_whole
        assert not pool(cluster).failed_bytes

    def test_what_a_new_manager_daemon_was_not_told_yet_is_not_lost(self) -> None:
        cluster = Cluster()
        cluster.add_volume("3-a", "one")
        cluster.add_group("unknown", num_objects=0, num_bytes=0, num_object_copies=0)
        cluster.silent = {2}
        assert not pool(cluster).is_whole
        assert not pool(cluster).failed_bytes

    def test_a_pool_of_which_not_all_is_known_is_not_whole(self) -> None:
        cluster = Cluster()
        cluster.add_volume("3-a", "one")
        cluster.add_group("active+clean")
        cluster.pg_num = 1
        assert pool(cluster).is_settled
        cluster.pg_num = 2
        assert not pool(cluster).is_whole

    def test_who_has_no_figures_at_all_knows_of_nothing_that_is_whole(self) -> None:
        cluster = Cluster()
        cluster.add_volume("3-a", "one")
        cluster.fresh = False
        assert not pool(cluster).is_whole

    def test_what_was_said_before_a_disk_came_back_counts_for_nothing(self) -> None:
        cluster = Cluster()
        cluster.add_group("active+clean", acting=(0, 1))
        cluster.osds[1]["up_from"] = 10
        assert not pool(cluster).is_whole
        cluster.groups[0]["reported_epoch"] = 10
        assert pool(cluster).is_whole

    def test_a_disk_that_is_missed_is_known_before_its_groups_say_so(self) -> None:
        cluster = Cluster()
        cluster.add_group("active+clean", acting=(1, 2))
        cluster.osds[0]["up"] = 0
        assert not pool(cluster).is_whole

    def test_old_figures_prove_nothing(self) -> None:
        cluster = Cluster()
        cluster.add_group("active+clean")
        cluster.fresh = False
        assert not pool(cluster).is_whole
        assert pool(cluster).iops is None

    def test_a_pool_without_disks_is_empty_and_settled(self) -> None:
        cluster = Cluster()
        cluster.documents["pools", "main", "other"] = {"spare_percentage": 20}
        other = next(one for one in seen(cluster).pools if one.name.pool == "other")
        assert other.is_settled
        assert (other.size_bytes, other.free_bytes) == (0, 0)


class TestWarnings:
    def test_what_ceph_finds_wrong_is_told_unless_it_is_muted(self) -> None:
        cluster = Cluster()
        cluster.checks = {
            "MON_CLOCK_SKEW": {
                "severity": "HEALTH_WARN",
                "summary": {"message": "clock skew detected on mon.b"},
                "detail": [{"message": "mon.b clock skew 2.1s > max 0.05s"}],
            },
            "OSD_FULL": {"severity": "HEALTH_ERR", "summary": {"message": "1 full osd(s)"}, "detail": []},
            "POOL_NO_REDUNDANCY": {
                "severity": "HEALTH_WARN", "summary": {"message": "m"}, "detail": [], "muted": True,
            },
        }  # fmt: skip
        assert seen(cluster).warnings == (
            SeenWarning("MON_CLOCK_SKEW", "clock skew detected on mon.b (mon.b clock skew 2.1s > max 0.05s)"),
            SeenWarning("OSD_FULL", "1 full osd(s)", serious=True),
        )

    def test_maintenance_of_ours_is_nothing_to_warn_of(self) -> None:
        cluster = Cluster()
        flags = {"severity": "HEALTH_WARN", "summary": {"message": "flags set"}, "detail": []}
        cluster.checks = {"OSD_FLAGS": flags}
        cluster.flags = {"sds.n2.main": ["noout"]}
        assert seen(cluster).warnings == ()
        cluster.flags |= {"their-host": ["noout"]}
        assert [one.code for one in seen(cluster).warnings] == ["OSD_FLAGS"]


class TestVolumes:
    def test_a_volume_is_the_clients_whose_key_the_monitors_have(self) -> None:
        cluster = Cluster()
        cluster.documents["clients", "G1"] = {"node": "n1"}
        cluster.add_volume("3-a", "one")
        assert volume(cluster, "one").mapped_to == ()
        cluster.give("3-a", "G1", told=False)
        assert volume(cluster, "one").mapped_to == ("G1",)

    def test_what_a_client_was_told_gives_it_no_right(self) -> None:
        cluster = Cluster()
        cluster.add_volume("3-a", "one")
        cluster.documents["mapped", "G1", "3-a"] = {"token": "t", "size_bytes": 1}
        assert volume(cluster, "one").mapped_to == ()

    def test_a_key_that_nobody_known_has_is_somebodys(self) -> None:
        cluster = Cluster()
        cluster.documents["clients", "G1"] = {"node": "n1"}
        cluster.add_volume("3-a", "one")
        cluster.give("3-a", "G2", told=False)
        assert volume(cluster, "one").mapped_to == (SOMEBODY,)

    def test_limits_are_those_of_who_has_it(self) -> None:
        cluster = Cluster()
        cluster.add_volume("3-a", "one")
        cluster.documents["limits", "3-a"] = {"iops": 100, "bandwidth_bytes_per_s": 0}
        assert volume(cluster, "one").limits == ()
        cluster.give("3-a", "G1")
        assert volume(cluster, "one").limits == (("G1", SeenLimits(iops=100)),)

    def test_a_client_is_connected_if_a_monitor_knows_it(self) -> None:
        cluster = Cluster()
        cluster.documents["clients", "G1"] = {"node": "n1"}
        assert [(one.name, one.connected) for one in seen(cluster).clients] == [("n1", False)]
        cluster.sessions.add("client.artesian.G1")
        assert [(one.name, one.connected) for one in seen(cluster).clients] == [("n1", True)]
