"""Remedies for what has not failed yet: devices that still work, and file systems that fill up."""

from __future__ import annotations

from dataclasses import replace

from artesian.model.engine import EngineSeen
from artesian.model.node import NodeState
from artesian.model.observation import SeenAttachment
from artesian.model.remedy import RemedyState
from artesian.model.wishes import VolumeWish
from tests.planner.situations import POOL
from tests.remedy.cases import GIB, GROW, REPLACE, Clinic
from tests.remedy.observed import nodes, seen, state
from tests.remedy.test_measuring import measured

# --- devices that still work


def engine_of(clinic: Clinic) -> EngineSeen:
    assert clinic.world.engine is not None
    return clinic.world.engine


def test_where_there_is_room_a_sick_device_is_taken_out_without_another_one() -> None:
    clinic = Clinic(4, providers=())
    sick = engine_of(clinic).devices[0]
    clinic.fire(REPLACE, sick.name)
    clinic.passes(4)
    assert sick.name not in {one.name for one in engine_of(clinic).devices}
    assert not clinic.made


def test_where_there_is_none_it_stays_and_somebody_is_told_why() -> None:
    clinic = Clinic(2, providers=())
    clinic.fill(0.9)
    sick = engine_of(clinic).devices[0]
    clinic.fire(REPLACE, sick.name)
    clinic.passes(4)
    assert sick in engine_of(clinic).devices
    assert not clinic.world.state.tombstones
    assert clinic.remedy.state is RemedyState.HELD
    assert "give it another disk first" in clinic.remedy.detail
    assert f"pool {POOL} holds 48.6 GiB, and without {sick.path} it has room for" in clinic.remedy.detail


def test_a_device_that_has_failed_is_taken_out_all_the_same() -> None:
    clinic = Clinic(2, providers=())
    clinic.fill(0.9)
    lost, *others = engine_of(clinic).devices
    clinic.world.engine = replace(engine_of(clinic), devices=(replace(lost, failed=True), *others))
    clinic.fire(REPLACE, lost.name)
    clinic.passes(4)
    assert lost.name not in {one.name for one in engine_of(clinic).devices}


def test_a_new_disk_makes_the_room_that_is_lacking() -> None:
    clinic = Clinic(2)
    clinic.fill(0.9)
    sick = engine_of(clinic).devices[0]
    clinic.fire(REPLACE, sick.name)
    clinic.passes(8)
    assert sick.name not in {one.name for one in engine_of(clinic).devices}
    assert len(clinic.made) == 1


# --- file systems that fill up


def filling(size_bytes: int = 4 * GIB, note: str = "") -> Clinic:
    """A volume of a pool that has room for nearly 14 GiB."""
    clinic = Clinic(3)
    wish = VolumeWish("data", POOL, size_bytes, node="node-1", mount_path="/data")
    clinic.world.state = clinic.world.state.with_volume(wish)
    clinic.world.converge()
    volume_id = clinic.world.state.volumes["data"].engine_id
    assert volume_id is not None
    told = SeenAttachment(volume_id, "node-1", "/dev/loop0", "/data", note=note)
    clinic.world.attachments = (told,)
    clinic.fire(GROW, "data")
    return clinic


def size_of(clinic: Clinic) -> int:
    found = engine_of(clinic).volume("data")
    assert found is not None
    return found.size_bytes


def test_a_volume_grows_by_half_of_its_size() -> None:
    clinic = filling()
    clinic.passes(4)
    assert size_of(clinic) == 6 * GIB
    assert clinic.remedy.state is RemedyState.CHECKING
    clinic.calm()
    clinic.pass_()
    assert clinic.remedy.state is RemedyState.HELPED


def test_no_volume_is_to_be_larger_than_what_its_pool_has_room_for() -> None:
    clinic = filling(40 * GIB)
    clinic.passes(4)
    assert size_of(clinic) == 40 * GIB
    assert clinic.remedy.state is RemedyState.HELD
    assert "volume data would have 60.0 GiB, more than its whole pool has room for" in clinic.remedy.detail


def test_a_file_system_that_has_not_grown_before_is_no_reason_to_grow_its_volume_again() -> None:
    clinic = filling(note="its file system does not grow: the kernel refuses it")
    clinic.passes(4)
    assert size_of(clinic) == 4 * GIB
    assert "the kernel refuses it" in clinic.remedy.detail


def test_while_the_file_system_does_not_grow_the_remedy_says_so() -> None:
    clinic = filling()
    clinic.passes(2)
    assert size_of(clinic) == 6 * GIB
    (told,) = clinic.world.attachments
    clinic.world.state = replace(
        clinic.world.state,
        remedies={
            key: replace(one, state=RemedyState.ACTING) for key, one in clinic.world.state.remedies.items()
        },
    )
    clinic.world.attachments = (replace(told, note="its file system does not grow: ext4"),)
    clinic.pass_()
    assert (clinic.remedy.state, clinic.remedy.detail) == (
        RemedyState.ACTING,
        "its file system does not grow: ext4",
    )
    clinic.world.attachments = (told,)
    clinic.pass_()
    assert clinic.remedy.state is RemedyState.CHECKING


# --- how full they are


def test_a_volume_is_as_full_as_its_file_system() -> None:
    mounted = SeenAttachment("v-1", "node-1", "/dev/loop0", "/data", used_bytes=3, total_bytes=4)
    assert measured(seen(attachments=(mounted,)), state())["volume", "data"].values["used_share"] == 0.75
    for unknown in (
        replace(mounted, used_bytes=None),
        replace(mounted, mounted_at=None),
        replace(mounted, total_bytes=0),
        replace(mounted, volume_id="v-2"),
    ):
        found = measured(seen(attachments=(unknown,)), state())["volume", "data"]
        assert "used_share" not in found.values


def test_what_a_silent_node_said_last_is_not_known() -> None:
    mounted = SeenAttachment("v-1", "node-1", "/dev/loop0", "/data", used_bytes=3, total_bytes=4)
    silent = seen(nodes=nodes(node_1=NodeState.SILENT), attachments=(mounted,))
    assert "used_share" not in measured(silent, state())["volume", "data"].values
