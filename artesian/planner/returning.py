"""Steps that use disks again whose devices have failed: they stay failed until somebody says so."""

from __future__ import annotations

from artesian.model.changes import ReturnDevice
from artesian.model.disk import Claim
from artesian.model.drill import DrillKind, DrillState
from artesian.model.names import device_name
from artesian.planner.facts import Facts, Steps


def plan_returns(facts: Facts, steps: Steps) -> None:
    """A disk that a drill had taken away, or that somebody wants back, unless it was replaced meanwhile."""
    failed = {device.name for device in facts.engine.devices if device.failed}
    drills = {
        drill.target: drill.id
        for _, drill in sorted(facts.state.drills.items())
        if drill.kind is DrillKind.FAIL_DISK and drill.state is DrillState.UNDOING
    }
    for identity, claim in sorted(facts.state.claims.items()) if failed else ():
        if device_name(identity) not in failed or identity in facts.state.tombstones:
            continue
        if not _is_there(facts, claim):
            continue
        if identity in drills:
            because = f"drill {drills[identity]} had taken it away, and has put it back"
            steps.add(ReturnDevice(claim.node, identity), because)
        elif claim.try_again:
            because = f"somebody wants disk {claim.path} of node {claim.node} to be used again"
            steps.add(ReturnDevice(claim.node, identity), because)


def _is_there(facts: Facts, claim: Claim) -> bool:
    node = facts.alive(claim.node)
    return node is not None and any(disk.identity == claim.identity for disk in node.disks)
