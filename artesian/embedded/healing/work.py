"""One pool's work in one pass: choosing ends for new joins within the limits, and collecting commands."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from artesian.embedded.assignment import REBUILD_REASONS
from artesian.embedded.healing.limits import joins_allowed
from artesian.embedded.healing.policy import Decision, HealingPolicy
from artesian.embedded.healing.view import DeviceView, PoolView, in_sync_ids, occupy
from artesian.embedded.placement import PlacementDevice, fair_counts
from artesian.embedded.state.model import Slice


class Work:
    """The joins that begin in this pass, on top of those under way.

    Whatever begins counts at once: against the limits of both devices, and against the target's room.
    """

    def __init__(self, view: PoolView, decision: Decision, policy: HealingPolicy, busy: bool) -> None:
        self.view = view
        self.decision = decision
        self.policy = policy
        self.busy = busy
        self.targets = sorted(
            (device for device in view.devices.values() if device.usable), key=lambda device: device.device_id
        )
        self._begun: list[dict[str, Any]] = []
        self._fair: dict[str, int] | None = None

    # --- choosing

    def members(self) -> list[PlacementDevice]:
        """The devices that should share the pool's copies among them."""
        return [
            PlacementDevice(device.device_id, device.unit, device.slots)
            for device in self.view.devices.values()
            if device.slots > 0
            and not device.leaving
            and (device.usable or (not device.lost and device.copies > 0))
        ]

    def is_free(self, device: DeviceView, reason: str, slots_per_slice: int) -> bool:
        """Whether a device may take part in one more join."""
        allowed = joins_allowed(self.view.pool, reason, slots_per_slice, self.busy, self.policy)
        under_way = device.in_flight_rebuild
        if reason not in REBUILD_REASONS:
            under_way += device.in_flight_rebalance
        return under_way < allowed

    def choose_source(self, item: Slice, reason: str) -> DeviceView | None:
        """The least occupied device with a good copy; None: none that is reachable and free.

        Between equals the slice's generation decides, so that a join that failed is tried the other way.
        """
        sources = self.sources(item)
        if len(sources) == 2 and item.generation & 1:
            sources.reverse()
        sources = [source for source in sources if self.is_free(source, reason, source.slots_per_slice)]
        return min(
            sources, key=lambda source: source.in_flight_rebuild + source.in_flight_rebalance, default=None
        )

    def sources(self, item: Slice) -> list[DeviceView]:
        """The reachable devices with a good copy of a slice."""
        devices = [self.view.devices[device_id] for device_id in in_sync_ids(item)]
        return [device for device in devices if device.up]

    def choose_target(
        self, banned_units: Iterable[str], holders: Iterable[str], slots: int, reason: str
    ) -> DeviceView | None:
        """The device furthest below its fair share that may take a copy of this many chunks now."""
        banned, held = set(banned_units), set(holders)
        fair = self.fair()
        best: DeviceView | None = None
        best_rank: tuple[int, int] | None = None
        for device in self.targets:
            if device.unit in banned or device.device_id in held or device.room() < slots:
                continue
            if not self.is_free(device, reason, slots):
                continue
            rank = (
                fair.get(device.device_id, 0) - device.copies_to_be,
                -device.in_flight_rebuild - device.in_flight_rebalance,
            )
            if best_rank is None or rank > best_rank:
                best, best_rank = device, rank
        return best

    def fair(self) -> dict[str, int]:
        """How many copies each device should hold; worked out once."""
        if self._fair is None:
            counts = {device.device_id: device.copies_to_be for device in self.view.devices.values()}
            self._fair = fair_counts(self.members(), len(self.view.pool.slices), counts)
        return self._fair

    # --- deciding

    def begin(
        self, index: int, source: DeviceView, target: DeviceView, replaces: str | None, reason: str
    ) -> None:
        """Have a join begin."""
        self._begun.append(
            {
                "slice": index,
                "source": source.device_id,
                "target": target.device_id,
                "replaces": replaces,
                "reason": reason,
            }
        )
        occupy(source, target, reason)
        if replaces == target.device_id:
            return
        target.incoming_copies += 1
        target.incoming_slots += source.slots_per_slice
        if replaces is not None:
            self.view.devices[replaces].outgoing_copies += 1

    def begun(self, *reasons: str) -> int:
        """How many joins of these reasons begin in this pass."""
        return sum(join["reason"] in reasons for join in self._begun)

    def explain(self, sentence: str) -> None:
        """Say why something is done."""
        self.decision.because.append(f"{self.view.label}: {sentence}.")

    def warn(self, sentence: str) -> None:
        """Say what people should know."""
        self.decision.warnings.append(f"{self.view.label}: {sentence}.")

    def command(self, name: str, arguments: dict[str, Any]) -> None:
        """Give a command."""
        self.decision.commands.append((name, arguments))

    def close(self) -> None:
        """Give the command that begins the joins."""
        if self._begun:
            self.command("begin_joins", {"pool_id": self.view.pool.id, "joins": self._begun})
