"""What happens to a cluster in a drill: faults of machines, disks and the scheduler, and wishes of users."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from artesian.model.disk import PoolName
from artesian.model.state import Stopping
from artesian.model.wishes import VolumeWish
from artesian.scheduler import requests
from artesian.scheduler.node_requests import add_node, maintain_node, remove_disk, remove_node, return_disk
from artesian.scheduler.volume_requests import (
    attach_volume,
    create_volume,
    delete_volume,
    detach_volume,
    grow_volume,
    rename_volume,
)
from tests.simulation.nodes import GIB, SimulatedNode, make_disk, make_node
from tests.simulation.world import World

POOL = PoolName("default", "default")
REBOOT_S = 12


Happening = tuple[Callable[["Events"], str], float]  # and how likely it is


@dataclass
class Events:
    """Draws and does one thing after the other; `told` is the story. `later`: what ends, and when."""

    world: World
    chance: random.Random
    told: list[str] = field(default_factory=list)
    later: list[tuple[float, str, Callable[[], None]]] = field(default_factory=list)
    volumes: int = 0
    chance_of_event: float = 0.35
    happenings: tuple[Happening, ...] = field(default_factory=lambda: HAPPENINGS)
    slow_down: int = 1  # how much longer everything lasts

    def happen(self) -> None:
        """Something happens, perhaps, and what was to end ends."""
        self._end(self.world.clock.now_s)
        if self.chance.random() < self.chance_of_event:
            happenings, weights = zip(*self.happenings, strict=True)
            happening = self.chance.choices(happenings, weights)[0]
            self.tell(f"{happening.__name__.strip('_')}: {happening(self) or ''}")

    def stop(self) -> None:
        """Everything ends that was to end some day, and nobody holds anything back."""
        self._end(float("inf"))
        world = self.world
        world.store.kill_at = world.faults.kill_at = None
        world.store.unusable = world.faults.away = False
        world.faults.refused = world.faults.unreachable = world.faults.answer_lost = 0.0
        for node in world.nodes.values():
            self._return(node)
            node.cut_off = node.leaving = False
        world.ask(lambda state, _: requests.pause(state, paused=False))
        world.ask(lambda state, _: requests.stop_everything(state, Stopping.NO))
        for name in world.nodes:
            self._ask(lambda state, seen, name=name: maintain_node(state, seen, name, in_maintenance=False))
        self.tell("the faults stop")

    def tell(self, text: str) -> None:
        """Keep it for whoever has to understand a seed."""
        self.told.append(f"{self.world.clock.now_s:.0f} {text}")

    def _end(self, now_s: float) -> None:
        due = [one for one in self.later if one[0] <= now_s]
        self.later = [one for one in self.later if one[0] > now_s]
        for _, text, action in due:
            action()
            self.tell(f"ends: {text}")

    def _after(self, at_least_s: int, at_most_s: int, text: str, action: Callable[[], None]) -> None:
        seconds = self.chance.randint(at_least_s, at_most_s) * self.slow_down
        self.later.append((self.world.clock.now_s + seconds, text, action))

    def _node(self) -> SimulatedNode:
        return self.chance.choice(list(self.world.nodes.values()))

    def _ask(self, request: Callable[..., object]) -> str:
        return self.world.ask(request)  # type: ignore[arg-type]

    # --- machines

    def _cut_off(self) -> str:
        node = self._node()
        node.cut_off = True
        self._after(3, 40, f"{node.name} is reached again", lambda: setattr(node, "cut_off", False))
        return node.name

    def _agent_dies(self) -> str:
        node = self._node()
        node.agent = False
        return node.name

    def _power_off(self) -> str:
        node = self._node()
        gone = self.chance.random() < 0.5
        node.power_off()
        node.gone = gone
        self._after(REBOOT_S, 50, f"{node.name} is back", lambda: self._return(node))
        return f"{node.name}{', gone for certain' if gone else ''}"

    def _drain(self) -> str:
        """Whoever runs the machines wants one empty, for a while."""
        node = self._node()
        node.leaving = True
        self._after(10, 90, f"{node.name} may be used again", lambda: setattr(node, "leaving", False))
        return node.name

    def _return(self, node: SimulatedNode) -> None:
        """With its disks under other names, perhaps."""
        if not node.powered:
            keys = [key for key, disk in node.disks.items() if disk.identity is not None]
            paths = [node.disks[key].path for key in keys]
            if self.chance.random() < 0.5:
                self.chance.shuffle(paths)
            for key, path in zip(keys, paths, strict=True):
                node.change_disk(key, path=path)
        node.powered, node.gone = True, False

    def _join(self) -> str:
        nodes = self.world.nodes
        if len(nodes) > 12:
            return ""
        node = make_node(len(nodes), attributes=dict(self._node().attributes))
        nodes[node.name] = node
        return node.name

    # --- disks

    def _vanish(self) -> str:
        node = self._node()
        if not node.disks:
            return ""
        key = self.chance.choice(list(node.disks))
        disk = node.away[key] = node.disks.pop(key)
        spoiled = self.chance.random() < 0.25

        def come_back() -> None:
            if key not in node.away:
                return  # it was given back meanwhile
            facts = {"path": f"/dev/sd{self._free_letter(node)}"}
            node.disks[key] = replace(node.away.pop(key), **facts)  # type: ignore[arg-type]
            if spoiled:
                node.change_disk(key, signatures=("ext4",), label=None)

        self._after(10, 60, f"{key} comes back{', spoiled' if spoiled else ''}", come_back)
        return f"{disk.path} of {node.name}, {key}"

    def _free_letter(self, node: SimulatedNode) -> str:
        used = {disk.path[-1] for disk in node.disks.values()}
        return next(letter for letter in "bcdefghijklmnopqrstuvwxyz" if letter not in used)

    def _new_disk(self) -> str:
        node = self._node()
        letter = self._free_letter(node)
        if len(node.disks) + len(node.away) > 6:
            return ""
        facts = self.chance.choice(DISK_FACTS)
        disk = make_disk(node.name, letter, **{"identity": f"wwn:new-{self.chance.random():.9f}", **facts})
        node.disks[disk.identity or disk.path] = disk
        return f"{disk.path} of {node.name}, {facts}"

    def _duplicate(self) -> str:
        """A copied disk of another node with the same identity, free by its looks."""
        one, other = self._node(), self._node()
        free = [disk for disk in one.disks.values() if disk.label is None and disk.identity is not None]
        if one is other or not free:
            return ""
        disk = self.chance.choice(free)
        if disk.identity is None or disk.identity in other.disks or disk.identity in other.away:
            return ""
        other.disks[disk.identity] = replace(disk, path=f"/dev/sd{self._free_letter(other)}")
        identity = disk.identity

        def go_away() -> None:
            other.disks.pop(identity, None)
            other.away.pop(identity, None)  # else it would come back

        self._after(20, 60, f"{identity} is there once", go_away)
        return f"{identity} on {one.name} and {other.name}"

    # --- the engine and the scheduler

    def _engine_away(self) -> str:
        self.world.faults.away = True
        self._after(2, 20, "the engine answers", lambda: setattr(self.world.faults, "away", False))
        return ""

    def _flaky(self) -> str:
        faults, chance = self.world.faults, self.chance
        faults.refused, faults.unreachable = chance.choice([0, 0.3]), chance.choice([0, 0.3])
        faults.answer_lost = chance.choice([0, 0.5])

        def end() -> None:
            faults.refused = faults.unreachable = faults.answer_lost = 0.0

        self._after(5, 40, "the engine is reliable", end)
        return f"{faults.refused} {faults.unreachable} {faults.answer_lost}"

    def _store_away(self) -> str:
        self.world.store.unusable = True
        self._after(2, 10, "the store is back", lambda: setattr(self.world.store, "unusable", False))
        return ""

    def _kill(self) -> str:
        store, faults, after = self.world.store, self.world.faults, self.chance.random() < 0.5
        if self.chance.random() < 0.5:
            store.kill_at, store.kill_after = store.commits + self.chance.randint(1, 3), after
            return f"at commit {store.kill_at}, {'after' if after else 'before'}"
        faults.kill_at, faults.kill_after = faults.changes + self.chance.randint(1, 5), after
        return f"at change {faults.kill_at}, {'after' if after else 'before'}"

    def _restart(self) -> str:
        self.world.kill("drawn")
        return ""

    # --- users

    def _volume(self) -> str:
        state = self.world.store.state()
        return self.chance.choice(sorted(state.volumes)) if state.volumes else "none"

    def _create(self) -> str:
        if len(self.world.store.state().volumes) > 8:
            return ""
        self.volumes += 1
        node = self._node().name if self.chance.random() < 0.5 else None
        wish = VolumeWish(f"v{self.volumes}", POOL, 8 * GIB, node=node)
        return f"{wish.name} {node} {self._ask(lambda state, seen: create_volume(state, seen, wish))}"

    def _attach(self) -> str:
        name, node, force = self._volume(), self._node().name, self.chance.random() < 0.3
        problem = self._ask(
            lambda state, seen: attach_volume(
                state, seen, name, node, mount_path=None, fstype=None, force=force
            )
        )
        return f"{name} {node}{' by force' if force else ''} {problem}"

    def _detach(self) -> str:
        name, force = self._volume(), self.chance.random() < 0.2
        asked = self._ask(lambda state, seen: detach_volume(state, seen, name, force=force))
        return f"{name} {force} {asked}"

    def _grow(self) -> str:
        name, size = self._volume(), self.chance.randint(8, 32) * GIB
        return f"{name} {self._ask(lambda state, seen: grow_volume(state, seen, name, size))}"

    def _rename(self) -> str:
        name, new = self._volume(), f"r{self.chance.randint(1, 20)}"
        return f"{name} {new} {self._ask(lambda state, seen: rename_volume(state, seen, name, new))}"

    def _delete(self) -> str:
        name = self._volume()
        return f"{name} {self._ask(lambda state, _: delete_volume(state, name))}"

    def _remove_disk(self) -> str:
        node = self._node()
        if not node.disks:
            return ""
        key = self.chance.choice(list(node.disks))
        problem = self._ask(lambda state, seen: remove_disk(state, seen, node.name, key))
        if self.chance.random() < 0.5:
            self._after(30, 60, f"{key} is given back", lambda: self._give_back(node.name, key))
        return f"{key} {problem}"

    def _give_back(self, node: str, key: str) -> None:
        self._ask(lambda state, seen: return_disk(state, seen, node, key))

    def _remove_node(self) -> str:
        name = self._node().name
        problem = self._ask(lambda state, seen: remove_node(state, seen, name))
        if self.chance.random() < 0.5:
            again = lambda: self._ask(lambda state, seen: add_node(state, seen, name))  # noqa: E731
            self._after(20, 60, f"{name} joins again", lambda: again() and None)
        return f"{name} {problem}"

    def _maintain(self) -> str:
        name, on = self._node().name, self.chance.random() < 0.4
        request = lambda state, seen: maintain_node(state, seen, name, in_maintenance=on)  # noqa: E731
        return f"{name} {on} {self._ask(request)}"

    def _approve(self) -> str:
        self.world.approve()
        return ""

    def _pause(self) -> str:
        resume = lambda: self._ask(lambda state, _: requests.pause(state, paused=False))  # noqa: E731
        self._after(5, 15, "resumed", lambda: resume() and None)
        return self._ask(lambda state, _: requests.pause(state, paused=True))

    def _stop(self) -> str:
        how = self.chance.choice([Stopping.VOLUMES, Stopping.ALL])
        again = lambda: self._ask(lambda state, _: requests.stop_everything(state, Stopping.NO))  # noqa: E731
        self._after(5, 25, "begins again", lambda: again() and None)
        return f"{how} {self._ask(lambda state, _: requests.stop_everything(state, how))}"


DISK_FACTS: tuple[dict[str, object], ...] = (
    {},
    {},
    {},
    {"signatures": ("ext4",)},
    {"mounted_at": ("/data",)},
    {"identity": None},
    {"size_bytes": GIB // 2},
    {"partitions": ("sdx1",)},
    {"holders": ("dm-0",)},
    {"read_only": True},
    {"unreadable": "blkid has failed"},
)
HAPPENINGS: tuple[Happening, ...] = (
    (Events._cut_off, 4),
    (Events._agent_dies, 2),
    (Events._power_off, 3),
    (Events._join, 1),
    (Events._vanish, 2),
    (Events._new_disk, 2),
    (Events._duplicate, 2),
    (Events._engine_away, 2),
    (Events._flaky, 3),
    (Events._store_away, 1),
    (Events._kill, 5),
    (Events._restart, 2),
    (Events._create, 6),
    (Events._attach, 9),
    (Events._detach, 4),
    (Events._grow, 2),
    (Events._rename, 2),
    (Events._delete, 2),
    (Events._remove_disk, 3),
    (Events._remove_node, 1),
    (Events._maintain, 2),
    (Events._drain, 2),
    (Events._approve, 6),
    (Events._pause, 0.5),
    (Events._stop, 0.7),
)
