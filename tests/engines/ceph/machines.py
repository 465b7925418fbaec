"""Nodes that run a real Ceph, and a scheduler made by hand that does only what a test says."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from artesian.clusters.local import LocalCluster
from artesian.engines.ceph import keys, names
from artesian.engines.ceph.bindings import load_rbd
from artesian.engines.ceph.conf import monitor_addresses
from artesian.engines.ceph.errors import CephNodeError, CommandFailed
from artesian.engines.ceph.monitors import Monitors
from artesian.engines.ceph.node import CephNode
from artesian.engines.node_port import Part
from artesian.model.assignment import AssignedDevice, Assignment
from artesian.model.disk import PoolName
from artesian.model.engine import CephSettings, ManagerPlace
from artesian.model.names import client_guid, device_name
from artesian.model.topology import ManagerRole
from tests.patience import eventually

NODES = ("n1", "n2", "n3", "n4")
MONITORED = NODES[:3]  # have monitors and disks
ROLES = (ManagerRole.MANAGER, ManagerRole.MANAGER, ManagerRole.TIEBREAKER)
DISK_BYTES = 3 << 30
POOL = PoolName("main", "pool")
IMAGES = "images"
PATIENCE_S = 60.0

Answer = TypeVar("Answer")


class Machines:
    """Four machines in a folder whose path is short, as sockets are made in it."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))
        self._cluster = LocalCluster(self._folder / "c")
        self._cluster.create()
        for node in NODES:
            self._cluster.add_node(node)
        self._addresses = {one.name: one.address for one in self._cluster.nodes()}
        self.system_id = secrets.token_hex(8)
        self.secret = secrets.token_hex(32)
        self.places = tuple(self.place(node, role) for node, role in zip(MONITORED, ROLES, strict=True))
        self.devices: dict[str, tuple[AssignedDevice, ...]] = dict.fromkeys(NODES, ())
        self.is_new = True
        self._monitors: Monitors | None = None

    # --- nodes

    def place(self, node: str, role: ManagerRole = ManagerRole.MANAGER) -> ManagerPlace:
        return ManagerPlace(node, self._addresses[node], role)

    def folder(self, node: str) -> Path:
        return self._cluster.agent_folder(node) / "engine" / "ceph"

    def node(self, node: str) -> CephNode:
        """A new object, as an agent has that was started again."""
        return CephNode(self.folder(node), self.secret)

    def assignment(self, node: str) -> Assignment:
        own = [place for place in self.places if place.node == node]
        return Assignment(
            node,
            self._addresses[node],
            engine_kind=names.KIND,
            system_id=self.system_id,
            managers=self.places,
            manages=bool(own),
            is_gateway=any(place.role is ManagerRole.MANAGER for place in own),
            is_client=True,
            client_guid=self.guid(node),
            devices=self.devices[node],
            is_new=self.is_new,
            ceph=CephSettings(heal_after_s=600),
        )

    def ensure(self, *nodes: str) -> dict[str, list[str]]:
        """What was changed on each."""
        return {node: self.node(node).ensure(self.assignment(node)) for node in nodes or NODES}

    def kill(self, node: str, part: Part = Part.ALL) -> None:
        """As a loss of power does."""
        for identity in self.node(node).running(part).values():
            os.kill(identity.process_id, signal.SIGKILL)
        eventually(lambda: not self.node(node).running(part))

    def guid(self, node: str) -> str:
        return client_guid(self.system_id, node)

    def destroy(self) -> None:
        self.close()
        for node in NODES:
            self.node(node).stop()
        shutil.rmtree(self._folder)

    # --- disks

    def add_disk(self, node: str) -> AssignedDevice:
        """A raw disk."""
        path = self._cluster.add_disk(node, DISK_BYTES)
        return AssignedDevice(f"file:{path}", str(path), POOL, DISK_BYTES)

    def assign(self, node: str, *devices: AssignedDevice) -> None:
        self.devices[node] = (*self.devices[node], *devices)
        self.ensure(node)

    def uuid(self, device: AssignedDevice) -> str:
        return names.osd_uuid(self.system_id, device.identity)

    def verdict(self, device: AssignedDevice) -> dict[str, Any]:
        """What its node says of a disk."""
        return self.monitors.get(names.key("disks", self.uuid(device))) or {}

    def accept(self, node: str, device: AssignedDevice) -> int:
        """Let a disk be an OSD, whatever its node says of it; its number."""
        uuid = self.uuid(device)
        key = {"cephx_secret": keys.cephx_key(self.secret, f"osd.{uuid}")}
        osd = int(self.monitors.ask("osd new", json.dumps(key).encode(), uuid=uuid)["osdid"])
        self.monitors.command("osd crush add", id=osd, weight=0.003, args=[f"host={node}", "root=default"])
        value = {"osd": osd, "token": secrets.token_hex(8), "name": device_name(device.identity)}
        self.monitors.remove(names.key("removed", uuid))
        self.monitors.set(names.key("devices", uuid), value)
        return osd

    def remove(self, device: AssignedDevice, osd: int) -> None:
        """Take it out of the cluster; its node does not know of that yet."""
        self.monitors.set(names.key("removed", self.uuid(device)), {})
        self.monitors.command("osd out", ids=[str(osd)])
        self.until(lambda: self.of_manager("osd safe-to-destroy", ids=[str(osd)]))
        self.monitors.command("osd down", ids=[str(osd)])
        self.until(lambda: self.of_manager("osd purge", id=osd, yes_i_really_mean_it=True))
        for kind in ("disks", "devices"):
            self.monitors.remove(names.key(kind, self.uuid(device)))

    def of_manager(self, prefix: str, **arguments: object) -> bool:
        """A command that a manager carries out; whether it did."""
        try:
            self.monitors.command(prefix, **arguments)
        except CommandFailed:
            return False
        return True

    def is_up(self, osd: int) -> bool:
        return any(one["osd"] == osd and one["up"] for one in self.monitors.ask("osd dump")["osds"])

    # --- the cluster

    @property
    def monitors(self) -> Monitors:
        if self._monitors is None:
            addresses = monitor_addresses(self.places)
            self._monitors = Monitors.as_admin(names.fsid(self.system_id), addresses, self.secret)
        return self._monitors

    def close(self) -> None:
        if self._monitors is not None:
            self._monitors.close()
            self._monitors = None

    def until(self, condition: Callable[[], Answer]) -> Answer:
        """The first answer that is true; monitors may be away meanwhile."""
        found: list[Answer] = []

        def holds() -> bool:
            try:
                answer = condition()
            except CephNodeError:
                return False
            found.append(answer)
            return bool(answer)

        eventually(holds, PATIENCE_S)
        return found[-1]

    def quorum(self) -> set[str]:
        """The names of monitors that agree."""
        return set(self.monitors.ask("quorum_status")["quorum_names"])

    def monitor_names(self) -> set[str]:
        return {names.monitor_name(place) for place in self.places}

    def settle(self) -> None:
        """Until all that is to run does."""
        self.until(lambda: self.quorum() == self.monitor_names())
        wanted = sum(len(devices) for devices in self.devices.values())
        self.until(lambda: self.monitors.ask("osd stat")["num_up_osds"] == wanted)
        self.until(lambda: self.monitors.ask("mgr dump")["available"])

    def deploy(self) -> None:
        """From bare machines to a cluster in which images can be made."""
        disks = {node: self.add_disk(node) for node in MONITORED}
        for node, device in disks.items():
            self.devices[node] = (device,)
        self.ensure()
        self.until(lambda: self.quorum() == self.monitor_names())
        self.is_new = False
        self.ensure()
        for node, device in disks.items():
            self.until(lambda device=device: self.verdict(device))  # type: ignore[misc]
            self.accept(node, device)
        self.settle()
        self.monitors.command("osd pool create", pool=IMAGES, pg_num=8, size=2)
        self.monitors.command("osd pool application enable", pool=IMAGES, app="rbd")

    # --- volumes

    def make_image(self, name: str, size_bytes: int) -> str:
        """Its id as a volume."""
        rbd = load_rbd()
        with self.monitors.rados.open_ioctx(IMAGES) as pool:
            rbd.RBD().create(pool, name, size_bytes)
            with rbd.Image(pool, name, read_only=True) as image:
                return f"{pool.get_pool_id()}-{image.id()}"

    def image_name(self, volume_id: str) -> str:
        """What it is called now."""
        pool_id, _, image_id = volume_id.partition("-")
        with self.monitors.rados.open_ioctx2(int(pool_id)) as pool:
            return next(str(one["name"]) for one in load_rbd().RBD().list2(pool) if one["id"] == image_id)

    def resize_image(self, name: str, size_bytes: int) -> None:
        with (
            self.monitors.rados.open_ioctx(IMAGES) as pool,
            load_rbd().Image(pool, name) as image,
        ):
            image.resize(size_bytes)

    def rename_image(self, name: str, new_name: str) -> None:
        with self.monitors.rados.open_ioctx(IMAGES) as pool:
            load_rbd().RBD().rename(pool, name, new_name)

    def map(self, volume_id: str, node: str, size_bytes: int, token: str = "first") -> None:
        caps = {"mon": "profile rbd", "osd": f"profile rbd pool={IMAGES}"}
        key = keys.volume_key(self.secret, volume_id, self.guid(node))
        self.monitors.ensure_entity(names.volume_entity(volume_id), key, caps)
        self.monitors.set(
            names.key("mapped", self.guid(node), volume_id), {"token": token, "size_bytes": size_bytes}
        )

    def unmap(self, volume_id: str, node: str) -> None:
        self.monitors.remove(names.key("mapped", self.guid(node), volume_id))

    def exporter(self, volume_id: str, node: str) -> int | None:
        """Its process id."""
        identity = self.node(node).running(Part.ALL).get(f"volume-{volume_id}")
        return identity.process_id if identity is not None else None


def moved(device: AssignedDevice) -> AssignedDevice:
    """The same disk, which its node calls something else now."""
    path = Path(device.path)
    path = path.rename(path.with_name(f"{path.name}-moved"))
    return replace(device, path=str(path))
