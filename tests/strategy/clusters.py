"""Clusters for tests of strategies, and drawn ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from artesian.model.disk import Claim, Disk, EngineLabel, Media, PoolName, Tombstone
from artesian.model.node import Node, NodeState
from artesian.model.topology import Topology
from artesian.strategy.verdicts import Memory

GIB = 1 << 30
TIB = 1 << 40
INPUTS = Path(__file__).parent.parent / "inputs" / "attributes"


def disk(path: str, identity: str | None = "", size_bytes: int = 2 * TIB, **facts: Any) -> Disk:
    """An empty disk; its identity follows from its path unless it is given."""
    return Disk(path, f"serial:{path}" if identity == "" else identity, size_bytes, **facts)


def node(name: str, *disks: Disk, **facts: Any) -> Node:
    """A node whose disks' identities are its own."""
    own = tuple(
        replace(one, identity=f"{one.identity}@{name}") if one.identity is not None else one for one in disks
    )
    return Node(name, "10.0.0.1", disks=own, **facts)


def attributes(folder: str) -> dict[str, str]:
    """Attribute files, as a Mesos agent reads them."""
    return {path.name: path.read_text().strip() for path in sorted((INPUTS / folder).iterdir())}


def claims_of(topology: Topology) -> Memory:
    """What is remembered once a topology has been carried out."""
    return Memory(
        claims={
            device.identity: Claim(
                device.identity, device.node, device.path, device.pool, device.size_bytes, "it was planned"
            )
            for device in topology.devices
        }
    )


def pools_of(topology: Topology) -> dict[str, list[str]]:
    """Pool → "node:path" of its devices."""
    found: dict[str, list[str]] = {}
    for device in topology.devices:
        found.setdefault(str(device.pool), []).append(f"{device.node}:{device.path}")
    return found


_signatures = st.sampled_from([(), (), (), ("ext4",), ("gpt",), ("LVM2_member",)])


@st.composite
def disks(draw: st.DrawFn, name: str) -> tuple[Disk, ...]:
    """The disks of one node, most of them free."""
    found = []
    for letter in draw(st.sets(st.sampled_from("bcdef"), max_size=4)):
        rare = st.sampled_from([False, False, False, False, True])
        path = f"/dev/sd{letter}"
        found.append(
            Disk(
                path,
                None if draw(rare) else f"wwn:{name}{letter}",
                draw(st.sampled_from([GIB // 2, 100 * GIB, TIB, 2 * TIB])),
                media=draw(st.sampled_from(Media)),
                read_only=draw(rare),
                is_system=draw(rare),
                mounted_at=("/data",) if draw(rare) else (),
                holders=("dm-0",) if draw(rare) else (),
                signatures=draw(_signatures),
                label=EngineLabel("elsewhere", "x") if draw(rare) else None,
                unreadable="blkid failed" if draw(rare) else "",
            )
        )
    return tuple(sorted(found, key=lambda one: one.path))


@st.composite
def nodes(draw: st.DrawFn) -> tuple[Node, ...]:
    """Up to eight nodes, in any order."""
    names = draw(st.lists(st.sampled_from("abcdefgh"), unique=True, min_size=1, max_size=8))
    return tuple(
        Node(
            name,
            f"10.0.0.{ord(name)}",
            state=draw(st.sampled_from([NodeState.ALIVE] * 4 + [NodeState.SILENT, NodeState.GONE])),
            attributes=draw(
                st.sampled_from(
                    [{}, {}, {"scaleio-fault-set": "r1"}, {"scaleio-fault-set": "r2"},
                     attributes("single-pool"), attributes("agents-9-to-16"), {"scaleio-sds-domains": "x"}]
                )
            ),
            disks=draw(disks(name)),
            cpus=draw(st.sampled_from([1.0, 4.0])),
        )
        for name in names
    )  # fmt: skip


@st.composite
def memories(draw: st.DrawFn, cluster: tuple[Node, ...]) -> Memory:
    """Claims and tombstones of some disks, not always where they are now."""
    identities = [one.identity for node in cluster for one in node.disks if one.identity is not None]
    claims, tombstones = {}, {}
    for identity in identities:
        fate = draw(st.sampled_from(["", "", "", "claimed", "buried"]))
        if fate == "claimed":
            where = draw(st.sampled_from([node.name for node in cluster]))
            pool = PoolName("default", draw(st.sampled_from(["default", "other"])))
            path = draw(st.sampled_from(["/dev/sdb", "/dev/sdc", "/dev/sdz"]))
            claims[identity] = Claim(identity, where, path, pool, TIB, "it was free")
        elif fate == "buried":
            tombstones[identity] = Tombstone(identity, "it failed")
    return Memory(claims, tombstones)
