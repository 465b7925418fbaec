"""What of a plan may be done now. Each rule says in a sentence why not; none of them ever widens anything."""

from __future__ import annotations

from collections.abc import Callable

from artesian.model.changes import (
    AddClient,
    AddDevice,
    AddServer,
    Change,
    CreateEngine,
    DeleteVolume,
    JoinNode,
    RemoveClient,
    RemoveDevice,
    RemoveServer,
    UnmapVolume,
)
from artesian.model.disk import PoolName
from artesian.model.node import NodeState
from artesian.model.plan import Consent, GuardedPlan, HeldStep, Plan, Step
from artesian.model.topology import VerdictKind
from artesian.planner.facts import Facts


def guard(plan: Plan, facts: Facts) -> GuardedPlan:
    """Sort the steps into those that may be taken now, those that come later, and those held back."""
    approval = facts.state.approval
    approved = set(approval.step_ids) if approval is not None else set()
    there = {step.id: step for step in plan.steps}
    guardian = _Guard(facts)
    ready, waiting, held = [], [], []
    for step in plan.steps:
        objection = guardian.objection(step, approved, plan.id)
        earlier = [there[one] for one in step.after if one in there]
        if objection is not None:
            held.append(HeldStep(step, objection))
        elif earlier:
            first = earlier[0].change
            waiting.append(HeldStep(step, f"it comes after {type(first).__name__} ({earlier[0].id})"))
        else:
            ready.append(step)
            guardian.note_taken(step.change)
    return GuardedPlan(plan, tuple(ready), tuple(waiting), tuple(held))


class _Guard:
    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._verdicts = {(verdict.node, verdict.identity): verdict for verdict in facts.topology.verdicts}
        self._emptied: set[PoolName] = set()  # pools out of which something is being taken in this pass

    def note_taken(self, change: Change) -> None:
        """A step goes ahead: one removal at a time from each pool."""
        if isinstance(change, RemoveDevice):
            self._emptied.add(change.pool)

    def objection(self, step: Step, approved: set[str], plan_id: str) -> str | None:
        """Why a step is not taken now; None when nothing speaks against it."""
        if self._facts.state.paused:
            return "everything is paused"
        rule = _RULES.get(type(step.change))
        if rule is not None and (because := rule(self, step.change)) is not None:
            return because
        if step.consent is Consent.NEEDED and step.id not in approved:
            return f"somebody has to agree to it: artesian apply --approve {plan_id}"
        return None

    def _not_alive(self, name: str) -> str | None:
        node = self._facts.nodes.get(name)
        if node is None:
            return f"node {name} is not there"
        if node.state is not NodeState.ALIVE:
            return f"node {name} is {node.state}: what was seen of it is stale"
        return None

    def _node(self, change: Change) -> str | None:
        assert isinstance(change, AddServer | AddClient | JoinNode)
        return self._not_alive(change.node)

    def _create(self, change: Change) -> str | None:
        assert isinstance(change, CreateEngine)
        if self._facts.state.engine is None:
            for node in sorted(self._facts.seen.nodes, key=lambda one: one.name):
                for disk in sorted(node.disks, key=lambda one: one.path):
                    if disk.label is not None and disk.identity not in self._facts.state.tombstones:
                        return (
                            f"nothing is remembered of an engine, but disk {disk.path} of node {node.name} "
                            f"belongs to engine {disk.label.system_id}: bring its store back; if that engine "
                            f"is no more, say so: artesian disk remove {node.name} {disk.path}"
                        )
        return next((one for place in change.managers if (one := self._not_alive(place.node))), None)

    def _add_device(self, change: Change) -> str | None:
        assert isinstance(change, AddDevice)
        verdict = self._verdicts.get((change.node, change.identity))
        if verdict is None:
            return f"disk {change.path} of node {change.node} is not seen"
        if verdict.kind is VerdictKind.REFUSED:
            return f"disk {change.path} of node {change.node} must not be touched: {verdict.because}"
        return self._not_alive(change.node)

    def _remove_device(self, change: Change) -> str | None:
        assert isinstance(change, RemoveDevice)
        if change.pool in self._emptied:
            return f"another disk is being taken out of pool {change.pool}"
        pool = self._facts.engine.pool(change.pool)
        if pool is not None and not pool.is_whole:
            return f"pool {change.pool} is degraded, and is healed first"
        return self._someone_silent()

    def _someone_silent(self) -> str | None:
        for node in self._facts.seen.nodes:
            if node.state is NodeState.SILENT and self._facts.state.node(node.name).domains:
                return f"node {node.name} is silent, and nothing is taken away on half a picture"
        return None

    def _remove_server(self, change: Change) -> str | None:
        assert isinstance(change, RemoveServer)
        return self._someone_silent()

    def _remove_client(self, change: Change) -> str | None:
        assert isinstance(change, RemoveClient)
        for name, wish in sorted(self._facts.state.volumes.items()):
            if wish.node == change.node and not wish.deleted:
                return f"volume {name} is on node {change.node}: move or detach it first"
        return None

    def _unmap(self, change: Change) -> str | None:
        """A volume is taken from a node that has let go of it, or that certainly cannot write any more."""
        assert isinstance(change, UnmapVolume)
        wish = self._facts.state.volumes.get(change.volume)
        node = self._facts.nodes.get(change.node)
        if wish is not None and wish.forced_from == change.node:
            return None
        if node is None or node.state is NodeState.GONE:
            return None
        if node.state is NodeState.SILENT:
            return (
                f"node {change.node} is silent and may still use volume {change.volume}: it is taken over "
                "when the node is gone for certain, or by force, which loses what it has not flushed"
            )
        if self._is_attached(change.volume, change.node):
            return f"node {change.node} has not let go of volume {change.volume} yet"
        return None

    def _is_attached(self, volume: str, node: str) -> bool:
        wish = self._facts.state.volumes.get(volume)
        engine_id = wish.engine_id if wish is not None else None
        return any(one.node == node and one.volume_id == engine_id for one in self._facts.seen.attachments)

    def _delete(self, change: Change) -> str | None:
        assert isinstance(change, DeleteVolume)
        for node in self._facts.seen.nodes:
            if node.state is NodeState.ALIVE and self._is_attached(change.volume, node.name):
                return f"node {node.name} has not let go of volume {change.volume} yet"
        return None


_RULES: dict[type, Callable[[_Guard, Change], str | None]] = {
    JoinNode: _Guard._node,
    CreateEngine: _Guard._create,
    AddServer: _Guard._node,
    AddClient: _Guard._node,
    AddDevice: _Guard._add_device,
    RemoveDevice: _Guard._remove_device,
    RemoveServer: _Guard._remove_server,
    RemoveClient: _Guard._remove_client,
    UnmapVolume: _Guard._unmap,
    DeleteVolume: _Guard._delete,
}
