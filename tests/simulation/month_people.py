"""What people do within months, and when: writing, deciding, pausing, limiting, replacing disks."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from artesian.model.disk import Disk
from artesian.model.remedy import Remedy, RemedyState
from artesian.scheduler import pausing, requests
from artesian.scheduler.node_requests import remove_disk
from artesian.scheduler.remedy_requests import reject_remedy
from artesian.scheduler.volume_requests import limit_volume
from tests.simulation.nodes import SimulatedNode, make_disk
from tests.simulation.pace import Pace
from tests.simulation.remedy_events import RemedyEvents

MINUTE_S, HOUR_S, DAY_S = 60.0, 3_600.0, 86_400.0
FILL_S = (6 * HOUR_S, 40 * DAY_S)
MOST_DEVICES = 16
MOST_NODES = 8
SCALE_S = (600.0, 12_600.0)  # what one unit of `_after` is at least and at most


@dataclass
class MonthPeople(RemedyEvents):
    """One thing after the other, `gap_s` apart on average. `looks`: when somebody looks at a remedy."""

    gap_s: float = 2 * HOUR_S
    next_s: float = 0.0
    looks: dict[str, float] = field(default_factory=dict)
    pace: Pace = field(default_factory=Pace)
    disks_bought: int = 0
    fill_s: tuple[float, float] = FILL_S

    def write(self, seconds: float) -> None:
        """By day; at night applications do nothing."""
        if self.is_day:
            super().write(seconds)

    @property
    def is_day(self) -> bool:
        """Ten hours."""
        return self.world.clock.now_s % DAY_S > 14 * HOUR_S

    def happen(self) -> None:
        """What is due by now."""
        now_s = self.world.clock.now_s
        told = len(self.told)
        self._end(now_s)
        if now_s >= self.next_s:
            happenings, weights = zip(*self.happenings, strict=True)
            happening = self.chance.choices(happenings, weights)[0]
            self.tell(f"{happening.__name__.strip('_')}: {happening(self) or ''}")
            self.next_s = self.world.clock.now_s + self.chance.expovariate(1 / self.gap_s)
        if len(self.told) > told:
            self.pace.disturb()

    def due_in_s(self) -> float:
        """How long until something happens that is known."""
        times = [self.next_s, *(one[0] for one in self.later), *self.looks.values()]
        due_s = min(times) - self.world.clock.now_s
        return max(0.0, min(due_s, self._until_fuller_s()))

    def _until_fuller_s(self) -> float:
        """A pool that fills up quickly is looked at more often."""
        system = self.world.system
        if not self.is_day:
            return math.inf
        times = [
            0.03 * system.room(name) / writer.bytes_per_s
            for name, writer in self.writers.items()
            if writer.bytes_per_s > 0 and system.pools[name].used_bytes < system.room(name)
        ]
        return max(MINUTE_S, min(times, default=math.inf))

    def _after(self, at_least_s: int, at_most_s: int, text: str, action: Callable[[], None]) -> None:
        self.lasts(at_least_s * SCALE_S[0], at_most_s * SCALE_S[1], text, action)

    def lasts(self, at_least_s: float, at_most_s: float, text: str, action: Callable[[], None]) -> None:
        """Short times are as likely as long ones: as often minutes as hours, and hours as days."""
        seconds = math.exp(self.chance.uniform(math.log(at_least_s), math.log(at_most_s)))
        self.later.append((self.world.clock.now_s + seconds, text, action))

    # --- people

    def operate(self) -> None:
        """Somebody looks at remedies that ask, after minutes or days, or never."""
        remedies, now_s = self.world.store.state().remedies, self.world.clock.now_s
        asking = {
            key: one
            for key, one in remedies.items()
            if one.state is RemedyState.ASKING and not one.approved_by
        }
        self.looks = {key: at_s for key, at_s in self.looks.items() if key in asking}
        for key, remedy in sorted(asking.items()):
            if key not in self.looks:
                delay_s = math.exp(self.chance.uniform(math.log(5 * MINUTE_S), math.log(3 * DAY_S)))
                self.looks[key] = now_s + delay_s if self.chance.random() < 0.9 else math.inf
            elif now_s >= self.looks[key]:
                self.looks[key] = now_s + HOUR_S  # whoever is not heard tries again
                self._decide(remedy)

    def _decide(self, remedy: Remedy) -> None:
        self.pace.disturb()
        if self.chance.random() < 0.8:
            self.tell(f"approve {remedy.kind} of {remedy.thing}: {self._approve_it(remedy)}")
        else:
            self.tell(f"reject {remedy.kind} of {remedy.thing}: {self._reject_it(remedy)}")

    def _reject_it(self, remedy: Remedy) -> str:
        wall_s = self.world.wall()
        return self._ask(lambda state, _: reject_remedy(state, remedy.id, "operator", wall_s))

    def _reject_held(self) -> str:
        held = [one for one in self.world.store.state().remedies.values() if one.state is RemedyState.HELD]
        if not held:
            return ""
        remedy = self.chance.choice(sorted(held, key=lambda one: one.id))
        return f"{remedy.kind} of {remedy.thing}: {self._reject_it(remedy)}"

    def _pause(self) -> str:

        def resume() -> None:
            self._ask(lambda state, _: requests.pause(state, paused=False))

        self.lasts(5 * MINUTE_S, 6 * HOUR_S, "resumed", resume)
        return self._ask(lambda state, _: requests.pause(state, paused=True))

    def _pause_part(self) -> str:
        """One or two parts; the pause ends by itself, or when somebody says so."""
        world = self.world
        scheduler = world.start()
        if scheduler is None:
            return "there is no scheduler"
        there = pausing.pausable(scheduler.spec, world.verdict, world.store.state())
        scopes = [
            "remedies",
            *(f"pool:{one}" for one in there.pools),
            *(f"rule:{one}" for one in there.rules),
        ]
        scopes += [f"node:{one}" for one in there.nodes] + ["remedy:expand-pool", "remedy:replace-device"]
        chosen = self.chance.sample(scopes, self.chance.randint(1, 2))
        for_s = self.chance.choice((None, HOUR_S, DAY_S))
        wall_s = world.wall()
        if for_s is None:
            self.lasts(HOUR_S, 2 * DAY_S, f"resumed {chosen}", lambda: self._resume(*chosen))
        begun = self._ask(lambda state, _: pausing.begin(state, there, chosen, wall_s, for_s=for_s))
        return f"{chosen} for {for_s} {begun}"

    def _resume(self, *scopes: str) -> None:
        for scope in scopes:
            self._ask(lambda state, _, scope=scope: pausing.end(state, [scope]))

    def _limit(self) -> str:
        """How much a volume may do, and how much is wanted of it."""
        name, iops = self._volume(), self.chance.choice((0, 200, 1_000))
        problem = self._ask(lambda state, _: limit_volume(state, name, iops, None))
        return f"{name} {iops} {self._want()} {problem}"

    def _want(self) -> str:
        system = self.world.system
        if not system.volumes:
            return ""
        volume = self.chance.choice(sorted(system.volumes))
        system.requests[volume] = self.chance.choice((0.0, 10.0, 500.0, 20_000.0))
        return f"{system.requests[volume]} requests/s of {volume}"

    def _swap(self) -> str:
        """Somebody pulls a disk that is worth nothing any more, and puts in another one."""
        system = self.world.system
        tombstones = self.world.store.state().tombstones
        bad = [
            (node, key)
            for node in self.world.nodes.values()
            for key, disk in node.disks.items()
            if disk.identity in system.broken
            or (key.startswith("wwn:") and is_dirty(disk))
            or (key in tombstones and key not in system.devices and not key.startswith("serial:"))
        ]
        if not bad:
            return ""
        node, key = self.chance.choice(bad)
        return f"{key} {self.throw_away(node, key)}"

    def throw_away(self, node: SimulatedNode, key: str) -> str:
        """A disk is pulled out for good, and another one is put in."""
        problem = self._ask(lambda state, seen: remove_disk(state, seen, node.name, key))
        del node.disks[key]
        self.world.system.broken.discard(key)
        self.buy(node)
        return problem

    def buy(self, node: SimulatedNode) -> None:
        """Another disk for a node."""
        self.disks_bought += 1
        disk = make_disk(node.name, self._free_letter(node), identity=f"wwn:bought-{self.disks_bought}")
        node.disks[disk.identity or disk.path] = disk

    def _shrink(self) -> str:
        """A pool that has become large gives a disk of the cloud back."""
        system = self.world.system
        ours = sorted(one for one in system.devices if one.startswith("serial:"))
        if len(system.devices) <= MOST_DEVICES or not ours:
            return ""
        device = system.devices[self.chance.choice(ours)]
        problem = self._ask(lambda state, seen: remove_disk(state, seen, device.node, device.identity))
        return f"{device.identity} {problem}"


def is_dirty(disk: Disk) -> bool:
    """Whether somebody has to look at it before it can be of use again."""
    foreign = disk.label is not None and disk.label.system_id == "another"
    return bool(disk.signatures or disk.mounted_at or disk.partitions or disk.unreadable or foreign)
