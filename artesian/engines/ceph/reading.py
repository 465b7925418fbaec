"""A Ceph cluster in the framework's words. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from artesian.engines.ceph import healing, health, names
from artesian.engines.ceph.gathering import Answers
from artesian.engines.ceph.keys import volume_key
from artesian.engines.ceph.monitors import Json
from artesian.model.disk import PoolName
from artesian.model.engine import (
    NO_LIMITS,
    PROCESS_IDS,
    EngineSeen,
    SeenClient,
    SeenDevice,
    SeenLimits,
    SeenManager,
    SeenPool,
    SeenServer,
    SeenSnapshot,
    SeenVolume,
    SeenWarning,
    SnapshotId,
)

KIB = 1024
_FLAGS = "OSD_FLAGS"
_DETAILS = 3  # of a warning, that are told
SOMEBODY = "SOMEBODY"  # has the right to a volume, and is no client that is known


class Reading:
    """One look. `secret` is the engine's: by it is seen which client the key of a volume was made for."""

    def __init__(self, answers: Answers, system_id: str, secret: str) -> None:
        self._answers = answers
        self._system_id = system_id
        self._secret = secret
        self._by_kind: dict[str, dict[tuple[str, ...], Json]] = defaultdict(dict)
        for (kind, *rest), document in answers.documents.items():
            self._by_kind[kind][tuple(rest)] = document
        self._osds = {one["osd"]: one for one in answers.osd_map["osds"]}
        self._ceph_pools = {one["pool_name"]: one for one in answers.osd_map["pools"]}
        self._sizes = {one["id"]: one for one in answers.figures.osds}

    # --- what is registered

    def documents(self, kind: str) -> Mapping[tuple[str, ...], Json]:
        """By what comes after the kind in their keys."""
        return self._by_kind[kind]

    def devices_of(self, pool: PoolName) -> dict[str, Json]:
        """A pool's devices by their UUIDs."""
        return {
            key[0]: one
            for key, one in self.documents("devices").items()
            if (one["domain"], one["pool"]) == (pool.domain, pool.pool)
        }

    def devices_on(self, server: str) -> dict[str, Json]:
        """A server's devices by their UUIDs."""
        return {key[0]: one for key, one in self.documents("devices").items() if one["server"] == server}

    def volumes_in(self, pool: PoolName) -> list[str]:
        """The ids of a pool's volumes."""
        return [
            key[0]
            for key, one in self.documents("volumes").items()
            if (one["domain"], one["pool"]) == (pool.domain, pool.pool)
        ]

    def volume_named(self, name: str) -> tuple[str, Json] | None:
        """A volume's id and document."""
        return next(
            ((key[0], one) for key, one in self.documents("volumes").items() if one["name"] == name), None
        )

    def snapshot_name(self, snapshot: SnapshotId) -> str | None:
        """A snapshot's name now; None if it is not there."""
        return next(
            (
                name
                for (volume_id, name), one in self.documents("snapshots").items()
                if (volume_id, one.get("id")) == (snapshot.volume_id, snapshot.snapshot_id)
            ),
            None,
        )

    def guid_of_node(self, node: str) -> str | None:
        """A node's client, once it has registered."""
        return next((key[0] for key, one in self.documents("clients").items() if one["node"] == node), None)

    def is_connected(self, guid: str) -> bool:
        """Whether a client is connected to a monitor."""
        return names.client_entity(guid) in self._answers.sessions

    def holder_of(self, volume_id: str) -> str | None:
        """The guid of the client that may write to a volume."""
        return self._holders().get(volume_id)

    def limits_of(self, volume_id: str) -> SeenLimits:
        """Of the client that may write to a volume."""
        limits = self.documents("limits").get((volume_id,))
        return SeenLimits(**limits) if limits is not None else NO_LIMITS

    def _holders(self) -> dict[str, str]:
        prefix = names.volume_entity("")
        guids = [key[0] for key in self.documents("clients")]
        told = {volume_id: guid for guid, volume_id in self.documents("mapped")}
        found = {}
        for one in self._answers.keys:
            if one["entity"].startswith(prefix):
                volume_id = one["entity"].removeprefix(prefix)
                first = [told[volume_id]] if volume_id in told else []
                found[volume_id] = next(
                    (
                        guid
                        for guid in [*first, *guids]
                        if volume_key(self._secret, volume_id, guid) == one["key"]
                    ),
                    SOMEBODY,
                )
        return found

    def ceph_pool(self, pool: PoolName) -> Json | None:
        """Ceph's own pool behind a storage pool, once there is one."""
        return self._ceph_pools.get(names.ceph_pool(pool))

    def is_up(self, osd: int) -> bool:
        """Whether an OSD serves."""
        return bool(self._osds.get(osd, {}).get("up"))

    def is_destroyed(self, osd: int) -> bool:
        """Whether nothing is left of an OSD but its number."""
        return "destroyed" in self._osds.get(osd, {}).get("state", ())

    @property
    def epoch(self) -> int:
        """Of the map of all OSDs: it grows with each change."""
        return int(self._answers.osd_map["epoch"])

    def is_in(self, osd: int) -> bool:
        """Whether data is placed on an OSD."""
        return bool(self._osds.get(osd, {}).get("in"))

    # --- all of it

    def seen(self) -> EngineSeen:
        """In the words that all engines share."""
        return EngineSeen(
            system_id=self._system_id,
            managers=tuple(self.managers()),
            domains=tuple(key[0] for key in sorted(self.documents("domains"))),
            fault_sets=tuple((domain, name) for domain, name in sorted(self.documents("fault_sets"))),
            pools=tuple(self._pools()),
            servers=tuple(self._servers()),
            devices=tuple(self._devices()),
            clients=tuple(
                SeenClient(id=guid, guid=guid, name=one["node"], connected=self.is_connected(guid))
                for (guid,), one in sorted(self.documents("clients").items())
            ),
            volumes=tuple(self._volumes()),
            warnings=tuple(self._warnings()),
            offers_snapshots=True,
        )

    def _warnings(self) -> Iterator[SeenWarning]:
        """What Ceph's own checks find, but for those that somebody has muted."""
        for code, one in sorted(self._answers.health["checks"].items()):
            if not one.get("muted") and not (code == _FLAGS and self._is_maintenance_all()):
                details = "; ".join(detail["message"].strip() for detail in one["detail"][:_DETAILS])
                text = f"{one['summary']['message']}{f' ({details})' if details else ''}"
                yield SeenWarning(code, text, serious=one["severity"] == "HEALTH_ERR")

    def managers(self) -> Iterator[SeenManager]:
        """The monitors."""
        return managers_of(self._answers.monitors)

    def _is_maintenance_all(self) -> bool:
        """Whether nothing is held up in the cluster but servers of ours in maintenance."""
        ours = {names.host_bucket(name) for (name,) in self.documents("servers")}
        osd_map = self._answers.osd_map
        return osd_map.get("crush_node_flags", {}).keys() <= ours and not osd_map.get("device_class_flags")

    def _servers(self) -> Iterator[SeenServer]:
        away = self._answers.osd_map.get("crush_node_flags", {})
        for (name,), one in sorted(self.documents("servers").items()):
            yield SeenServer(
                id=name,
                name=name,
                domain=one["domain"],
                fault_set=one["fault_set"],
                connected=self._is_there(name),
                in_maintenance="noout" in away.get(names.host_bucket(name), ()),
            )

    def _is_there(self, server: str) -> bool:
        """Whether a server serves, or would if it had a disk that works."""
        devices = self.devices_on(server)
        is_served = any(self.is_up(one["osd"]) for one in devices.values())
        return is_served or all(self.is_said_to_have_failed(uuid) for uuid in devices)

    def _devices(self) -> Iterator[SeenDevice]:
        latencies = {one["id"]: one["perf_stats"] for one in self._answers.figures.latencies}
        for (uuid,), one in sorted(self.documents("devices").items()):
            osd = one["osd"]
            figures: Json = self._sizes.get(osd, {})
            # It is all one figure: reads are answered after the same queue.
            latency = latencies.get(osd, {}).get("commit_latency_ns")
            failed, leaving = self._has_failed(uuid, one), bool(one.get("leaving"))
            yield SeenDevice(
                id=uuid,
                name=one["name"],
                server=one["server"],
                path=one["path"],
                pool=PoolName(one["domain"], one["pool"]),
                size_bytes=self._size(one),
                failed=failed,
                leaving=leaving,
                away=not (failed or leaving or self.is_up(osd)) and self._is_there(one["server"]),
                write_latency_s=latency / 1e9 if latency is not None and self.is_up(osd) else None,
                used_bytes=KIB * figures["kb_used"] if "kb_used" in figures else None,
                room_bytes=self._room(figures) if "kb_used" in figures else None,
                served_by=self._process_of(osd) if self.is_up(osd) else None,
            )

    def _process_of(self, osd: int) -> int | None:
        """By what tells its addresses from those of another daemon at the same ones: its process id, and a
        million for each time that it came back after it had been missed."""
        addresses = self._osds.get(osd, {}).get("public_addrs", {}).get("addrvec", ())
        return next((int(one["nonce"]) % PROCESS_IDS for one in addresses), None)

    def _size(self, device: Json) -> int:
        """As Ceph says; of one that has just come, as its node has said."""
        figures: Json = self._sizes.get(device["osd"], {})
        return KIB * int(figures.get("kb", 0)) or int(device["size_bytes"])

    def _room(self, figures: Json) -> int:
        """Until a disk is as full as Ceph lets it become: then nobody can write to its pool any more."""
        share = float(self._answers.osd_map["full_ratio"])
        return max(0, int(KIB * (share * figures["kb"] - figures["kb_used"])))

    def is_said_to_have_failed(self, uuid: str) -> bool:
        """Whether a disk's node says so: the node itself was there to say it."""
        return bool(self.documents("disks").get((uuid,), {}).get("failed"))

    def _has_failed(self, uuid: str, device: Json) -> bool:
        """Whether its node says so, or it has stayed away for so long that its data was given to others,
        although its server was there all the time."""
        osd = device["osd"]
        if self.is_up(osd):
            return False
        if self.is_said_to_have_failed(uuid):
            return True
        if self.is_in(osd) or device.get("leaving"):
            return False
        since = self._osds.get(osd, {}).get("down_at", 0)  # an epoch, as `up_from` is
        return any(
            self.is_up(one["osd"]) and self._osds[one["osd"]]["up_from"] <= since
            for one in self.devices_on(device["server"]).values()
        )

    def _pools(self) -> Iterator[SeenPool]:
        rates = {one["pool_name"]: one.get("client_io_rate", {}) for one in self._answers.figures.pool_rates}
        rooms = {one["name"]: one["stats"] for one in self._answers.pools}
        for (domain, name), one in sorted(self.documents("pools").items()):
            pool, ceph_name = PoolName(domain, name), names.ceph_pool(PoolName(domain, name))
            there = self._ceph_pools.get(ceph_name)
            devices = self.devices_of(pool).values()
            osds = [device["osd"] for device in devices]
            size_bytes = sum(self._size(device) for device in devices if self.is_in(device["osd"]))
            rate, room = rates.get(ceph_name, {}), rooms.get(ceph_name, {})
            state = health.State()
            if there is not None:
                state = health.state_of(
                    there,
                    self._answers.figures,
                    self._osds,
                    osds,
                    has_volumes=bool(self.volumes_in(pool)),
                )
            yield SeenPool(
                id=f"{domain}/{name}",
                name=pool,
                size_bytes=size_bytes,
                used_bytes=int(room.get("bytes_used", 0)),
                free_bytes=_free(size_bytes, int(room.get("max_avail", 0)), one["spare_percentage"]),
                spare_percentage=one["spare_percentage"],
                degraded_bytes=state.degraded_bytes,
                failed_bytes=state.failed_bytes,
                moving_bytes=state.moving_bytes,
                iops=_rate(rate) if self._answers.figures.fresh and there is not None else None,
                healing=healing.healing_of(pool, self._answers.settings),
                is_full=there is not None and "full" in there["flags_names"].split(","),
            )

    def _volumes(self) -> Iterator[SeenVolume]:
        holders, snapshots = self._holders(), self._snapshots()
        for (volume_id,), one in sorted(self.documents("volumes").items()):
            holder = holders.get(volume_id)
            limits = self.limits_of(volume_id)
            yield SeenVolume(
                id=volume_id,
                name=one["name"],
                pool=PoolName(one["domain"], one["pool"]),
                size_bytes=one["size_bytes"],
                mapped_to=(holder,) if holder is not None else (),
                limits=((holder, limits),) if holder is not None and limits != NO_LIMITS else (),
                snapshots=tuple(snapshots[volume_id]),
            )

    def _snapshots(self) -> dict[str, list[SeenSnapshot]]:
        """Those that were taken, of each volume, the oldest first."""
        found: dict[str, list[SeenSnapshot]] = defaultdict(list)
        taken = [(key, one) for key, one in self.documents("snapshots").items() if "id" in one]
        for (volume_id, name), one in sorted(taken, key=lambda pair: (pair[1]["taken_at_s"], pair[0])):
            found[volume_id].append(SeenSnapshot(one["id"], name, one["size_bytes"], one["taken_at_s"]))
        return found


def managers_of(monitors: Json) -> Iterator[SeenManager]:
    """The monitors, of the map that they have of themselves: the first of those in the quorum leads."""
    for one in monitors["mons"]:
        yield SeenManager(
            name=one["name"],
            address=one["public_addrs"]["addrvec"][0]["addr"],
            role=names.monitor_role(one["name"]),
            healthy=one["rank"] in monitors["quorum"],
            leads=one["rank"] == min(monitors["quorum"], default=None),
        )


def _free(size_bytes: int, room_bytes: int, spare_percentage: int) -> int:
    """Ceph says what fits until its fullest disk is full; a share of the whole, of one copy, stays free."""
    return max(0, room_bytes - size_bytes * spare_percentage // 200)


def _rate(rate: Mapping[str, Any]) -> float:
    return float(rate.get("read_op_per_sec", 0) + rate.get("write_op_per_sec", 0))
