"""A cluster whose nodes are instances of the EC2 of the tests."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from artesian.agent.disks.folder_disks import FolderDisks
from artesian.clusters.local import LocalCluster
from artesian.model.disk import Disk
from artesian.model.provided import DiskRequest, ProvidedDisk
from artesian.providers.ebs import EbsProvider
from artesian.providers.ebs_settings import EbsSettings
from artesian.providers.ec2_calls import Ec2Calls
from tests.providers.conformance import SIZE_BYTES, Handle
from tests.providers.ebs_bridge import EbsBridge
from tests.providers.ec2 import REGION, ZONES, Ec2

_shared: dict[str, Ec2Calls] = {}  # by endpoint: a client takes half a second to make, and knows nothing


class EbsHandle(Handle):
    """Alpha is in the first zone, beta in the second. `later_s` is added to the clock of the providers."""

    unknown_id = "vol-0123456789abcdef0"

    def __init__(self, ec2: Ec2, folder: Path | None = None) -> None:
        """`folder`: for a local cluster, where disks are to be seen."""
        self.ec2 = ec2
        self.later_s = 0.0
        self.settings = EbsSettings(
            cluster=f"test-{uuid.uuid4()}",
            region=REGION,
            endpoint_url=ec2.url,
            price_per_gib_month=0.08,
            max_attachments=3,  # the root has one
            call_timeout_s=2.0,
        )
        if ec2.url not in _shared:
            _shared[ec2.url] = Ec2Calls(self.settings)
        self.cluster = LocalCluster(folder) if folder is not None else None
        self.instances: dict[str, str] = {}
        if self.cluster is None:
            self.instances = {"alpha": ec2.start_instance(ZONES[0]), "beta": ec2.start_instance(ZONES[1])}
        else:
            self.cluster.create()
            self.bridge = EbsBridge(ec2, self.cluster)
            for node, zone in zip(("alpha", "beta"), ZONES, strict=True):
                self.cluster.add_node(node)
                self.instances[node] = self.bridge.join(node, zone)
        ec2.calls.clear()

    def close(self) -> None:
        """Give the instances back."""
        for instance in set(self.instances.values()):
            self.ec2.take_back(instance)

    def change(self, **settings: Any) -> None:
        """Other settings, for the providers that are made from now on."""
        self.settings = replace(self.settings, **settings)

    def provider(self) -> EbsProvider:
        return EbsProvider(self.settings, _shared[self.ec2.url], self.now)

    def now(self) -> float:
        return time.time() + self.later_s

    def request(self, token: str, node: str = "alpha", size_bytes: int = SIZE_BYTES) -> DiskRequest:
        attributes = {"ec2-instance-id": self.instances[node]} if node in self.instances else {}
        return DiskRequest(token, node, "192.0.2.1", size_bytes, attributes)

    def step(self, request: DiskRequest, times: int = 1) -> ProvidedDisk:
        """So many steps towards a disk, each by a provider of its own."""
        for _ in range(times):
            disk = self.provider().provide(request)
        return disk

    def volumes(self) -> list[dict[str, Any]]:
        """As EC2 describes them."""
        return self.ec2.volumes(self.settings.cluster)

    def made(self) -> int:
        return self.ec2.count(self.settings.cluster)

    def reported(self, node: str) -> Sequence[Disk]:
        assert self.cluster is not None
        self.bridge.sync()
        return FolderDisks(self.cluster.dev(node)).find()

    def calls(self, action: str) -> list[dict[str, str]]:
        """The parameters of the calls of an action so far."""
        return [parameters for one, parameters in self.ec2.calls if one == action]
