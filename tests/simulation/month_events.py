"""What happens to a cluster within months: faults last from minutes to days, and several do at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from artesian.model.disk import DiskSays, EngineLabel
from artesian.scheduler.node_requests import add_node
from tests.simulation.events import Events, Happening
from tests.simulation.month_people import DAY_S, HOUR_S, MINUTE_S, MOST_NODES, MonthPeople, is_dirty
from tests.simulation.nodes import GIB, SimulatedNode
from tests.simulation.system import Sickness


@dataclass
class MonthEvents(MonthPeople):
    """Faults of everything, and their ends."""

    # --- machines

    def _isolate(self) -> str:
        node = self._node()
        if any(one.isolated or not one.powered for one in self.world.nodes.values()):
            return ""
        node.isolated = True
        self.lasts(MINUTE_S, DAY_S, f"{node.name} is not isolated", lambda: setattr(node, "isolated", False))
        return node.name

    def _power_off(self) -> str:
        if sum(not one.powered for one in self.world.nodes.values()) > 0:
            return ""
        return super()._power_off()

    def _join(self) -> str:
        return super()._join() if len(self.world.nodes) < MOST_NODES else ""

    def _cut_off(self) -> str:
        node = self._node()
        node.cut_off = True
        self.lasts(MINUTE_S, DAY_S, f"{node.name} is reached again", lambda: setattr(node, "cut_off", False))
        return node.name

    def _substrate_away(self) -> str:
        substrate = self.world.substrate
        substrate.away = True
        self.lasts(MINUTE_S, 12 * HOUR_S, "the substrate answers", lambda: setattr(substrate, "away", False))
        return ""

    def _no_machines(self) -> str:
        substrate = self.world.substrate
        substrate.full, substrate.answer_lost = self.chance.choice(((True, False), (False, True)))

        def end() -> None:
            substrate.full = substrate.answer_lost = False

        self.lasts(10 * MINUTE_S, 2 * DAY_S, "the substrate is well", end)
        return f"{substrate.full} {substrate.answer_lost}"

    # --- disks

    def _vanish(self) -> str:
        """It is pulled out, and comes back as it was, spoiled, or in another node."""
        node = self._node()
        if not node.disks:
            return ""
        key = self.chance.choice(list(node.disks))
        disk = node.away[key] = node.disks.pop(key)
        how = self.chance.choice(("as it was", "as it was", *SPOILED, "elsewhere"))
        where = self._node() if how == "elsewhere" and not key.startswith("serial:") else node

        def come_back() -> None:
            if key not in node.away or key in where.disks:
                node.away.pop(key, None)  # it was given back meanwhile, or there is a copy of it
                return
            facts = {"path": f"/dev/sd{self._free_letter(where)}", **SPOILED.get(how, {})}
            where.disks[key] = replace(node.away.pop(key), **facts)  # type: ignore[arg-type]

        self._after(10, 36, f"{key} comes back to {where.name}, {how}", come_back)
        return f"{disk.path} of {node.name}, {key}"

    def _break(self) -> str:
        """Only where two nodes are left that can have copies: more than that is lost with reason."""
        system = self.world.system
        good = [one for one in system.devices.values() if not (one.lost or one.identity in system.broken)]
        able = [
            one.identity
            for one in good
            if len({other.node for other in good if other.pool == one.pool and other is not one}) >= 2
        ]
        if not able or len(system.broken) > 2:
            return ""
        identity = self.chance.choice(sorted(able))
        system.broken.add(identity)
        return identity

    def _sicken(self) -> str:
        system = self.world.system
        devices = sorted(system.devices.keys() - system.sick.keys() - system.broken)
        if not devices or len(system.sick) > 2:
            return ""
        identity = self.chance.choice(devices)
        system.sick[identity] = self.chance.choice((Sickness(errors=100), Sickness(latency_s=0.5)))
        self._after(30, 60, f"{identity} is well", lambda: system.sick.pop(identity, None))
        return f"{identity} {system.sick[identity]}"

    def _warn(self) -> str:
        """A disk says that it will fail."""
        node = self._node()
        keys = [key for key, disk in node.disks.items() if disk.label is not None]
        if not keys:
            return ""
        key = self.chance.choice(keys)
        node.change_disk(key, smart=DiskSays(True, "reallocated sectors (drawn)"))
        self._after(30, 60, f"{key} says nothing any more", lambda: self._silence(node, key))
        return f"{key} of {node.name}"

    def _silence(self, node: SimulatedNode, key: str) -> None:
        if key in node.disks:
            node.change_disk(key, smart=None)

    # --- the engine

    def _engine_away(self) -> str:
        faults = self.world.faults
        faults.away = True
        self.lasts(MINUTE_S, 6 * HOUR_S, "the engine answers", lambda: setattr(faults, "away", False))
        return ""

    def _stall(self) -> str:
        system = self.world.system
        system.stalled = True
        self.lasts(5 * MINUTE_S, DAY_S, "data moves again", lambda: setattr(system, "stalled", False))
        return ""

    def _old_figures(self) -> str:
        """For hours the engine says that pools hold what they held."""
        system = self.world.system
        system.old_figures = {name: pool.used_bytes for name, pool in system.pools.items()}
        self.lasts(5 * MINUTE_S, 12 * HOUR_S, "figures are new", lambda: setattr(system, "old_figures", None))
        return ""

    # --- the scheduler

    def _store_away(self) -> str:
        store = self.world.store
        store.unusable = True
        self.lasts(MINUTE_S, 4 * HOUR_S, "the store is back", lambda: setattr(store, "unusable", False))
        return ""

    def _night(self) -> str:
        """Nobody starts the scheduler again for hours or days."""
        world = self.world
        world.kill("it is switched off")
        world.may_start = False
        self.lasts(
            10 * MINUTE_S, 2 * DAY_S, "the scheduler may run", lambda: setattr(world, "may_start", True)
        )
        return ""

    def _stand_still(self) -> str:
        """Its process does nothing for a while, and goes on before anybody could report."""
        seconds = self.chance.choice((3.0, 80.0, 900.0, 5 * HOUR_S))
        self.world.tick(seconds, unheard=True)
        return f"{seconds:.0f} s"

    def _set_clock(self) -> str:
        """The scheduler's machine is told a wrong time, and after a while the right one."""
        wall = self.world.wall
        if wall.wrong_by_s:
            return ""
        wall.wrong_by_s = self.chance.choice((-1, 1)) * self.chance.choice((60.0, HOUR_S, DAY_S, 20 * DAY_S))
        self.lasts(10 * MINUTE_S, 3 * DAY_S, "the clock is right", lambda: setattr(wall, "wrong_by_s", 0.0))
        return f"{wall.wrong_by_s:+.0f} s"

    # --- the end of a month

    def stop(self) -> None:
        """Everything that was to end ends, and nobody holds anything back; see Events.stop."""
        world = self.world
        world.may_start = True
        world.substrate.away = world.substrate.full = world.substrate.answer_lost = False
        world.system.stalled, world.system.old_figures, world.wall.wrong_by_s = False, None, 0.0
        world.store.unusable = False
        super().stop()
        world.system.sick.clear()
        world.system.broken.clear()
        world.system.requests.clear()
        for node in world.nodes.values():
            node.isolated = False
            for key in list(node.disks):
                self._silence(node, key)
        for scope in list(world.store.state().pauses):
            self._resume(scope)
        self.looks.clear()
        self._care()
        self.pace.disturb()

    def _care(self) -> None:
        """What is worth nothing any more is thrown away, and every node has a disk that may be taken."""
        state = self.world.store.state()
        for node in self.world.nodes.values():
            for key, disk in list(node.disks.items()):
                used = key in self.world.system.devices or key in state.claims
                if key.startswith("wwn:") and (is_dirty(disk) or (key in state.tombstones and not used)):
                    self.throw_away(node, key)
            if not node.disks:
                self.buy(node)

    def join_again(self) -> None:
        """Nodes that were taken out are used again."""
        for name in list(self.world.nodes):
            if self.world.store.state().node(name).leaving:
                self._ask(lambda state, seen, name=name: add_node(state, seen, name))

    def begin_anew(self) -> None:
        """Another month: applications write."""
        for writer in self.writers.values():
            writer.refused = False
            self._new_pace(writer)
        self.next_s = self.world.clock.now_s


