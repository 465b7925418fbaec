"""What a cluster says of itself, in as few words as a look needs."""

from __future__ import annotations

from typing import Any

from artesian.engines.ceph import names
from artesian.engines.ceph.gathering import Answers, Figures
from artesian.engines.ceph.keys import volume_key
from artesian.model.disk import PoolName
from artesian.model.names import server_name

SECRET = "a secret of the tests"
POOL = PoolName("main", "gold")
POOL_ID = 3
KB = 1 << 20  # of each disk: 1 GiB
FULL_RATIO = 0.875  # of what is in a disk: then nobody can write to it any more


class Cluster:
    """Three nodes with one disk each, whole; tests change what they are about."""

    def __init__(self) -> None:
        self.monitors = {"manager-n1": "10.0.0.1", "manager-n2": "10.0.0.2", "tiebreaker-n3": "10.0.0.3"}
        self.quorum = list(self.monitors)
        self.documents: dict[tuple[str, ...], dict[str, Any]] = {
            ("domains", "main"): {},
            ("pools", "main", "gold"): {"spare_percentage": 10},
        }
        self.osds: dict[int, dict[str, Any]] = {}
        self.groups: list[dict[str, Any]] = []
        self.keys: list[dict[str, Any]] = []
        self.sessions: set[str] = set()
        self.flags: dict[str, list[str]] = {}
        self.pool_flags = "hashpspool,selfmanaged_snaps"
        self.fresh = True
        self.pg_num = 0
        self.new_groups: list[str] = []
        self.silent: set[int] = set()  # disks of which the manager daemon knows nothing yet
        self.checks: dict[str, Any] = {}
        for number, node in enumerate(("n1", "n2", "n3")):
            self.add_server(node)
            self.add_device(number, node)

    def add_server(self, node: str, fault_set: str | None = None) -> None:
        self.documents["servers", server_name(node, "main")] = {
            "node": node, "address": "", "domain": "main", "fault_set": fault_set,
        }  # fmt: skip

    def add_device(self, number: int, node: str, **more: Any) -> None:
        self.documents["devices", f"uuid-{number}"] = {
            "osd": number, "name": f"disk-{number}", "server": server_name(node, "main"), "domain": "main",
            "pool": "gold", "path": f"/dev/sd{number}", "size_bytes": KB << 10, "token": "t", **more,
        }  # fmt: skip
        self.osds[number] = {"osd": number, "up": 1, "in": 1, "up_from": 5, "down_at": 0}

    def add_group(self, state: str, acting: tuple[int, ...] = (0, 1), **sums: int) -> None:
        counts = {"num_objects": 10, "num_object_copies": 20, "num_bytes": 1000, "num_objects_degraded": 0}
        counts |= {"num_objects_misplaced": 0} | sums
        self.groups.append(
            {
                "pgid": f"{POOL_ID}.{len(self.groups):x}", "state": state, "reported_epoch": 9,
                "up": list(acting), "acting": list(acting), "stat_sum": counts,
            }
        )  # fmt: skip

    def add_volume(self, volume_id: str, name: str) -> None:
        self.documents["volumes", volume_id] = {
            "name": name, "domain": "main", "pool": "gold", "size_bytes": 1 << 30,
        }  # fmt: skip

    def give(self, volume_id: str, guid: str, *, told: bool = True) -> None:
        key = volume_key(SECRET, volume_id, guid)
        self.keys.append({"entity": names.volume_entity(volume_id), "key": key})
        if told:
            self.documents["mapped", guid, volume_id] = {"token": "t", "size_bytes": 1 << 30}

    def answers(self) -> Answers:
        mons = [
            {"rank": rank, "name": name, "public_addrs": {"addrvec": [{"addr": f"{address}:3300"}]}}
            for rank, (name, address) in enumerate(self.monitors.items())
        ]
        pool = {"pool": POOL_ID, "pool_name": names.ceph_pool(POOL), "pg_num": self.pg_num}
        pool["flags_names"] = self.pool_flags
        return Answers(
            monitors={
                "fsid": "f",
                "mons": mons,
                "quorum": [one["rank"] for one in mons if one["name"] in self.quorum],
            },
            osd_map={
                "osds": list(self.osds.values()),
                "pools": [pool],
                "crush_node_flags": self.flags,
                "full_ratio": FULL_RATIO,
            },
            health={"checks": self.checks},
            pools=[{"name": pool["pool_name"], "stats": {"bytes_used": 2000, "max_avail": 1 << 30}}],
            keys=self.keys,
            documents=self.documents,
            sessions=frozenset(self.sessions),
            figures=Figures(
                self.fresh,
                [
                    {"id": one, "kb": KB, "kb_used": 1024, "kb_avail": KB - 1024}
                    for one in self.osds
                    if one not in self.silent
                ],
                [{"id": one, "perf_stats": {"commit_latency_ns": 4_000_000}} for one in self.osds],
                [
                    {
                        "pool_name": pool["pool_name"],
                        "client_io_rate": {"read_op_per_sec": 5, "write_op_per_sec": 7},
                    }
                ],
                self.groups,
                frozenset(self.new_groups),
            ),
        )
