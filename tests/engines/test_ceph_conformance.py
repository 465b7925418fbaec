"""Ceph does what every engine has to do: real daemons, files as disks."""

from __future__ import annotations

import hashlib
import multiprocessing
import secrets
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from artesian.agent.disks.files import look_at
from artesian.clusters.local import LocalCluster
from artesian.engines.ceph import names
from artesian.engines.ceph.adapter import CephEngine
from artesian.engines.ceph.bindings import load_rbd
from artesian.engines.ceph.images import features
from artesian.engines.ceph.keys import cephx_key
from artesian.engines.ceph.node import CephNode
from artesian.engines.ceph.session import CephSession
from artesian.engines.node_port import NodeEngine
from artesian.engines.port import ChangeRefused, Engine, NotYet
from artesian.model.changes import (
    CreateSnapshot,
    CreateVolume,
    DeleteSnapshot,
    DeleteVolume,
    EngineChange,
    GrowVolume,
    MapVolume,
    RemoveDevice,
    SetLimits,
    UnmapVolume,
)
from artesian.model.engine import CephSettings, EngineSeen
from artesian.model.state import EngineIdentity
from tests.engines.ceph.installed import why_no_ceph
from tests.engines.conformance import EngineConformance, EngineMakingConformance
from tests.engines.deployment import NODES, POOL, SERVING, Capability, Deployment, Handle, RawDisk
from tests.engines.snapshots import copy_of
from tests.engines.test_embedded_conformance import written_parts
from tests.engines.volumes import BLOCK, GIB, MIB, in_use, pattern
from tests.patience import eventually

pytestmark = [
    pytest.mark.slow,
    pytest.mark.heavy,
    pytest.mark.skipif(bool(why_no_ceph()), reason=why_no_ceph() or "Ceph is installed"),
]

DISK_BYTES = 3 << 30
COPIED_PARTS = 32
SECRET = secrets.token_hex(32)


class CephHandle(Handle):
    """Everything of the nodes is below one folder whose path is short, as sockets are made in it."""

    capabilities = frozenset({Capability.FAULT_SETS, Capability.MAINTENANCE, Capability.SNAPSHOTS})
    patience_s = 90.0
    look_s = 0.15  # its monitors are asked a dozen questions then
    figures_lag_s = 4.0

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))
        self._machines = LocalCluster(self.folder / "c")
        self._machines.create()
        for node in NODES:
            self._machines.add_node(node)

    def address(self, node: str) -> str:
        return next(one.address for one in self._machines.nodes() if one.name == node)

    def new_identity(self) -> EngineIdentity:
        return EngineIdentity("ceph", str(uuid.uuid4()), "conformance", ceph=CephSettings(heal_after_s=600))

    def connect(self, identity: EngineIdentity) -> Engine:
        return CephEngine(identity, SECRET)

    def node_engine(self, node: str) -> NodeEngine:
        return CephNode(self._machines.agent_folder(node) / "engine" / "ceph", SECRET)

    def add_disk(self, node: str) -> RawDisk:
        path = self._machines.add_disk(node, DISK_BYTES)
        facts = look_at(str(path))
        assert facts is not None
        return RawDisk(node, str(path), facts.identity, DISK_BYTES)

    def add_foreign_disk(self, node: str) -> RawDisk:
        disk = self.add_disk(node)
        subprocess.run(["mkswap", disk.path], check=True, capture_output=True, stdin=subprocess.DEVNULL)
        return disk

    def content(self, disk: RawDisk) -> str:
        """Of what was ever written."""
        digest = hashlib.sha256()
        with Path(disk.path).open("rb") as file:
            for start, end in written_parts(file.fileno()):
                file.seek(start)
                digest.update(f"{start} ".encode() + file.read(end - start))
        return digest.hexdigest()

    def destroy(self) -> None:
        for node in NODES:
            self.thaw(node)
            self.kill(node)
        shutil.rmtree(self.folder)


@pytest.fixture(scope="class")
def machines() -> Iterator[CephHandle]:
    made = CephHandle()
    yield made
    made.destroy()