SPOILED: dict[str, dict[str, object]] = {
    "with a file system": {"signatures": ("ext4",), "label": None},
    "of another cluster": {"label": EngineLabel("another", "device")},
    "in use": {"mounted_at": ("/data",), "signatures": ("xfs",), "label": None},
    "with partitions": {"partitions": ("sdx1",), "signatures": ("gpt",), "label": None},
    "unreadable": {"unreadable": "blkid has failed (drawn)"},
    "smaller": {"size_bytes": 60 * GIB},
}


def _weighted(*pairs: tuple[Callable[[MonthEvents], str], float]) -> tuple[Happening, ...]:
    return tuple(pairs)  # type: ignore[return-value]


MONTH_HAPPENINGS = _weighted(
    (MonthEvents._pace, 2),
    (MonthEvents._burst, 2),
    (MonthEvents._break, 4),
    (MonthEvents._swap, 2),
    (MonthEvents._sicken, 3),
    (MonthEvents._warn, 2),
    (MonthEvents._vanish, 4),
    (MonthEvents._duplicate, 2),
    (MonthEvents._new_disk, 1),
    (MonthEvents._shrink, 3),
    (MonthEvents._lose_node, 1.5),
    (MonthEvents._power_off, 3),
    (MonthEvents._cut_off, 3),
    (MonthEvents._isolate, 2),
    (MonthEvents._agent_dies, 0.5),
    (MonthEvents._join, 0.5),
    (MonthEvents._substrate_away, 1),
    (MonthEvents._no_machines, 2),
    (MonthEvents._engine_away, 2),
    (MonthEvents._flaky, 3),
    (MonthEvents._stall, 2),
    (MonthEvents._old_figures, 2),
    (MonthEvents._cloud_away, 3),
    (MonthEvents._expire, 2),
    (MonthEvents._throttle, 4),
    (MonthEvents._odd, 4),
    (MonthEvents._late, 1),
    (MonthEvents._quota, 3),
    (MonthEvents._slow, 3),
    (MonthEvents._no_slot, 3),
    (MonthEvents._kill_often, 3),
    (Events._kill, 1),
    (Events._restart, 1),
    (MonthEvents._night, 0.7),
    (MonthEvents._stand_still, 1.5),
    (MonthEvents._set_clock, 1.5),
    (MonthEvents._store_away, 0.7),
    (MonthEvents._create, 2),
    (MonthEvents._attach, 2),
    (MonthEvents._detach, 1),
    (MonthEvents._delete, 1),
    (MonthEvents._limit, 2),
    (MonthEvents._want, 2),
    (MonthEvents._remove_disk, 1),
    (MonthEvents._remove_node, 0.3),
    (MonthEvents._maintain, 1),
    (MonthEvents._approve, 2),
    (MonthEvents._pause, 1),
    (MonthEvents._pause_part, 4),
    (MonthEvents._reject_held, 1),
)
