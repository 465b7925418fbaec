"""Steps that end what drills have left in the engine."""

from __future__ import annotations

from artesian.model.changes import ReturnDevice
from artesian.model.drill import DrillKind, DrillState
from artesian.model.names import device_name
from artesian.planner.facts import Facts, Steps


def plan_drilled(facts: Facts, steps: Steps) -> None:
    """A disk that a drill had taken away is used again, unless it was replaced meanwhile."""
    for _, drill in sorted(facts.state.drills.items()):
        if drill.kind is not DrillKind.FAIL_DISK or drill.state is not DrillState.UNDOING:
            continue
        node = facts.alive(drill.node or "")
        there = node is not None and any(disk.identity == drill.target for disk in node.disks)
        kept = drill.target in facts.state.claims and drill.target not in facts.state.tombstones
        name = device_name(drill.target)
        failed = any(one.failed for one in facts.engine.devices if one.name == name)
        if node is not None and there and kept and failed:
            because = f"drill {drill.id} had taken it away, and has put it back"
            steps.add(ReturnDevice(node.name, drill.target), because)
