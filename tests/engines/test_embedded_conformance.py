"""The embedded engine does what every engine has to do: real processes, files as disks."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from artesian.agent.disks.files import look_at
from artesian.clusters.local import LocalCluster
from artesian.engines.embedded import EmbeddedEngine
from artesian.engines.embedded_node import EmbeddedNode
from artesian.engines.node_port import NodeEngine
from artesian.engines.port import Engine
from artesian.host.files import write_durably
from artesian.model.state import EngineIdentity
from tests.engines.conformance import EngineConformance, EngineMakingConformance
from tests.engines.deployment import NODES, Capability, Handle, RawDisk

pytestmark = pytest.mark.slow

DISK_BYTES = 2 << 30
SECRET = "secret-of-the-conformance-suite"


class EmbeddedHandle(Handle):
    """Everything of the nodes is below one folder whose path is short, as sockets are made in it."""

    capabilities = frozenset(Capability) - {Capability.SNAPSHOTS}

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))
        self._lock = threading.Lock()
        self._machines = LocalCluster(self.folder / "c")
        self._machines.create()
        for node in NODES:
            self._machines.add_node(node)

    def address(self, node: str) -> str:
        return next(one.address for one in self._machines.nodes() if one.name == node)

    def new_identity(self) -> EngineIdentity:
        return EngineIdentity("embedded", secrets.token_hex(8), "conformance")

    def connect(self, identity: EngineIdentity) -> Engine:
        return EmbeddedEngine(identity, SECRET.encode(), "a password", self._certificate)

    def _certificate(self, node: str) -> Path | None:
        text = self.node_engine(node).certificate()
        if text is None:
            return None
        path = self.folder / f"{node}.crt"
        with self._lock:
            write_durably(path, text, 0o644)
        return path

    def node_engine(self, node: str) -> NodeEngine:
        return EmbeddedNode(self._machines.agent_folder(node) / "engine", SECRET)

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
        """Of what was ever written: holes take no time, but are told apart from zeros."""
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


def written_parts(descriptor: int) -> Iterator[tuple[int, int]]:
    """Where a sparse file has bytes."""
    end = 0
    while True:
        try:
            start = os.lseek(descriptor, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        end = os.lseek(descriptor, start, os.SEEK_HOLE)
        yield start, end


@pytest.fixture(scope="class")
def machines() -> Iterator[EmbeddedHandle]:
    made = EmbeddedHandle()
    yield made
    made.destroy()


class TestMaking(EngineMakingConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def handle(cls, machines: EmbeddedHandle) -> Handle:
        return machines


class TestEmbedded(EngineConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def handle(cls, machines: EmbeddedHandle) -> Handle:
        return machines
