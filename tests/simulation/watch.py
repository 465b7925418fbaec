"""What must never happen (design, section 8), looked for at every change and after every pass."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from artesian.model.changes import (
    AddDevice,
    AddManager,
    CreateEngine,
    EngineChange,
    MapVolume,
    RemoveClient,
    RemoveDevice,
    RemoveManager,
    RemoveServer,
    UnmapVolume,
)
from artesian.model.engine import ManagerPlace
from artesian.model.names import client_guid, server_name
from artesian.model.observation import Observation
from artesian.model.plan import HeldStep, Step
from artesian.model.report import AgentReport
from artesian.model.spec import Spec, Taking
from artesian.model.state import EngineIdentity, FrameworkState
from artesian.planner.planning import decide
from artesian.scheduler.verdict import Verdict
from tests.simulation.held_back import pause_of_change
from tests.simulation.rules import (
    CLIENT_STAYS,
    OLD_ATTACHMENT,
    REASONS_IN_ORDER,
    SEEN_SEVERAL_TIMES,
    TAKEN_WHILE_USED,
    TWO_REMOVALS,
    Violation,
)
from tests.simulation.store import CrashingStore
from tests.simulation.system import System


@dataclass
class Watch:
    """Sees everything: what was said to schedulers ever, what is stored, and what truly is."""

    system: System
    store: CrashingStore
    heard: dict[str, AgentReport] = field(default_factory=dict)  # by any scheduler, the last of each node
    approved: set[str] = field(default_factory=set)  # identities of disks that somebody has agreed to
    labelled_at_start: bool = False
    changes_in_pass: int = 0
    spec: Spec = field(default_factory=Spec)
    checked: tuple[Spec, Observation, FrameworkState] | None = None  # of which no order matters
    managers_changed: int = 0  # in this pass

    def fail(self, rule: str, detail: str) -> None:
        """Something is wrong."""
        raise Violation(rule, detail)

    # --- before each change

    def before(self, change: EngineChange, identity: EngineIdentity) -> None:
        """A change is about to reach the engine."""
        self.changes_in_pass += 1
        state = self.store.state()
        pause = pause_of_change(change, state)
        if pause:
            self.fail("something is changed that is paused", f"{pause}: {change}")
        match change:
            case CreateEngine():
                self._create(change, identity, state)
            case AddDevice():
                self._add_device(change, state)
            case RemoveDevice():
                self._remove_device(change, state)
            case RemoveClient(node):
                machine = self.system.nodes.get(node)
                if machine is not None and machine.powered and state.node(node).is_client:
                    self.fail(CLIENT_STAYS, str(change))
            case RemoveServer(node, domain):
                name = server_name(node, domain)
                if any(device.server == name for device in self.system.devices.values()):
                    self.fail("a server with disks is removed", name)
            case AddManager(place) | RemoveManager(place):
                self._managers(change, place)
            case MapVolume():
                self._map(change, identity, state)
            case UnmapVolume():
                self._unmap(change, identity, state)

    def _create(self, change: CreateEngine, identity: EngineIdentity, state: FrameworkState) -> None:
        stored = state.engine
        if stored is None or (stored.system_id, stored.managers) != (identity.system_id, change.managers):
            self.fail("an engine is made that is not stored", f"{identity} and {stored}")
        if self.system.system_id not in (None, identity.system_id):
            self.fail("a second engine is made", f"{self.system.system_id} and {identity.system_id}")
        if self.labelled_at_start:
            self.fail("an engine is made over disks of another", str(change))

    def _managers(self, change: EngineChange, place: ManagerPlace) -> None:
        """One at a time, and never to fewer than a majority that works."""
        self.managers_changed += 1
        if self.managers_changed > 1:
            self.fail("two managers change at once", str(change))
        if place not in self.system.managers or isinstance(change, AddManager):
            return
        left = [one for one in self.system.managers if one != place]
        if 2 * sum(self.system.manages(one) for one in left) <= len(left):
            self.fail("the managers lose their majority", f"{change}, {self.system.managers}")

    def _add_device(self, change: AddDevice, state: FrameworkState) -> None:
        claim = state.claims.get(change.identity)
        if claim is None or claim.pool != change.pool:
            self.fail("a disk is taken without a stored claim", f"{change} and {claim}")
        if change.identity in state.tombstones:
            self.fail("a disk with a tombstone is taken", str(change))
        agreed = change.identity in self.approved or _is_of_remedy(state, change)
        if self.spec.new_disks is Taking.ASK and not agreed:
            self.fail("a disk is taken that nobody has agreed to", str(change))
        places = [
            (node, disk)
            for node, report in self.heard.items()
            for disk in report.disks
            if disk.identity == change.identity and not self._is_gone(node)
        ]
        if len(places) != 1:
            self.fail(SEEN_SEVERAL_TIMES, f"{change}: {places}")
            return
        node, disk = places[0]
        if node != change.node:
            self.fail("a disk is taken on another node", f"{change}: {node}")
        foreign = disk.label is not None and disk.label.system_id != self.system.system_id
        in_use = disk.signatures or disk.mounted_at or disk.holders or disk.partitions or disk.is_system
        if in_use or foreign or disk.read_only or disk.unreadable:
            self.fail("a disk is taken that is in use", f"{change}: {disk}")
        if disk.size_bytes < self.spec.minimum_disk_bytes:
            self.fail("a disk is taken that is too small", f"{change}: {disk}")

    def _is_gone(self, name: str) -> bool:
        """Its disks may be anywhere."""
        return name in self.system.nodes and self.system.nodes[name].gone

    def _remove_device(self, change: RemoveDevice, state: FrameworkState) -> None:
        claim, device = state.claims.get(change.identity), self.system.devices.get(change.identity)
        if claim is None or not (change.identity in state.tombstones or state.node(claim.node).leaving):
            self.fail("a disk is removed that nobody wants removed", str(change))
        if device is None or device.to_move is not None:
            return
        servers = {one.server for one in self.system.devices_of(change.pool)}
        if not self.system.is_whole(change.pool) and len(servers) > 1:  # else there is no second copy ever
            self.fail("a removal begins in a degraded pool", str(change))
        leaving = [one.identity for one in self.system.devices_of(change.pool) if one.to_move is not None]
        if leaving:
            self.fail(TWO_REMOVALS, f"{change} while {leaving}")

    def _map(self, change: MapVolume, identity: EngineIdentity, state: FrameworkState) -> None:
        guid = client_guid(identity.system_id, change.node)
        wish = state.volumes.get(change.volume)
        for volume in self.system.volumes.values():
            if volume.name != change.volume:
                continue
            if set(volume.writers) - {guid}:
                self.fail("a second writer is asked for", f"{change}, {volume.writers}")
            kept = self.system.nodes[change.node].attached.get(volume.id)
            if guid not in volume.writers and kept and wish and kept.generation != wish.generation:
                self.fail(OLD_ATTACHMENT, f"{change}, {kept}, {wish}")
        if wish is not None and wish.node != change.node:
            self.fail("a volume is mapped where nobody wants it", f"{change}, {wish}")

    def _unmap(self, change: UnmapVolume, identity: EngineIdentity, state: FrameworkState) -> None:
        wish = state.volumes.get(change.volume)
        node = self.system.nodes.get(change.node)
        volume = next((one for one in self.system.volumes.values() if one.name == change.volume), None)
        guid = client_guid(identity.system_id, change.node)
        if volume is None or node is None or guid not in volume.writers:
            return
        forced = wish is not None and wish.forced_from == change.node
        if volume.id in node.attached and not forced:
            self.fail(TAKEN_WHILE_USED, f"{change}, {wish}")

    # --- after each pass

    def after_pass(self, verdict: Verdict, spec: Spec, state: FrameworkState, chance: random.Random) -> None:
        """A pass has ended; `state` is what it has decided with."""
        made = state.engine_seen_once
        if verdict.seen.engine is None and made and self.changes_in_pass:
            self.fail("an engine that does not answer is changed", str(verdict.taken))
        self.changes_in_pass = self.managers_changed = 0
        self._one_writer()
        if (spec, verdict.seen, state) != self.checked:  # else it was found to be so already
            self._any_order(verdict, spec, state, chance)
            self.checked = spec, verdict.seen, state

    def after_blind_pass(self, before: FrameworkState, after: FrameworkState) -> None:
        """The substrate did not say which nodes there are."""
        if self.changes_in_pass or before.remedies != after.remedies or before.claims != after.claims:
            self.fail("something is changed although the nodes cannot be seen", "")
        self._one_writer()

    def _any_order(self, verdict: Verdict, spec: Spec, state: FrameworkState, chance: random.Random) -> None:
        mixed = decide(spec, shuffled(verdict.seen, chance), _shuffled_state(state, chance)).guarded
        ours = verdict.decision.guarded
        for part in ("ready", "waiting", "held"):
            if _ids(getattr(ours, part)) != _ids(getattr(mixed, part)):
                self.fail(
                    "what is done depends on an order", f"{getattr(ours, part)}, {getattr(mixed, part)}"
                )
        if ours.plan.id != mixed.plan.id:
            self.fail("the plan depends on an order", f"{ours.plan}, {mixed.plan}")
        if ours != mixed:
            self.fail(REASONS_IN_ORDER, f"{ours.held}, {mixed.held}")

    def _one_writer(self) -> None:
        for volume in self.system.volumes.values():
            if len(volume.writers) > 1:
                self.fail("two writers", str(volume))
            using = [
                node.name
                for node in self.system.nodes.values()
                if volume.id in node.attached
                and node.assignment is not None
                and self.system.may_use(volume.id, node.assignment.client_guid)
            ]
            if len(using) > 1:
                self.fail("two writers", f"{volume}: {using}")


def _is_of_remedy(state: FrameworkState, change: AddDevice) -> bool:
    """Whoever agrees to a remedy agrees to its disks, and to those of its machine while it is at work."""
    for remedy in state.remedies.values():
        if any(part.identity == change.identity for part in remedy.parts):
            return True
        machine = remedy.machine.name if remedy.machine is not None else ""
        if machine == change.node and (remedy.state.is_open or change.identity in state.claims):
            return True
    return False


def _ids(steps: Sequence[Step | HeldStep]) -> list[str]:
    return [one.id if isinstance(one, Step) else one.step.id for one in steps]


def shuffled(seen: Observation, chance: random.Random) -> Observation:
    """The same observation in another order."""

    def mixed(items: tuple[object, ...]) -> tuple[object, ...]:
        return tuple(chance.sample(items, len(items)))

    engine = seen.engine
    if engine is not None:
        parts = ("domains", "fault_sets", "pools", "servers", "devices", "clients", "volumes")
        engine = replace(engine, **{part: mixed(getattr(engine, part)) for part in parts})  # type: ignore[arg-type]
    nodes = tuple(replace(node, disks=mixed(node.disks)) for node in seen.nodes)  # type: ignore[arg-type]
    return replace(
        seen,
        engine=engine,
        nodes=mixed(nodes),  # type: ignore[arg-type]
        attachments=mixed(seen.attachments),  # type: ignore[arg-type]
    )


def _shuffled_state(state: FrameworkState, chance: random.Random) -> FrameworkState:
    parts = ("nodes", "claims", "tombstones", "volumes")
    mixed = {}
    for part in parts:
        items = list(getattr(state, part).items())
        chance.shuffle(items)
        mixed[part] = MappingProxyType(dict(items))
    return replace(state, **mixed)  # type: ignore[arg-type]
