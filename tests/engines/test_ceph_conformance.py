"""Ceph does what every engine has to do: real daemons, files as disks."""

from __future__ import annotations

import hashlib
import secrets
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from artesian.agent.disks.files import look_at
from artesian.clusters.local import LocalCluster
from artesian.engines.ceph.adapter import CephEngine
from artesian.engines.ceph.node import CephNode
from artesian.engines.node_port import NodeEngine
from artesian.engines.port import Engine
from artesian.model.engine import CephSettings
from artesian.model.state import EngineIdentity
from tests.engines.ceph.installed import why_no_ceph
from tests.engines.conformance import EngineConformance, EngineMakingConformance
from tests.engines.deployment import NODES, Capability, Handle, RawDisk
from tests.engines.test_embedded_conformance import written_parts

pytestmark = [
    pytest.mark.slow,
    pytest.mark.takes_minutes,
    pytest.mark.skipif(bool(why_no_ceph()), reason=why_no_ceph() or "Ceph is installed"),
]

DISK_BYTES = 3 << 30
SECRET = secrets.token_hex(32)


class CephHandle(Handle):
    """Everything of the nodes is below one folder whose path is short, as sockets are made in it."""

    capabilities = frozenset({Capability.FAULT_SETS, Capability.MAINTENANCE})
    patience_s = 90.0
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
