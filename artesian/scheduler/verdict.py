"""How a pass ended, in one sentence and in all steps."""

from __future__ import annotations

from dataclasses import dataclass

from artesian.model.engine import EngineSeen
from artesian.model.names import server_name
from artesian.model.node import NodeState
from artesian.model.observation import Observation
from artesian.model.plan import HeldStep
from artesian.planner.planning import Decision
from artesian.scheduler.acting import Outcome, Taken

FULL_PERCENT = 97  # of what may be written, both copies counted


@dataclass(frozen=True, slots=True)
class Verdict:
    """One pass: what was seen and decided, and what became of it. `healthy`: there is nothing left to do, and
    everything that is stored is there as often as it should be."""

    sentence: str
    healthy: bool
    seen: Observation
    decision: Decision
    taken: tuple[Taken, ...] = ()

    @property
    def held(self) -> tuple[HeldStep, ...]:
        """Steps that something speaks against."""
        return self.decision.guarded.held


def pass_verdict(seen: Observation, decision: Decision, taken: list[Taken]) -> Verdict:
    """Say how a pass has ended."""
    done = sum(one.outcome is Outcome.DONE for one in taken)
    refused = [one for one in taken if one.outcome is Outcome.REFUSED]
    under_way = [one for one in taken if one.outcome is Outcome.UNDER_WAY]
    held, waiting = decision.guarded.held, decision.guarded.waiting
    trouble = _trouble(seen)
    parts = []
    if done:
        parts.append(f"{_steps(done)} done")
    if under_way:
        parts.append(f"{_steps(len(under_way))} under way ({under_way[0].detail})")
    if waiting:
        parts.append(f"{_steps(len(waiting))} to follow")
    if refused:
        parts.append(f"{_steps(len(refused))} refused ({refused[0].detail})")
    if held:
        parts.append(f"{_steps(len(held))} held back ({held[0].because})")
    parts += trouble
    if not parts:
        parts.append(_all_is_well(seen, decision))
    lacks_engine = seen.engine is None and bool(seen.nodes)
    healthy = not (taken or held or waiting or trouble or lacks_engine)
    sentence = "; ".join(parts)
    return Verdict(f"{sentence[0].upper()}{sentence[1:]}.", healthy, seen, decision, tuple(taken))


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count} steps"


def _trouble(seen: Observation) -> list[str]:
    """What is wrong and not for us to mend in this pass."""
    found = []
    for node in seen.nodes:
        if node.state is not NodeState.ALIVE:
            drained = " (it is to be empty)" if node.leaving else ""
            found.append(f"node {node.name} is {node.state}{drained}")
    found += [
        f"a volume on node {one.node}: {one.problem}"
        for one in seen.attachments
        if one.problem and one.device
    ]
    if seen.engine is None:
        return found
    for pool in seen.engine.pools:
        if seen.engine.has_one_copy_only(pool.name):
            found += [f"pool {pool.name} has lost data"] if pool.failed_bytes else []
        elif not pool.is_whole:
            found.append(f"pool {pool.name} is degraded")
        may_be_written = FULL_PERCENT * pool.size_bytes * (100 - pool.spare_percentage) // 100
        if pool.is_full or 100 * pool.used_bytes >= may_be_written > 0:
            found.append(f"pool {pool.name} is full")
    found += _servers_away(seen, seen.engine)
    found += [device.trouble for device in seen.engine.devices if device.trouble is not None]
    found += [f"manager {manager.name} is away" for manager in seen.engine.managers if not manager.healthy]
    return found


def _servers_away(seen: Observation, engine: EngineSeen) -> list[str]:
    """But for those in maintenance, and those of nodes of which more is wrong than that."""
    silent = [node.name for node in seen.nodes if node.state is not NodeState.ALIVE]
    return [
        f"server {one.name} is away"
        for one in engine.servers
        if not (one.connected or one.in_maintenance)
        and one.name not in {server_name(name, one.domain) for name in silent}
    ]


def _all_is_well(seen: Observation, decision: Decision) -> str:
    if decision.plan.notes and seen.engine is None and seen.nodes:
        return "; ".join(decision.plan.notes)
    if decision.plan.notes:
        return f"nothing to do: {decision.plan.notes[0]}"
    pools = len(seen.engine.pools) if seen.engine is not None else 0
    return f"all is as it should be: {len(seen.nodes)} nodes, {pools} pool{'' if pools == 1 else 's'}"
