"""Disks out of lsblk's documents."""

from __future__ import annotations

from typing import Any

import pytest

from artesian.agent.disks.errors import DisksUnknown
from artesian.agent.disks.facts import SOMEBODY, Probe, disks_from_lsblk, paths_to_probe
from artesian.model.disk import Disk, EngineLabel, Media
from artesian.model.node import Node, NodeState
from artesian.model.topology import VerdictKind
from artesian.strategy.verdicts import Memory, judge_disks, obstacle_to_taking
from tests.agent.disks.lsblk_documents import TB, Row, bare_sata, document, mapped, row, system_nvme

EMPTY = Probe()


def only_disk(device: Row, probe: Probe | None = EMPTY, **options: Any) -> Disk:
    probes = {} if probe is None else {device["path"]: probe}
    (disk,) = disks_from_lsblk(document(device), probes, **options)
    return disk


def test_a_bare_disk_is_free_and_known_by_its_world_wide_name() -> None:
    disk = only_disk(bare_sata(), links={"/dev/sdb": ("/dev/disk/by-id/wwn-0x5000c500c1a2b3d4",)})
    assert disk == Disk(
        path="/dev/sdb",
        identity="wwn:0x5000c500c1a2b3d4",
        size_bytes=4 * TB,
        media=Media.HDD,
        model="ST4000NM002A-2HZ101",
        other_paths=("/dev/disk/by-id/wwn-0x5000c500c1a2b3d4",),
        stable_path="/dev/disk/by-id/wwn-0x5000c500c1a2b3d4",
    )
    assert obstacle_to_taking(disk, "ours") is None


def test_the_disk_that_carries_the_root_is_of_the_system() -> None:
    disk = only_disk(system_nvme(), probe=None)
    assert disk.is_system
    assert disk.mounted_at == ("/", "/boot/efi")
    assert disk.partitions == ("/dev/nvme0n1p1", "/dev/nvme0n1p2")
    assert disk.signatures == ("gpt",)
    assert (disk.media, disk.model) == (Media.SSD, "SAMSUNG MZVL2512HCJQ-00BL7")
    assert disk.unreadable == ""


@pytest.mark.parametrize("place", ["/", "/boot", "/boot/efi", "/usr", "/var", "[SWAP]"])
def test_what_a_node_runs_on_is_of_the_system(place: str) -> None:
    disk = only_disk(bare_sata(mounted_at=place), probe=None)
    assert (disk.is_system, disk.mounted_at) == (True, (place,))


def test_a_disk_with_somebodys_data_is_mounted_but_not_of_the_system() -> None:
    disk = only_disk(bare_sata(mounted_at="/srv/data", fstype="xfs"), probe=None)
    assert (disk.is_system, disk.mounted_at, disk.signatures) == (False, ("/srv/data",), ("xfs",))


def test_a_root_deep_below_counts_for_every_disk_under_it() -> None:
    """Root on LVM on LUKS on a RAID of two partitions: lsblk repeats what is shared."""

    def half(name: str) -> Row:
        root = mapped("dm-1", "vg-root", "lvm", mounted_at="/")
        crypt = mapped("dm-0", "luks-1", "crypt", fstype="LVM2_member", children=[root])
        array = row("md0", "raid1", fstype="crypto_LUKS", children=[crypt])
        return bare_sata(name, children=[row(f"{name}1", "part", pkname=name, children=[array])])

    disks = disks_from_lsblk(document(half("sda"), half("sdb")), {})
    assert [disk.path for disk in disks] == ["/dev/sda", "/dev/sdb"]
    assert all(disk.is_system for disk in disks)
    assert disks[1].holders == ("/dev/mapper/luks-1", "/dev/mapper/vg-root", "/dev/md0")


def test_a_member_of_a_volume_group_is_held_by_its_volumes() -> None:
    volume = mapped("dm-3", "data-images", "lvm", fstype="ext4")
    member = bare_sata(fstype="LVM2_member", children=[volume])
    disk = only_disk(member, Probe(signatures=("LVM2_member",), holders=("/dev/dm-3", "/dev/dm-4")))
    assert disk.holders == ("/dev/dm-4", "/dev/mapper/data-images")
    assert disk.signatures == ("LVM2_member",)


def test_a_volume_group_that_is_not_active_shows_by_its_signature() -> None:
    disk = only_disk(bare_sata(), Probe(signatures=("LVM2_member",)))
    assert (disk.holders, disk.signatures) == ((), ("LVM2_member",))


def test_a_member_of_an_array_is_held_by_it_and_the_array_is_no_disk() -> None:
    array = row("md127", "raid1", mounted_at="/srv")
    disk = only_disk(bare_sata(fstype="linux_raid_member", children=[array]), probe=None)
    assert (disk.holders, disk.mounted_at) == (("/dev/md127",), ("/srv",))
    assert disk.signatures == ("linux_raid_member",)


def test_an_anonymous_holder_is_said_only_if_nobody_is_known_by_name() -> None:
    held = Probe(holders=(SOMEBODY,))
    assert only_disk(bare_sata(), held).holders == (SOMEBODY,)
    member = bare_sata(children=[row("md127", "raid1")])
    assert only_disk(member, held).holders == ("/dev/md127",)


