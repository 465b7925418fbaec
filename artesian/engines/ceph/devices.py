"""Disks as OSDs: registered once their node says that they are fit, taken out when their data is elsewhere.

The node makes the OSD, and only one that is registered: a disk that nobody has accepted is never written to.
"""

from __future__ import annotations

import errno
import json
import secrets
from collections.abc import Collection
from contextlib import AbstractContextManager
from typing import Any

from artesian.engines.ceph import names, vacancies
from artesian.engines.ceph.arranging import FAULT_SET_TYPE, need_pool
from artesian.engines.ceph.errors import CommandFailed
from artesian.engines.ceph.images import has_images
from artesian.engines.ceph.keys import cephx_key
from artesian.engines.ceph.monitors import Json
from artesian.engines.ceph.reading import Reading
from artesian.engines.ceph.session import CephSession
from artesian.engines.port import ChangeRefused, NotYet
from artesian.model.changes import AddDevice, RemoveDevice, ReturnDevice
from artesian.model.disk import PoolName
from artesian.model.names import device_name, server_name

COPIES, LEAST_COPIES = 2, 1
_LEAST_GROUPS, _GROUPS_OF_A_DISK = 32, 16
_TIB = 1 << 40


class Devices:
    """`system_id` and `secret` are the engine's. Who holds `pools` makes images, or does away with pools."""

    def __init__(
        self, session: CephSession, system_id: str, secret: str, pools: AbstractContextManager[Any]
    ) -> None:
        self._pools = pools
        self._session = session
        self._system_id = system_id
        self._secret = secret

    # --- coming

    def add(self, reading: Reading, change: AddDevice) -> None:
        """Raises NotYet, ChangeRefused."""
        need_pool(reading, change.pool)
        server = server_name(change.node, change.pool.domain)
        if (server,) not in reading.documents("servers"):
            raise NotYet(f"{change.node} is no server of {change.pool.domain} yet")
        uuid = names.osd_uuid(self._system_id, change.identity)
        known = reading.documents("devices").get((uuid,))
        if known is not None:
            self._check(known, server, change)
        else:
            known = self._register(reading, change, server, uuid)
        self._need_ceph_pool(reading, change.pool, {*_staying(reading, change.pool), uuid})
        if not reading.is_up(known["osd"]):
            raise NotYet(f"disk {change.identity} is being prepared by node {change.node}")
        if not reading.is_in(known["osd"]):
            self._session.command("osd in", ids=[str(known["osd"])])

    def _check(self, known: Json, server: str, change: AddDevice) -> None:
        if known.get("leaving"):
            raise NotYet(f"disk {change.identity} is still being removed")
        if (known["server"], known["domain"], known["pool"]) != (
            server,
            change.pool.domain,
            change.pool.pool,
        ):
            raise ChangeRefused(f"disk {change.identity} is in use already by another pool or server")

    def _register(self, reading: Reading, change: AddDevice, server: str, uuid: str) -> Json:
        """Give the disk a number and its place. It is written down last: then its node may make it an OSD."""
        said = reading.documents("disks").get((uuid,))
        if said is None or not (said.get("refused") or said.get("size_bytes")):
            raise NotYet(f"node {change.node} has not looked at disk {change.identity} yet")
        if said.get("refused"):
            raise ChangeRefused(f"node {change.node} refuses disk {change.path}: {said['refused']}")
        key = json.dumps({"cephx_secret": cephx_key(self._secret, f"osd.{uuid}")}).encode()
        self._wait_for_predecessor(reading, change, server)
        vacant = vacancies.number_for(self._session, reading, uuid, server)
        kept: Json = {} if vacant is None else {"id": vacant}
        osd = int(self._session.ask("osd new", key, uuid=uuid, **kept)["osdid"])
        weight = max(said["size_bytes"] / _TIB, 0.0001)
        place = [f"host={names.host_bucket(server)}", f"root={names.root_bucket(change.pool.domain)}"]
        self._session.command("osd crush add", id=osd, weight=weight, args=place)
        self._session.command("osd crush rm-device-class", ids=[f"osd.{osd}"])
        wanted: Json = {"class": names.device_class(change.pool), "ids": [f"osd.{osd}"]}
        self._session.command("osd crush set-device-class", **wanted)
        device = {
            "osd": osd,
            "token": secrets.token_hex(8),
            "name": device_name(change.identity),
            "server": server,
            "domain": change.pool.domain,
            "pool": change.pool.pool,
            "path": change.engine_path or change.path,
            "size_bytes": said["size_bytes"],
            "epoch": reading.epoch,
        }
        self._session.remove(names.key("removed", uuid))
        self._session.set(names.key("devices", uuid), device)
        self._session.remove(names.key("vacant", str(osd)))
        return device

    def _wait_for_predecessor(self, reading: Reading, change: AddDevice, server: str) -> None:
        """A number that is about to be free is worth a moment. Data that is still on its way is not waited
        for: it may have nowhere to go but to the new disk. Raises NotYet."""
        for uuid, one in reading.devices_of(change.pool).items():
            is_next = one["server"] == server and one.get("leaving") and _is_dead(reading, uuid, one)
            if is_next and self._is_made(uuid, one) and self._is_empty(str(one["osd"])):
                raise NotYet(f"disk {one['path']} is being taken out, whose number {change.path} is to have")

    # --- Ceph's own pools

    def _need_ceph_pool(self, reading: Reading, pool: PoolName, disks: Collection[str]) -> None:
        """The pool behind a storage pool of so many disks, and its rule: copies are in different fault sets
        if it has some."""
        servers = reading.documents("servers").values()
        in_sets = any(one["domain"] == pool.domain and one["fault_set"] is not None for one in servers)
        unit = FAULT_SET_TYPE if in_sets else "host"
        rule, name = f"{names.rule_name(pool)}.{unit}", names.ceph_pool(pool)
        there = reading.ceph_pool(pool)
        tell = self._session.command
        if there is None:
            self._need_rule(rule, pool, unit)
            counts: Json = {"pg_num": _placement_groups(1), "size": COPIES}
            tell("osd pool create", pool=name, pool_type="replicated", rule=rule, **counts)
        if there is None or there["min_size"] != LEAST_COPIES:
            tell("osd pool set", pool=name, var="min_size", val=str(LEAST_COPIES))
        if there is None or "rbd" not in there["application_metadata"]:
            tell("osd pool application enable", pool=name, app="rbd", yes_i_really_mean_it=True)
        groups = _placement_groups(len(disks))
        if there is not None and there["pg_num_target"] < groups:
            tell("osd pool set", pool=name, var="pg_num", val=str(groups))
        if there is not None and self._rule_of(name) != rule:
            self._need_rule(rule, pool, unit)
            tell("osd pool set", pool=name, var="crush_rule", val=rule)

    def _rule_of(self, name: str) -> str:
        return str(self._session.ask("osd pool get", pool=name, var="crush_rule")["crush_rule"])

    def _need_rule(self, rule: str, pool: PoolName, unit: str) -> None:
        wanted: Json = {
            "name": rule,
            "root": names.root_bucket(pool.domain),
            "type": unit,
            "class": names.device_class(pool),
        }
        try:
            self._session.command("osd crush rule create-replicated", **wanted)
        except CommandFailed as error:
            if error.number != errno.EEXIST:
                raise

    def _drop_ceph_pool(self, reading: Reading, pool: PoolName) -> None:
        """Only one that has no image in it, neither by what is written down nor by its own word."""
        if reading.ceph_pool(pool) is None:
            return
        name = names.ceph_pool(pool)
        if has_images(self._session, name):
            raise ChangeRefused(f"there are images in pool {name} that nobody has written down: it stays")
        self._session.command("osd pool delete", pool=name, pool2=name, yes_i_really_really_mean_it=True)

    # --- going

    def remove(self, reading: Reading, change: RemoveDevice) -> None:
        """Its data goes elsewhere first. Raises NotYet, ChangeRefused."""
        uuid = names.osd_uuid(self._system_id, change.identity)
        device = reading.documents("devices").get((uuid,))
        if device is None:
            return
        with self._pools:  # of several that are removed at once, each counts on those that stay
            self._begin_to_leave(reading, uuid, device, change.identity)
        if not self._is_made(uuid, device):  # taken out before a crash: its number may be another's by now
            self._forget(uuid)
            return
        osd = str(device["osd"])
        self._session.command("osd out", ids=[osd])
        if not self._is_empty(osd):
            raise NotYet(f"the data of disk {change.identity} is moving away")
        self._take_out(reading, uuid, device, change.identity)

    def _begin_to_leave(self, reading: Reading, uuid: str, device: Json, identity: str) -> None:
        """Raises ChangeRefused."""
        pool = PoolName(device["domain"], device["pool"])
        if self._is_last_place(reading, uuid, pool):
            volumes = len(reading.volumes_in(pool))
            if volumes:
                raise ChangeRefused(
                    f"disk {identity} is in the last place for a second copy of {volumes} volumes of "
                    f"pool {pool}"
                )
            self._drop_ceph_pool(reading, pool)
        if not device.get("leaving"):
            self._session.set(names.key("devices", uuid), {**device, "leaving": True})

    def _is_last_place(self, reading: Reading, uuid: str, pool: PoolName) -> bool:
        """Whether what would be left of its pool has room for one copy only."""
        servers = reading.documents("servers")
        now = self._session.documents(names.key("devices", ""))
        left = [
            servers.get((one["server"],), {})
            for (_, key), one in now.items()
            if key != uuid and (one["domain"], one["pool"]) == (pool.domain, pool.pool)
            if not one.get("leaving")
        ]
        return len({one.get("fault_set") or one.get("node") for one in left}) < COPIES

    def _is_made(self, uuid: str, device: Json) -> bool:
        known = self._session.ask("osd dump")["osds"]
        return any((one["uuid"], one["osd"]) == (uuid, device["osd"]) for one in known)

    def _is_empty(self, osd: str) -> bool:
        try:
            answer = self._session.ask("osd safe-to-destroy", ids=[osd])
        except CommandFailed as error:
            if error.number in (errno.EAGAIN, errno.EBUSY):
                return False
            raise
        return int(osd) in answer["safe_to_destroy"]

    def _take_out(self, reading: Reading, uuid: str, device: Json, identity: str) -> None:
        """It ends by itself once it is not in the map any more. Only what is written down as removed is ever
        made empty: that nothing is known of a disk proves nothing."""
        osd = device["osd"]
        self._session.set(names.key("removed", uuid), {})
        self._session.command("osd down", ids=[str(osd)])
        if _is_dead(reading, uuid, device):
            vacancies.vacate(self._session, uuid, device, identity)
        else:
            vacancies.purge(self._session, osd, f"disk {identity} is being taken out")
        self._forget(uuid)

    def _forget(self, uuid: str) -> None:
        self._session.remove(names.key("disks", uuid))
        self._session.remove(names.key("devices", uuid))

    def give_back(self, reading: Reading, change: ReturnDevice) -> None:
        """A disk that had failed is used again. Its node starts it as soon as it is there."""
        uuid = names.osd_uuid(self._system_id, change.identity)
        device = reading.documents("devices").get((uuid,))
        if device is None:
            return
        if reading.is_said_to_have_failed(uuid):
            self._session.set(names.key("disks", uuid), {"size_bytes": device["size_bytes"]})
        if not reading.is_in(device["osd"]):
            self._session.command("osd in", ids=[str(device["osd"])])
        if not reading.is_up(device["osd"]):
            raise NotYet(f"disk {change.identity} is not back yet")


def _is_dead(reading: Reading, uuid: str, device: Json) -> bool:
    """Whether a disk has failed for good, as far as its node knows."""
    return reading.is_said_to_have_failed(uuid) and not reading.is_up(device["osd"])


def _staying(reading: Reading, pool: PoolName) -> list[str]:
    """The devices of a pool that are not taken out."""
    return [uuid for uuid, one in reading.devices_of(pool).items() if not one.get("leaving")]


def _placement_groups(disks: int) -> int:
    """A power of two, as Ceph divides evenly by those only. It grows with the pool, and never shrinks."""
    return max(_LEAST_GROUPS, 1 << (max(1, disks) * _GROUPS_OF_A_DISK).bit_length() - 1)