class TestMaking(EngineMakingConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def handle(cls, machines: CephHandle) -> Handle:
        return machines


class TestCeph(EngineConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def handle(cls, machines: CephHandle) -> Handle:
        return machines

    @pytest.fixture
    def session(self, system: Deployment) -> Iterator[CephSession]:
        """Somebody else's connection."""
        monitors = [one.address for one in system.identity.managers]
        made = CephSession(monitors, names.ADMIN, cephx_key(SECRET, names.ADMIN))
        yield made
        made.close()

    def test_a_user_of_whom_nothing_was_heard_for_long_is_cut_off(
        self, system: Deployment, volume: str, session: CephSession
    ) -> None:
        who, option = "osd", "osd_client_watch_timeout"
        session.command("config set", who=who, name=option, value="3")
        system.do(MapVolume(volume, "n4"))
        with system.open("n4", volume) as old:  # and writes nothing, so that it holds no lock
            system.handle.freeze("n4")
            eventually(lambda: not watchers(session, system.volume(volume).id), 60)
            for node in SERVING:  # who they were connected to is forgotten
                system.switch_off(node)
                system.switch_on(node)
                system.settle()
            system.do(UnmapVolume(volume, "n4"), MapVolume(volume, "n1"))
            with system.open("n1", volume) as new:
                new.write_durably(0, pattern(60))
                system.handle.thaw("n4")
                with pytest.raises(OSError):
                    old.write(0, pattern(61))
                assert new.read(0, BLOCK) == pattern(60)
        session.command("config rm", who=who, name=option)

    def test_a_user_that_hangs_is_not_cut_off_by_a_change_and_holds_up_none_that_is_made(
        self, system: Deployment, volume: str
    ) -> None:
        system.do(MapVolume(volume, "n4"))
        with system.open("n4", volume) as blocks:
            blocks.write_durably(0, pattern(62))
            system.handle.freeze("n4")
            with pytest.raises(NotYet, match="does not answer"):
                system.attempt(SetLimits(volume, "n4", 500, 0))
            with pytest.raises(NotYet, match="does not answer"):
                system.attempt(GrowVolume(volume, 2 * GIB))
            system.attempt(GrowVolume(volume, GIB))  # it is as large already
            system.handle.thaw("n4")
            system.do(SetLimits(volume, "n4", 500, 0))
            blocks.write_durably(0, pattern(63))

    def test_a_scheduler_that_was_cut_off_connects_anew(
        self, system: Deployment, session: CephSession
    ) -> None:
        engine = system.engine
        assert isinstance(engine, CephEngine)
        address = engine._session.address()
        session.command("osd blocklist", blocklistop="add", addr=address, expire=60.0)
        system.do(CreateVolume("by-the-same", POOL, GIB, False), DeleteVolume("by-the-same"))
        assert system.engine is engine

    def test_a_number_that_another_disk_has_by_now_is_left_alone(
        self, system: Deployment, session: CephSession
    ) -> None:
        disk = system.disks["n1"]
        kept = names.key("devices", names.osd_uuid(system.identity.system_id, disk.identity))
        gone = names.key("devices", names.osd_uuid(system.identity.system_id, "it was taken out"))
        document = session.get(kept)
        assert document is not None
        session.set(gone, {**document, "leaving": True})
        system.attempt(RemoveDevice("n1", "it was taken out", POOL))
        assert session.get(gone) is None
        assert session.get(kept) == document
        assert system.settle().pool(POOL)

    def test_a_disk_that_follows_a_dead_one_has_its_number(
        self, system: Deployment, session: CephSession
    ) -> None:
        def number(disk: RawDisk) -> int:
            document = session.get(names.key("devices", names.osd_uuid(system_id, disk.identity)))
            assert document is not None
            return int(document["osd"])

        system_id, add = system.identity.system_id, system.handle.add_disk
        dead = add("n1")
        system.do(system.device(dead))
        kept = number(dead)
        Path(dead.path).rename(f"{dead.path}.gone")

        def is_dead(seen: EngineSeen) -> bool:
            system.look_again("n1")
            return any(one.failed for one in seen.devices)

        system.until("it is dead", is_dead)
        system.do(RemoveDevice("n1", dead.identity, POOL))
        elsewhere, follower = add("n2"), add("n1")
        system.do(system.device(elsewhere), system.device(follower))
        assert (number(elsewhere) != kept, number(follower)) == (True, kept)
        system.settle()
        system.do(*(RemoveDevice(one.node, one.identity, POOL) for one in (elsewhere, follower)))
        assert {one["osd"] for one in session.ask("osd dump")["osds"]} == {
            number(disk) for disk in system.disks.values()
        }

    def test_of_disks_that_are_removed_at_once_enough_stay(self, system: Deployment, volume: str) -> None:
        def is_removed(node: str) -> bool:
            try:
                system.attempt(RemoveDevice(node, system.disks[node].identity, POOL))
            except ChangeRefused:
                return False
            except NotYet:
                pass
            return True

        with ThreadPoolExecutor(len(SERVING)) as pool:
            begun = [node for node, so in zip(SERVING, pool.map(is_removed, SERVING), strict=True) if so]
        assert len(begun) == 1
        system.do(RemoveDevice(begun[0], system.disks[begun[0]].identity, POOL))
        system.do(system.device(system.disks[begun[0]]))

    def test_a_snapshot_that_somebody_else_took_is_not_taken_for_ours(
        self, system: Deployment, volume: str, session: CephSession
    ) -> None:
        with image_of(session, system.volume(volume).id) as image:
            image.create_snap("theirs")
        assert "theirs that is not ours" in system.until_refused(CreateSnapshot(volume, "theirs"))
        assert system.volume(volume).snapshots == ()
        with image_of(session, system.volume(volume).id) as image:
            image.remove_snap("theirs")

    def test_a_cluster_that_lets_in_the_oldest_clients_has_copies_too(
        self, system: Deployment, volume: str, session: CephSession
    ) -> None:
        data = pattern(260, 9 * BLOCK)
        with in_use(system, volume, "n1") as blocks:
            blocks.write_durably(0, data)
        who, option = "client", "rbd_default_clone_format"
        session.command("config set", who=who, name=option, value="1")
        system.do(CreateSnapshot(volume, "kept"))
        system.close()  # the next connection hears of it
        system.make(copy_of(system, volume, "copy"))
        with image_of(session, system.volume(volume).id) as image:
            assert image.is_protected_snap("kept")
        system.make(DeleteSnapshot(volume, "kept"), DeleteVolume(volume))
        with in_use(system, "copy", "n2") as blocks:
            assert blocks.read(0, len(data)) == data
        system.do(DeleteVolume("copy"))
        session.command("config rm", who=who, name=option)
        system.close()

    def test_a_copy_goes_on_when_who_makes_it_is_killed(
        self, system: Deployment, volume: str, session: CephSession
    ) -> None:
        data = pattern(270, 8 * MIB)
        with in_use(system, volume, "n1") as blocks:
            for number in range(COPIED_PARTS):
                blocks.write(number * len(data), data)
            blocks.flush()
            system.do(CreateSnapshot(volume, "kept"))
            blocks.write_durably(0, pattern(271))
            change = copy_of(system, volume, "copy")
            context = multiprocessing.get_context("spawn")
            worker = context.Process(target=carry_out_for_ever, args=(system.identity, SECRET, change))
            worker.start()
            eventually(lambda: "image_id" in being_made(session, "copy"), 60)
            worker.kill()
            worker.join()
            made = f"{system.volume(volume).id.partition('-')[0]}-{being_made(session, 'copy')['image_id']}"
            with image_of(session, made, read_only=True) as image:
                assert image.parent_id(), "it was done before it was killed"
            lose_object(session, made, COPIED_PARTS)  # it was being written when he died
            assert system.observe().volume("copy") is None
            system.make(change, DeleteSnapshot(volume, "kept"))
        assert system.volume("copy").id == made
        with in_use(system, "copy", "n2") as blocks:
            for number in range(COPIED_PARTS):
                assert blocks.read(number * len(data), len(data)) == data
        with image_of(session, made, read_only=True) as image, pytest.raises(load_rbd().ImageNotFound):
            image.parent_id()
        with image_of(session, made, read_only=True) as image:
            assert image.features() == features()
            assert image.flags() == 0
        assert being_made(session, "copy") == {}
        system.do(DeleteVolume("copy"))


def carry_out_for_ever(identity: EngineIdentity, secret: str, change: EngineChange) -> None:
    """As a scheduler does, until it is killed."""
    engine = CephEngine(identity, secret)
    while True:
        with suppress(NotYet):
            engine.carry_out(change)


def being_made(session: CephSession, name: str) -> dict[str, Any]:
    """What is written down of a volume that is being made of a snapshot."""
    return session.get(names.key("clones", name)) or {}


@contextmanager
def image_of(session: CephSession, volume_id: str, *, read_only: bool = False) -> Iterator[Any]:
    """A volume's image, as somebody else opens it."""
    pool_id, _, image_id = volume_id.partition("-")
    with (
        session.rados.open_ioctx2(int(pool_id)) as pool,
        load_rbd().Image(pool, image_id=image_id, read_only=read_only) as image,
    ):
        yield image


def lose_object(session: CephSession, volume_id: str, number: int) -> None:
    """One that the object map of an image has, and that is not on any disk."""
    pool_id, _, image_id = volume_id.partition("-")
    with image_of(session, volume_id) as image:
        where = number * image.stat()["obj_size"]
        image.write(image.read(where, BLOCK), where)
    with session.rados.open_ioctx2(int(pool_id)) as pool:
        pool.remove_object(f"rbd_data.{image_id}.{number:016x}")


def watchers(session: CephSession, volume_id: str) -> list[object]:
    """Who has a volume open."""
    with image_of(session, volume_id, read_only=True) as image:
        return list(image.watchers_list())
