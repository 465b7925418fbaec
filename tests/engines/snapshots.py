"""What snapshots and the volumes that are made of them have to do, whichever engine keeps them."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest

from artesian.engines.port import NotYet
from artesian.model.changes import (
    CreateSnapshot,
    CreateVolume,
    DeleteSnapshot,
    DeleteVolume,
    GrowVolume,
    MapVolume,
    RenameVolume,
    UnmapVolume,
)
from artesian.model.engine import SeenSnapshot, SnapshotId
from tests.engines.deployment import POOL, Capability, Deployment, need
from tests.engines.volumes import BLOCK, GIB, MIB, in_use, pattern, refused


def snapshot(system: Deployment, volume: str, name: str = "kept") -> SeenSnapshot:
    """One that is there."""
    found = system.volume(volume).snapshot(name)
    assert found is not None, name
    return found


def copy_of(system: Deployment, volume: str, new: str, name: str = "kept") -> CreateVolume:
    """A new volume with what a snapshot has."""
    there = snapshot(system, volume, name)
    return CreateVolume(new, POOL, there.size_bytes, False, SnapshotId(system.volume(volume).id, there.id))


class SnapshotContract:
    """Tests of `system` with a `volume` of their own."""

    def test_an_engine_says_whether_it_has_snapshots(self, system: Deployment, volume: str) -> None:
        offered = Capability.SNAPSHOTS in system.handle.capabilities
        assert system.observe().offers_snapshots == offered
        if not offered:
            assert "snapshots" in refused(system, CreateSnapshot(volume, "kept"))
            source = SnapshotId(system.volume(volume).id, "1")
            assert "snapshots" in refused(system, CreateVolume("copy", POOL, GIB, False, source))

    def test_a_copy_has_exactly_what_was_flushed_before(self, system: Deployment, volume: str) -> None:
        need(system, Capability.SNAPSHOTS)
        before, after = pattern(200, 6 * MIB), pattern(201, 6 * MIB)
        with in_use(system, volume, "n1") as blocks:
            blocks.write_durably(3 * MIB, before)
            began_s = time.time()
            system.make(CreateSnapshot(volume, "kept"))
            taken = snapshot(system, volume)
            assert taken.size_bytes == GIB
            assert began_s - 2 < taken.taken_at_s < time.time() + 2
            blocks.write_durably(5 * MIB, after)
            blocks.write_durably(GIB - BLOCK, pattern(202))
            system.make(copy_of(system, volume, "copy"))
            with in_use(system, "copy", "n2") as copied:
                assert copied.size_bytes == GIB
                assert copied.read(0, 12 * MIB) == bytes(3 * MIB) + before + bytes(3 * MIB)
                assert copied.read(GIB - BLOCK, BLOCK) == bytes(BLOCK)
                copied.write_durably(3 * MIB, pattern(203))
            assert blocks.read(3 * MIB, 8 * MIB) == before[: 2 * MIB] + after
        system.make(DeleteVolume("copy"), DeleteSnapshot(volume, "kept"))
        assert system.volume(volume).snapshots == ()

    def test_it_is_taken_once(self, system: Deployment, volume: str) -> None:
        need(system, Capability.SNAPSHOTS)
        with in_use(system, volume, "n4") as blocks:
            blocks.write_durably(0, pattern(210))
            system.do(CreateSnapshot(volume, "kept"))
            first = snapshot(system, volume)
            blocks.write_durably(0, pattern(211))
            system.make(CreateSnapshot(volume, "kept"), CreateSnapshot(volume, "later"))
        assert system.volume(volume).snapshots[0] == first
        system.make(DeleteSnapshot(volume, "kept"))
        system.do(CreateSnapshot(volume, "kept"))  # the name is free again
        assert snapshot(system, volume).id != first.id

    def test_a_volume_with_snapshots_stays(self, system: Deployment, volume: str) -> None:
        need(system, Capability.SNAPSHOTS)
        system.do(CreateSnapshot(volume, "kept"))
        assert "kept" in refused(system, DeleteVolume(volume))

    @pytest.mark.parametrize("first", ["copy", "snapshot"])
    def test_neither_harms_the_other_by_going(self, system: Deployment, volume: str, first: str) -> None:
        need(system, Capability.SNAPSHOTS)
        data = pattern(220, 5 * MIB)
        with in_use(system, volume, "n1") as blocks:
            blocks.write_durably(0, data)
        system.do(CreateSnapshot(volume, "kept"))
        system.do(copy_of(system, volume, "copy"))
        if first == "copy":
            system.make(DeleteVolume("copy"))
            system.do(copy_of(system, volume, "again"))
            left = [volume, "again"]
        else:
            system.make(DeleteSnapshot(volume, "kept"), DeleteVolume(volume))
            left = ["copy"]
        for name in left:
            with in_use(system, name, "n2") as blocks:
                assert blocks.read(0, len(data)) == data
        system.do(*(DeleteVolume(name) for name in left if name != volume))

    def test_a_copy_is_a_volume_like_any_other(self, system: Deployment, volume: str) -> None:
        need(system, Capability.SNAPSHOTS)
        data = pattern(230, MIB)
        with in_use(system, volume, "n1") as blocks:
            blocks.write_durably(0, data)
        system.do(CreateSnapshot(volume, "kept"), GrowVolume(volume, 2 * GIB))
        system.do(RenameVolume(volume, "renamed"))
        system.do(copy_of(system, "renamed", volume))  # that name is free
        system.make(GrowVolume(volume, 3 * GIB), CreateSnapshot(volume, "of-the-copy"))
        assert system.volume(volume).size_bytes == 3 * GIB
        system.do(copy_of(system, volume, "second", "of-the-copy"))
        system.do(DeleteSnapshot("renamed", "kept"), DeleteVolume("renamed"))
        system.do(MapVolume("second", "n1"), MapVolume(volume, "n1"))
        with system.open("n1", "second") as second, system.open("n1", volume) as first:
            assert (second.size_bytes, first.size_bytes) == (3 * GIB, 3 * GIB)
            assert second.read(0, 2 * MIB) == first.read(0, 2 * MIB) == data + bytes(MIB)
        system.do(UnmapVolume("second", "n1"), UnmapVolume(volume, "n1"), DeleteVolume("second"))

    def test_what_is_not_there_cannot_be_kept_or_copied(self, system: Deployment, volume: str) -> None:
        need(system, Capability.SNAPSHOTS)
        assert "none" in refused(system, CreateSnapshot("none", "kept"))
        system.do(CreateSnapshot(volume, "kept"))
        copy = copy_of(system, volume, "copy")
        system.make(DeleteSnapshot(volume, "kept"))
        assert "snapshot" in refused(system, copy)
        system.make(DeleteVolume("copy"), DeleteSnapshot(volume, "nothing"), DeleteSnapshot("none", "kept"))

    def test_a_copy_that_nobody_wants_any_more_leaves_nothing(self, system: Deployment, volume: str) -> None:
        need(system, Capability.SNAPSHOTS)
        with in_use(system, volume, "n1") as blocks:
            blocks.write_durably(0, pattern(240, 16 * MIB))
        system.do(CreateSnapshot(volume, "kept"))
        copy = copy_of(system, volume, "copy")
        with suppress(NotYet):
            system.attempt(copy)  # and does not come back to it
        system.make(DeleteVolume("copy"))
        system.make(CreateVolume("copy", POOL, GIB, False))
        with in_use(system, "copy", "n2") as blocks:
            assert blocks.read(0, 16 * MIB) == bytes(16 * MIB)
        system.do(DeleteVolume("copy"))

    def test_a_user_that_hangs_is_waited_for_and_not_cut_off(self, system: Deployment, volume: str) -> None:
        need(system, Capability.SNAPSHOTS)
        system.do(MapVolume(volume, "n4"))
        with system.open("n4", volume) as blocks:
            blocks.write_durably(0, pattern(250))
            system.handle.freeze("n4")
            waits = system.waiting(CreateSnapshot(volume, "kept"))
            assert "does not answer" in waits
            assert system.volume(volume).snapshots == ()
            system.handle.thaw("n4")
            system.do(CreateSnapshot(volume, "kept"))
            blocks.write_durably(0, pattern(251))
