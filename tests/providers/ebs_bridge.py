"""Between an EC2 and a local cluster: volumes attached to instances appear as disks of the nodes they are.

    bridge = EbsBridge(ec2, cluster)
    bridge.join("node-1")           # an instance for the node, which is told its id
    with bridge.following():        # or bridge.sync() by hand
        ...

A volume appears as DEV/nvme-Amazon_Elastic_Block_Store_vol0123…, the name that udev gives it on a real node.
What was written to it stays with it: it goes where it is attached next, and ends when it is deleted. Whoever
has the file open while it is detached goes on unharmed, which is more than a real volume would allow.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from artesian.clusters.local import LocalCluster
from tests.providers.ec2 import ROOT_DEVICES, ZONES, Ec2

ATTRIBUTE = "ec2-instance-id"
_PREFIX = "nvme-Amazon_Elastic_Block_Store_"


class EbsBridge:
    """Keeps no state but files: volumes that are attached to no node are in the cluster's folder `shelf`."""

    def __init__(self, ec2: Ec2, cluster: LocalCluster) -> None:
        self._ec2 = ec2
        self._cluster = cluster
        self._shelf = cluster.folder / "shelf"
        self._shelf.mkdir(exist_ok=True)

    def join(self, node: str, zone: str = ZONES[0]) -> str:
        """The instance of a node, which is started if it has none; its id."""
        said = {one.name: one.attributes for one in self._cluster.nodes()}[node].get(ATTRIBUTE)
        if said:
            return said
        instance = self._ec2.start_instance(zone)
        self._cluster.set_attributes(node, {ATTRIBUTE: instance})
        return instance

    def sync(self) -> None:
        """Once: plug in what is attached, pull out what is not, throw away what is deleted."""
        nodes = {
            one.attributes[ATTRIBUTE]: one.name
            for one in self._cluster.nodes()
            if one.attributes.get(ATTRIBUTE)
        }
        wanted = {
            self._cluster.dev(nodes[one.instance]) / f"{_PREFIX}{one.volume.replace('-', '')}": one.size_bytes
            for one in self._ec2.attached()
            if one.instance in nodes and one.device not in ROOT_DEVICES
        }
        for path in self._plugged_in():
            if path not in wanted:
                path.rename(self._shelf / path.name)
        for path, size_bytes in wanted.items():
            if not path.exists():
                self._plug_in(path, size_bytes)
        self._throw_away()

    @contextmanager
    def following(self, every_s: float = 0.1) -> Iterator[None]:
        """Do it again and again, in a thread. What goes wrong there is raised at the end."""
        over = threading.Event()
        wrong: list[Exception] = []

        def follow() -> None:
            while not over.wait(every_s) and not wrong:
                try:
                    self.sync()
                except Exception as error:  # noqa: BLE001 - told to the test below
                    wrong.append(error)

        thread = threading.Thread(target=follow, name="ebs-bridge", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
        if wrong:
            raise wrong[0]

    def _plugged_in(self) -> list[Path]:
        return [
            path
            for node in self._cluster.nodes()
            for path in sorted(self._cluster.dev(node.name).glob(f"{_PREFIX}*"))
        ]

    def _plug_in(self, path: Path, size_bytes: int) -> None:
        shelved = self._shelf / path.name
        if not shelved.exists():
            shelved.touch()
            os.truncate(shelved, size_bytes)
        shelved.rename(path)

    def _throw_away(self) -> None:
        for path in self._shelf.iterdir():
            if not self._ec2.exists(path.name.removeprefix(_PREFIX).replace("vol", "vol-", 1)):
                path.unlink()