def test_two_paths_to_one_disk_are_held_and_neither_is_taken() -> None:
    def path_to(name: str) -> Row:
        return bare_sata(name, fstype="mpath_member", children=[mapped("dm-0", "mpatha", "mpath")])

    disks = disks_from_lsblk(document(path_to("sda"), path_to("sdb")), {"/dev/sda": EMPTY, "/dev/sdb": EMPTY})
    assert [disk.holders for disk in disks] == [("/dev/mapper/mpatha",)] * 2
    assert disks[0].identity == disks[1].identity


def test_disks_with_the_same_identity_are_both_refused() -> None:
    disks = disks_from_lsblk(
        document(bare_sata("sda"), bare_sata("sdb")), {"/dev/sda": EMPTY, "/dev/sdb": EMPTY}
    )
    node = Node("a", NodeState.ALIVE, disks=tuple(disks))
    verdicts = judge_disks([node], Memory(), minimum_bytes=1, system_id="ours")
    assert {verdict.kind for verdict in verdicts} == {VerdictKind.REFUSED}


def test_a_read_only_disk_is_known_as_one() -> None:
    assert only_disk(bare_sata(ro=True)).read_only


@pytest.mark.parametrize(
    ("facts", "label_uuid", "identity"),
    [
        ({"wwn": None}, "", "serial:ST4000NM002A-2HZ101:WJG0ABCD"),
        ({"wwn": "0x0000000000000000"}, "", "serial:ST4000NM002A-2HZ101:WJG0ABCD"),
        ({"wwn": "eui.0000000000000000", "serial": "00000000"}, "", None),
        ({"wwn": None, "model": None, "serial": "vol0abc"}, "", "serial::vol0abc"),
        ({"wwn": None, "serial": None}, "3a5e", "uuid:3a5e"),
        ({"wwn": "", "serial": "  "}, "", None),
        ({}, "3a5e", "wwn:0x5000c500c1a2b3d4"),
    ],
)
def test_the_best_identity_that_there_is(facts: Row, label_uuid: str, identity: str | None) -> None:
    label = EngineLabel("ours", "1") if label_uuid else None
    disk = only_disk(bare_sata(**facts), Probe(label=label, label_uuid=label_uuid))
    assert (disk.identity, disk.label) == (identity, label)


@pytest.mark.parametrize("name", ["zram0", "ram3", "nbd0", "rbd1", "scinia", "drbd10", "zd16", "fd0"])
def test_memory_and_volumes_are_no_disks_of_the_node(name: str) -> None:
    assert disks_from_lsblk(document(row(name)), {}) == []
    assert paths_to_probe(document(row(name))) == []


def test_what_is_left_out_can_be_asked_for() -> None:
    everything = document(row("loop0", "loop"), row("sr0", "rom"), row("zram0"), row("nbd0"))
    assert disks_from_lsblk(everything, {}) == []
    asked = disks_from_lsblk(everything, {}, also=("loop", "zram"))
    assert [disk.path for disk in asked] == ["/dev/loop0", "/dev/zram0"]


def test_only_disks_without_partitions_and_mounts_are_looked_at() -> None:
    member = bare_sata("sdc", children=[row("md0", "raid1")])
    devices = document(system_nvme(), bare_sata("sdb"), member, bare_sata("sdd", mounted_at="/srv"))
    assert paths_to_probe(devices) == ["/dev/sdb", "/dev/sdc"]


def test_a_disk_at_which_nobody_looked_is_not_taken_for_an_empty_one() -> None:
    assert "nobody has looked" in only_disk(bare_sata(), probe=None).unreadable


def test_trouble_with_the_look_is_passed_on_and_what_lsblk_knows_counts() -> None:
    disk = only_disk(bare_sata(fstype="ext4"), Probe(unreadable="blkid (util-linux) is missing"))
    assert (disk.unreadable, disk.signatures) == ("blkid (util-linux) is missing", ("ext4",))


def test_what_udev_remembers_does_not_count_against_a_complete_look() -> None:
    assert only_disk(bare_sata(fstype="ext4"), EMPTY).signatures == ()


@pytest.mark.parametrize(
    ("lacking", "word"), [("size", "size"), ("ro", "read-only"), ("mountpoints", "mounted")]
)
def test_a_fact_that_lsblk_does_not_tell_is_said_to_be_unknown(lacking: str, word: str) -> None:
    device = bare_sata()
    del device[lacking]
    assert word in only_disk(device).unreadable


def test_what_older_versions_of_lsblk_print_means_the_same() -> None:
    device = bare_sata(ro="1", rota="0", size="4000787030016", mountpoint="/srv")
    del device["mountpoints"]
    disk = only_disk(device)
    assert (disk.read_only, disk.media, disk.size_bytes) == (True, Media.SSD, 4_000_787_030_016)
    assert disk.mounted_at == ("/srv",)


def test_media_are_unknown_if_lsblk_does_not_say() -> None:
    assert only_disk(bare_sata(rota=None)).media is Media.UNKNOWN


def test_a_flat_list_is_put_back_into_a_tree() -> None:
    disk_row = system_nvme()
    flat = document(*disk_row.pop("children"), disk_row)
    (disk,) = disks_from_lsblk(flat, {})
    assert disk.is_system
    assert disk.partitions == ("/dev/nvme0n1p1", "/dev/nvme0n1p2")


@pytest.mark.parametrize("rubbish", [{}, {"blockdevices": None}, {"blockdevices": ["sda"]}])
def test_what_is_no_list_of_devices_is_no_node_without_disks(rubbish: dict[str, Any]) -> None:
    with pytest.raises(DisksUnknown):
        disks_from_lsblk(rubbish, {})
