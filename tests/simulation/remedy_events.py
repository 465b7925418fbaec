"""What happens in a drill of remedies: applications write, hardware and the cloud fail, operators decide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from artesian.model.disk import PoolName
from artesian.model.remedy import Remedy, RemedyState
from artesian.scheduler.remedy_requests import approve_remedy, reject_remedy
from tests.simulation.events import Events, Happening
from tests.simulation.nodes import GIB, make_disk

FILL_S = (900, 12_000)  # how long applications take to fill a pool, if they go on so


@dataclass
class Writer:
    """Applications that write to a pool. `refused`: something did not fit in."""

    pool: PoolName
    bytes_per_s: float = 0.0
    refused: bool = False


@dataclass
class RemedyEvents(Events):
    """Events of a drill of remedies. `slow_down`: how much longer everything lasts than in other drills."""

    chance_of_event: float = 0.12
    happenings: tuple[Happening, ...] = ()
    slow_down: int = 12
    fill_s: tuple[float, float] = FILL_S
    writers: dict[PoolName, Writer] = field(default_factory=dict)

    def write(self, seconds: float) -> None:
        """Time passes for applications."""
        system = self.world.system
        if system.system_id is None or not system.pools:
            return
        for name, pool in system.pools.items():
            writer = self.writers.get(name)
            if writer is None:
                writer = self.writers[name] = Writer(name)
                pool.used_bytes = int(system.room(name) * self.chance.uniform(0.1, 0.6))
                self._new_pace(writer)
            more = int(writer.bytes_per_s * seconds)
            if not system.devices_of(name):
                continue
            room = system.room(name)
            writer.refused = writer.refused or (more > 0 and pool.used_bytes + more > room)
            pool.used_bytes = max(0, min(pool.used_bytes + more, max(room, pool.used_bytes)))

    def stop(self) -> None:
        """Nobody writes any more, much is deleted, and the cloud is well."""
        super().stop()
        self.world.cloud.faults.end()
        for name, writer in self.writers.items():
            writer.bytes_per_s = 0.0
            pool = self.world.system.pools[name]
            size = sum(one.size_bytes for one in self.world.system.devices_of(name))
            pool.used_bytes = min(pool.used_bytes, size // 4)  # so that what was asked for fits

    def operate(self) -> None:
        """Somebody looks at the remedies that ask."""
        state = self.world.store.state()
        asking = [one for one in state.remedies.values() if one.state is RemedyState.ASKING]
        waiting = [one for one in state.remedies.values() if one.state is RemedyState.HELD]
        for remedy in sorted(asking, key=lambda one: one.id):
            if self.chance.random() < 0.05 and not remedy.approved_by:
                self.tell(f"approve {remedy.kind} of {remedy.thing}: {self._approve_it(remedy)}")
            elif self.chance.random() < 0.005:
                self.tell(f"reject {remedy.kind} of {remedy.thing}: {self._reject_it(remedy)}")
        for remedy in waiting:
            if self.chance.random() < 0.002:
                self.tell(f"reject {remedy.kind} of {remedy.thing}: {self._reject_it(remedy)}")

    def _approve_it(self, remedy: Remedy) -> str:
        return self._ask(lambda state, _: approve_remedy(state, remedy.id, "operator"))

    def _reject_it(self, remedy: Remedy) -> str:
        now_s = self.world.clock.now_s
        return self._ask(lambda state, _: reject_remedy(state, remedy.id, "operator", now_s))

    def keep_spares(self) -> None:
        """Some nodes have disks that nobody has agreed to take, and nobody does before the end."""
        self.happenings = tuple(one for one in self.happenings if one[0] is not Events._approve)
        for node in self.world.nodes.values():
            for letter in "st"[: self.chance.randint(0, 2)]:
                disk = make_disk(node.name, letter)
                node.disks[disk.identity or disk.path] = disk

    # --- applications

    def _new_pace(self, writer: Writer) -> None:
        size = sum(device.size_bytes for device in self.world.system.devices_of(writer.pool))
        seconds = self.chance.uniform(*self.fill_s)
        writer.bytes_per_s = self.chance.choice((0.0, 1.0, 1.0, 1.0)) * size / seconds

    def _pace(self) -> str:
        if not self.writers:
            return ""
        writer = self.chance.choice(sorted(self.writers.values(), key=lambda one: one.pool))
        self._new_pace(writer)
        return f"{writer.pool} {writer.bytes_per_s / GIB:.4f} GiB/s"

    def _burst(self) -> str:
        pools = sorted(self.writers)
        if not pools:
            return ""
        pool = self.world.system.pools[self.chance.choice(pools)]
        size = sum(one.size_bytes for one in self.world.system.devices.values()) or GIB
        change = int(size * self.chance.uniform(-0.3, 0.2))
        pool.used_bytes = max(0, min(pool.used_bytes + change, int(0.4 * size)))
        return f"{pool.id} {change / GIB:+.0f} GiB"

    # --- hardware

    def _break(self) -> str:
        """A disk that looks well works no more, for good."""
        devices = sorted(set(self.world.system.devices) - self.world.system.broken)
        if not devices or len(self.world.system.broken) > 2:
            return ""
        identity = self.chance.choice(devices)
        self.world.system.broken.add(identity)
        return identity

    def _lose_node(self) -> str:
        """It is gone for longer than rules wait."""
        node = self._node()
        if sum(not one.powered for one in self.world.nodes.values()) > 0:
            return ""
        node.power_off()
        node.gone = True
        self._after(60, 200, f"{node.name} is back", lambda: self._return(node))
        return node.name

    # --- the cloud

    def _cloud_away(self) -> str:
        self.world.cloud.faults.unreachable = True
        self._after(
            2, 40, "the cloud answers", lambda: setattr(self.world.cloud.faults, "unreachable", False)
        )
        return ""

    def _expire(self) -> str:
        self.world.cloud.faults.expired = True
        self._after(
            10, 60, "there are new credentials", lambda: setattr(self.world.cloud.faults, "expired", False)
        )
        return ""

    def _throttle(self) -> str:
        faults, chance = self.world.cloud.faults, self.chance
        faults.throttled, faults.answer_lost = chance.choice((0.0, 0.5, 0.9)), chance.choice((0.0, 0.5))

        def end() -> None:
            faults.throttled = faults.answer_lost = 0.0

        self._after(5, 40, "the cloud is not busy", end)
        return f"{faults.throttled} {faults.answer_lost}"

    def _odd(self) -> str:
        faults = self.world.cloud.faults
        faults.odd = self.chance.choice((0.3, 1.0))
        self._after(10, 60, "disks are fine", lambda: setattr(faults, "odd", 0.0))
        return f"{faults.odd}"

    def _late(self) -> str:
        """Disks that were not seen are there after all."""
        for disk in self.world.cloud.disks.values():
            self.world.cloud.show(disk)
        return ""

    def _quota(self) -> str:
        faults, cloud = self.world.cloud.faults, self.world.cloud
        faults.quota = len(cloud.disks) + self.chance.randint(0, 1)
        self._after(10, 60, "the quota is lifted", lambda: setattr(faults, "quota", None))
        return f"{faults.quota}"

    def _no_slot(self) -> str:
        """Some nodes can have no other disk."""
        faults, nodes = self.world.cloud.faults, sorted(self.world.nodes)
        faults.no_slot |= set(self.chance.sample(nodes, self.chance.randint(1, len(nodes))))
        self._after(10, 60, "there are slots", faults.no_slot.clear)
        return ", ".join(sorted(faults.no_slot))

    def _slow(self) -> str:
        faults = self.world.cloud.faults
        faults.slow = self.chance.choice((2.0, 6.0))
        self._after(10, 60, "the cloud is as quick as ever", lambda: setattr(faults, "slow", 1.0))
        return f"{faults.slow}"

    # --- the scheduler

    def _night(self) -> str:
        """The scheduler is down for hours."""
        self.world.kill("it is switched off")
        self.world.clock.now_s += self.chance.choice((1_800.0, 5 * 3_600.0, 25 * 3_600.0))
        return ""

    def _kill_often(self) -> str:
        """At one of the next commits: remedies store much."""
        store = self.world.store
        store.kill_at, store.kill_after = (
            store.commits + self.chance.randint(1, 3),
            self.chance.random() < 0.5,
        )
        return f"at commit {store.kill_at}"


def _weighted(*pairs: tuple[Callable[[RemedyEvents], str], float]) -> tuple[Happening, ...]:
    return tuple(pairs)  # type: ignore[return-value]


ALL_HAPPENINGS = _weighted(
    (RemedyEvents._pace, 6),
    (RemedyEvents._burst, 3),
    (RemedyEvents._break, 2),
    (RemedyEvents._lose_node, 1.5),
    (RemedyEvents._cloud_away, 2),
    (RemedyEvents._expire, 2),
    (RemedyEvents._throttle, 4),
    (RemedyEvents._odd, 4),
    (RemedyEvents._late, 1),
    (RemedyEvents._quota, 2),
    (RemedyEvents._slow, 2),
    (RemedyEvents._no_slot, 2),
    (RemedyEvents._night, 0.4),
    (RemedyEvents._kill_often, 8),
    (Events._kill, 3),
    (Events._restart, 2),
    (Events._cut_off, 3),
    (Events._agent_dies, 1),
    (Events._power_off, 2),
    (Events._vanish, 2),
    (Events._new_disk, 2),
    (Events._engine_away, 4),
    (Events._flaky, 3),
    (Events._store_away, 1),
    (Events._create, 3),
    (Events._attach, 4),
    (Events._detach, 1),
    (Events._remove_disk, 2),
    (Events._remove_node, 0.3),
    (Events._maintain, 1),
    (Events._drain, 1),
    (Events._approve, 4),
    (Events._pause, 2),
)
CALM_HAPPENINGS = _weighted(
    (RemedyEvents._kill_often, 2),
    (Events._restart, 1),
    (Events._create, 2),
    (Events._attach, 2),
    (Events._approve, 2),
)
