"""A scheduler and a node in memory, and time that passes only by waiting."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from artesian.model.errors import Conflict, NotThere
from artesian.volumes.known import KnownVolumes
from artesian.volumes.ports import NewVolume, SchedulerAway, VolumeSeen
from artesian.volumes.service import VolumeService
from artesian.volumes.uses import Uses

NODE = "n1"


class Clock:
    """`then`: what happens while somebody waits."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.then: Callable[[], None] = lambda: None

    def monotonic(self) -> float:
        return self.now

    def since_boot(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.then()


@dataclass
class Cluster:
    """The scheduler: what is wished is so at once, unless `slow`. `asked`: each call that changes things."""

    volumes: dict[str, VolumeSeen] = field(default_factory=dict)
    away: bool = False
    slow: bool = False
    refuses: str = ""
    asked: list[str] = field(default_factory=list)

    def _answer(self) -> None:
        if self.away:
            raise SchedulerAway("the scheduler cannot be reached")

    def known(self, have: str) -> tuple[str, dict[str, int]] | None:
        self._answer()
        sizes = {name: one.size_bytes for name, one in self.volumes.items() if not one.deleted}
        digest = repr(sorted(sizes))
        return (digest, sizes) if digest != have else None

    def find(self, name: str) -> VolumeSeen:
        self._answer()
        if name not in self.volumes:
            raise NotThere(f"there is no volume {name}")
        return self.volumes[name]

    def create(self, name: str, wanted: NewVolume) -> None:
        self._answer()
        self.asked.append(f"create {name}")
        self.volumes.setdefault(name, VolumeSeen(name, wanted.size_bytes, exists=not self.slow))

    def mount(self, name: str, path: str, hold: str, *, preempt: bool, force: bool) -> VolumeSeen:
        found = self.find(name)
        self.asked.append(f"mount {name}" + " preempt" * preempt + " force" * force)
        if found.node not in (None, NODE) and not preempt:
            raise Conflict(f"volume {name} is mounted at {found.mount_path} of node {found.node}")
        if found.node == NODE and not found.hold:
            return found
        self.put(name, node=NODE, mount_path=path, hold=hold, generation=found.generation + 1)
        return self.volumes[name]

    def release(self, name: str, hold: str) -> None:
        if self.find(name).hold == hold:
            self.asked.append(f"release {name}")
            self.put(name, node=None, mount_path=None, hold="")

    def delete(self, name: str) -> None:
        found = self.find(name)
        if found.node is not None:
            raise Conflict(f"volume {name} is on node {found.node}: detach it first")
        self.asked.append(f"delete {name}")
        if self.slow:
            self.put(name, deleted=True)
        else:
            del self.volumes[name]

    def put(self, name: str, **values: object) -> None:
        self.volumes[name] = replace(self.volumes.get(name, VolumeSeen(name, 1 << 30, exists=True)), **values)  # type: ignore[arg-type]


class Node:
    """Mounts what the scheduler wishes at once, unless `hangs`. What it was assigned stays known to it."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.name = NODE
        self.hangs = False
        self.used_by: dict[str, str] = {}  # by path

    def mounted(self, volume: str, generation: int | None = None) -> str | None:
        one = self._cluster.volumes.get(volume)
        is_here = one is not None and one.node == NODE and generation in (None, one.generation)
        return one.mount_path if one is not None and is_here and not self.hangs else None

    def for_containers(self) -> list[str]:
        return [one.name for one in self._cluster.volumes.values() if one.node == NODE and one.hold]

    def users(self, path: str) -> str:
        return self.used_by.get(path, "")


class Machine:
    """The service of one node; `restart` is the agent's, `reboot` the machine's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock, self.cluster = Clock(), Cluster()
        self.node = Node(self.cluster)
        self._tokens = itertools.count(1)
        self._boot = 1
        self.restart()

    def restart(self) -> None:
        uses = Uses(self.folder / "uses.json", str(self._boot), lambda: f"t{next(self._tokens)}")
        known = KnownVolumes(self.folder / "known.json", self.cluster)
        self.uses = uses
        self.service = VolumeService(self.cluster, self.node, uses, known, self.folder / "mounts", self.clock)

    def reboot(self) -> None:
        self._boot += 1
        self.restart()

    def path(self, name: str) -> str:
        return str(self.folder / "mounts" / name)

    def where(self, name: str) -> str | None:
        return self.cluster.volumes[name].node
