"""What volumes have to do, whichever engine keeps them."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from artesian.engines.port import ChangeRefused, NotYet
from artesian.model.changes import (
    AddPool,
    CreateVolume,
    DeleteVolume,
    EngineChange,
    GrowVolume,
    MapVolume,
    RenameVolume,
    UnmapVolume,
)
from tests.engines.blocks import Blocks
from tests.engines.deployment import NODES, POOL, SECOND_POOL, Capability, Deployment, need, shape

GIB = 1 << 30
MIB = 1 << 20
BLOCK = 4096


def pattern(seed: int, length: int = BLOCK) -> bytes:
    """Bytes that nothing else has written."""
    return random.Random(seed).randbytes(length)


def refused(system: Deployment, change: EngineChange) -> str:
    """The words of a refusal, which is the same every time and changes nothing."""
    before = shape(system.observe())
    words = system.until_refused(change)
    assert words
    assert system.until_refused(change)
    assert shape(system.observe()) == before
    return words


@contextmanager
def in_use(system: Deployment, volume: str, node: str) -> Iterator[Blocks]:
    """The volume while this node may write to it."""
    system.do(MapVolume(volume, node))
    with system.open(node, volume) as blocks:
        yield blocks
    system.do(UnmapVolume(volume, node))


class VolumeContract:
    """Tests of `system`, with or without a `volume` of their own."""

    # --- being there

    def test_a_volume_is_seen_as_it_was_asked_for(self, system: Deployment, volume: str) -> None:
        seen = system.volume(volume)
        assert seen.id
        assert (seen.pool, seen.size_bytes, seen.thick) == (POOL, GIB, False)
        assert (seen.mapped_to, seen.mapped_read_only) == ((), ())

    def test_a_volume_is_at_least_as_large_as_was_asked_for(self, system: Deployment) -> None:
        system.make(CreateVolume("odd", POOL, GIB + 1, False))
        size_bytes = system.volume("odd").size_bytes
        assert GIB < size_bytes <= 2 * GIB
        system.make(GrowVolume("odd", GIB + 1))
        assert system.volume("odd").size_bytes == size_bytes
        system.make(DeleteVolume("odd"))
        assert system.observe().volume("odd") is None

    def test_names_may_have_31_characters(self, system: Deployment) -> None:
        name = "A.name_of-31.characters" + "x" * 8
        system.make(CreateVolume(name, POOL, GIB, False))
        assert system.volume(name).pool == POOL
        system.do(DeleteVolume(name))

    def test_a_name_is_taken_once(self, system: Deployment, volume: str) -> None:
        system.do(AddPool(SECOND_POOL, 10))
        assert volume in refused(system, CreateVolume(volume, SECOND_POOL, GIB, False))
        system.do(CreateVolume("second", POOL, GIB, False))
        refused(system, RenameVolume("second", volume))
        system.do(DeleteVolume("second"))

    def test_several_are_made_at_once(self, system: Deployment) -> None:
        changes = [CreateVolume(f"one-of-many-{number}", POOL, GIB, False) for number in range(8)]
        with ThreadPoolExecutor(len(changes)) as pool:
            list(pool.map(system.until_done, changes))
        seen = system.observe()
        assert all(seen.volume(change.volume) is not None for change in changes)
        with ThreadPoolExecutor(len(changes)) as pool:
            list(pool.map(system.until_done, [DeleteVolume(change.volume) for change in changes]))
        seen = system.observe()
        assert all(seen.volume(change.volume) is None for change in changes)

    @pytest.mark.parametrize(
        "change", [GrowVolume("none", GIB), RenameVolume("none", "other"), MapVolume("none", "n1")]
    )
    def test_what_is_not_there_cannot_be_changed(self, system: Deployment, change: EngineChange) -> None:
        assert "none" in refused(system, change)

    @pytest.mark.parametrize("change", [DeleteVolume("none"), UnmapVolume("none", "n1")])
    def test_what_is_not_there_is_gone_already(self, system: Deployment, change: EngineChange) -> None:
        system.make(change)

    # --- sizes and names

    def test_a_volume_grows_and_never_shrinks(self, system: Deployment, volume: str) -> None:
        data = pattern(1, MIB)
        with in_use(system, volume, "n1") as blocks:
            blocks.write_durably(GIB - MIB, data)
            system.make(GrowVolume(volume, 3 * GIB))
            assert system.volume(volume).size_bytes == 3 * GIB
            if Capability.STEADY_CONNECTIONS in system.handle.capabilities:
                blocks.write_durably(0, data)
            with system.open("n1", volume, size_bytes=3 * GIB) as larger:
                larger.write_durably(0, data)
                assert larger.size_bytes == 3 * GIB
                larger.write_durably(3 * GIB - BLOCK, data[:BLOCK])
                assert larger.read(GIB - MIB, 2 * MIB) == data + bytes(MIB)
        system.make(GrowVolume(volume, GIB))
        assert system.volume(volume).size_bytes == 3 * GIB
        with in_use(system, volume, "n2") as blocks:
            assert blocks.read(GIB - MIB, MIB) == data
            assert blocks.read(3 * GIB - BLOCK, BLOCK) == data[:BLOCK]

    def test_a_new_name_disturbs_nobody(self, system: Deployment, volume: str) -> None:
        before = system.volume(volume)
        with in_use(system, volume, "n1") as blocks:
            blocks.write(0, pattern(2))
            system.make(RenameVolume(volume, "renamed"))
            assert blocks.read(0, BLOCK) == pattern(2)
            blocks.write(BLOCK, pattern(3))
            with system.open("n1", "renamed") as again:
                assert again.read(0, 2 * BLOCK) == pattern(2) + pattern(3)
            after = system.volume("renamed")
            assert (after.id, after.mapped_to) == (before.id, (system.guid("n1"),))
            assert system.observe().volume(volume) is None
            system.make(RenameVolume("renamed", volume))

    def test_a_name_that_is_the_id_of_another_misleads_nobody(self, system: Deployment, volume: str) -> None:
        name = system.volume(volume).id
        system.do(CreateVolume(name, POOL, GIB, False))
        system.do(MapVolume(name, "n1"))
        try:
            with system.open("n1", name) as other:
                other.write(0, pattern(4))
                with in_use(system, volume, "n1") as blocks:
                    blocks.write(0, pattern(5))
                    assert other.read(0, BLOCK) == pattern(4)
        finally:
            system.do(UnmapVolume(name, "n1"), DeleteVolume(name))

    # --- room

    def test_a_deleted_volume_gives_its_room_back(self, system: Deployment, volume: str) -> None:
        before = self._steadily_used(system)
        with in_use(system, volume, "n1") as blocks:
            blocks.write_durably(0, pattern(6, 16 * MIB))
        system.until("it takes room", lambda _: self._used(system) >= before + 32 * MIB)
        system.make(DeleteVolume(volume))
        system.until("it takes none", lambda _: self._used(system) <= before)

    def _steadily_used(self, system: Deployment) -> int:
        """Once it has been the same for as long as figures may lag."""
        used, since_s = self._used(system), time.monotonic()
        deadline = since_s + system.handle.patience_s
        while time.monotonic() - since_s < system.handle.figures_lag_s:
            assert time.monotonic() < deadline, "what is used goes on changing"
            time.sleep(0.1)
            now = self._used(system)
            if now != used:
                used, since_s = now, time.monotonic()
        return used

    @staticmethod
    def _used(system: Deployment) -> int:
        pool = system.observe().pool(POOL)
        assert pool is not None
        return pool.used_bytes

    def test_a_thick_volume_has_its_room_from_the_start(self, system: Deployment) -> None:
        need(system, Capability.THICK)
        pool = system.observe().pool(POOL)
        assert pool is not None and pool.free_bytes >= GIB
        system.make(CreateVolume("thick", POOL, GIB, True))
        assert system.volume("thick").thick
        system.until("it has its room", lambda _: self._used(system) >= 2 * GIB)
        after = system.observe().pool(POOL)
        assert after is not None and after.free_bytes <= pool.free_bytes - GIB
        with in_use(system, "thick", "n1") as blocks:
            assert blocks.read(GIB - MIB, MIB) == bytes(MIB)
            blocks.write_durably(GIB - BLOCK, pattern(7))
            assert blocks.read(GIB - BLOCK, BLOCK) == pattern(7)
        system.make(DeleteVolume("thick"))
        system.until("the room is free", lambda _: self._used(system) < GIB)

    def test_thick_volumes_that_have_no_room_are_refused(self, system: Deployment) -> None:
        need(system, Capability.THICK)
        pool = system.observe().pool(POOL)
        assert pool is not None
        assert refused(system, CreateVolume("too-large", POOL, pool.free_bytes + GIB, True))
        system.do(CreateVolume("fits", POOL, GIB, True))
        assert refused(system, GrowVolume("fits", pool.free_bytes + GIB))
        system.do(DeleteVolume("fits"))

    def test_there_is_no_room_in_a_pool_without_disks(self, system: Deployment) -> None:
        need(system, Capability.THICK)
        system.do(AddPool(SECOND_POOL, 10))
        assert refused(system, CreateVolume("nowhere-to-go", SECOND_POOL, GIB, True))

    # --- one writer

    def test_a_volume_is_one_nodes_to_write(self, system: Deployment, volume: str) -> None:
        system.make(MapVolume(volume, "n1"))
        assert system.volume(volume).mapped_to == (system.guid("n1"),)
        assert volume in refused(system, MapVolume(volume, "n2"))
        refused(system, DeleteVolume(volume))
        system.make(UnmapVolume(volume, "n2"))
        assert system.volume(volume).mapped_to == (system.guid("n1"),)
        system.make(UnmapVolume(volume, "n1"))
        assert system.volume(volume).mapped_to == ()
        system.make(MapVolume(volume, "n2"))
        assert system.volume(volume).mapped_to == (system.guid("n2"),)

    def test_of_several_that_want_it_at_once_one_gets_it(self, system: Deployment, volume: str) -> None:
        def attempt(node: str) -> bool:
            engine = system.handle.connect(system.identity)
            try:
                engine.carry_out(MapVolume(volume, node))
            except (ChangeRefused, NotYet):
                return False
            finally:
                engine.close()
            return True

        for _ in range(3):
            with ThreadPoolExecutor(len(NODES)) as pool:
                got_it = [node for node, got in zip(NODES, pool.map(attempt, NODES), strict=True) if got]
            assert len(got_it) == 1
            assert system.volume(volume).mapped_to == (system.guid(got_it[0]),)
            system.do(UnmapVolume(volume, got_it[0]))

    def test_what_one_node_has_written_the_next_one_reads(self, system: Deployment, volume: str) -> None:
        expected = bytearray(4 * MIB)
        for number, node in enumerate(("n1", "n4", "n2", "n1")):
            with in_use(system, volume, node) as blocks:
                assert blocks.size_bytes == GIB
                assert blocks.read(0, len(expected)) == expected
                data = pattern(10 + number, MIB + BLOCK)
                at = number * MIB - number * BLOCK
                blocks.write_durably(at, data)
                expected[at : at + len(data)] = data

    def test_a_writer_that_lost_its_right_changes_nothing(self, system: Deployment, volume: str) -> None:
        system.do(MapVolume(volume, "n4"))
        with system.open("n4", volume) as old:
            old.write_durably(0, pattern(20))
            system.do(UnmapVolume(volume, "n4"), MapVolume(volume, "n1"))
            with system.open("n1", volume) as new:
                assert new.read(0, BLOCK) == pattern(20)
                new.write(0, pattern(21))
                with pytest.raises(OSError):
                    old.write(0, pattern(22))
                assert new.read(0, BLOCK) == pattern(21)

    def test_a_writer_that_hangs_is_cut_off_all_the_same(self, system: Deployment, volume: str) -> None:
        system.do(MapVolume(volume, "n4"))
        with system.open("n4", volume) as old:
            old.write_durably(0, pattern(23))
            system.handle.freeze("n4")
            old.begin_write(0, pattern(24))
            system.do(UnmapVolume(volume, "n4"), MapVolume(volume, "n1"))
            with system.open("n1", volume) as new:
                new.write_durably(0, pattern(25))
                system.handle.thaw("n4")
                with pytest.raises(OSError):
                    old.answer()
                with pytest.raises(OSError):
                    old.write(BLOCK, pattern(26))
                assert new.read(0, 2 * BLOCK) == pattern(25) + bytes(BLOCK)

    def test_what_was_acknowledged_before_the_cut_is_there(self, system: Deployment, volume: str) -> None:
        system.do(MapVolume(volume, "n4"))
        acknowledged = 0

        def write_on() -> None:
            nonlocal acknowledged
            with system.open("n4", volume) as old, pytest.raises(OSError):
                while True:
                    old.write(acknowledged * BLOCK, pattern(100 + acknowledged))
                    acknowledged += 1

        writer = threading.Thread(target=write_on)
        writer.start()
        while acknowledged < 20 and writer.is_alive():
            time.sleep(0.05)
        system.do(UnmapVolume(volume, "n4"), MapVolume(volume, "n2"))
        with system.open("n2", volume) as new:
            writer.join(system.handle.patience_s)
            assert not writer.is_alive()
            assert acknowledged >= 20
            for number in range(acknowledged):
                assert new.read(number * BLOCK, BLOCK) == pattern(100 + number)
