"""The plan: ordered differences between what is wanted and what is seen.

The same observation and state give the same plan, whatever the order in which things were reported.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from artesian.model.changes import CreateEngine
from artesian.model.engine import EngineSeen
from artesian.model.node import Node
from artesian.model.observation import Observation
from artesian.model.plan import GuardedPlan, Plan
from artesian.model.spec import Spec, Taking
from artesian.model.state import FrameworkState
from artesian.model.topology import Topology
from artesian.planner.deploying import (
    plan_clients,
    plan_devices,
    plan_engine,
    plan_joining,
    plan_servers,
    plan_structure,
)
from artesian.planner.facts import Facts, Steps
from artesian.planner.guard import guard
from artesian.planner.managing import plan_managers
from artesian.planner.needs import unfit
from artesian.planner.removing import plan_maintenance, plan_removals
from artesian.planner.restarting import plan_restart
from artesian.planner.returning import plan_returns
from artesian.planner.volumes import plan_volumes
from artesian.strategy.deriver import Deriver
from artesian.strategy.verdicts import Memory


@dataclass(frozen=True, slots=True)
class Decision:
    """What one look leads to."""

    topology: Topology
    guarded: GuardedPlan

    @property
    def plan(self) -> Plan:
        """All steps."""
        return self.guarded.plan


def decide(spec: Spec, seen: Observation, state: FrameworkState, deriver: Deriver | None = None) -> Decision:
    """What is wanted, the steps towards it, and which of them may be taken now.

    A `deriver` that is used again makes no difference but for the time that it takes.
    """
    topology = wanted_topology(spec, seen, state, deriver or Deriver())
    engine = seen.engine or EngineSeen(_system_id(state))
    facts = Facts(spec, topology, seen, state, engine, {node.name: node for node in seen.nodes})
    plan = make_plan(facts)
    return Decision(topology, guard(plan, facts))


def wanted_topology(spec: Spec, seen: Observation, state: FrameworkState, deriver: Deriver) -> Topology:
    """What the strategy wants, new nodes included: the plan shows where they lead. Nothing is built on those
    that cannot be begun with: all others would wait for them."""
    leaving = {name for name, record in state.nodes.items() if record.leaving}
    usable = [node for node in seen.nodes if state.node(node.name).joined or unfit(node, spec.ceph) is None]
    nodes = [_as_recorded(spec, node, state) for node in usable]
    claims = state.claims
    if leaving or state.tombstones:
        claims = {
            identity: claim
            for identity, claim in state.claims.items()
            if identity not in state.tombstones and claim.node not in leaving
        }
    system_id = _system_id(state) or None
    if spec.engine is not None and seen.engine is not None:
        system_id = seen.engine.system_id
    places = state.engine.managers if state.engine is not None else ()
    managers = tuple(place.node for place in places if not state.node(place.node).without_manager)
    memory = Memory(claims, state.tombstones)
    return deriver.derive(spec, nodes, memory, system_id=system_id, managers=managers, leaving=leaving)


def _as_recorded(spec: Spec, node: Node, state: FrameworkState) -> Node:
    record = state.node(node.name)
    joined = record.joined or spec.new_nodes is not Taking.NEVER
    if (node.joined, node.in_maintenance) == (joined, record.in_maintenance):
        return node
    return replace(node, joined=joined, in_maintenance=record.in_maintenance)


def _system_id(state: FrameworkState) -> str:
    return state.engine.system_id if state.engine is not None else ""


def make_plan(facts: Facts) -> Plan:
    """All steps that lead from what is seen to what is wanted."""
    steps = Steps()
    for shortfall in facts.topology.shortfalls:
        steps.note(shortfall)
    plan_joining(facts, steps)
    if facts.seen.engine is None and facts.state.engine_seen_once:
        steps.note(f"the engine does not answer, so nothing is changed in it: {facts.seen.engine_problem}")
        return steps.plan()
    created = plan_engine(facts, steps)
    if facts.seen.engine is None and not isinstance(created, CreateEngine):
        return steps.plan()
    plan_managers(facts, steps)
    plan_structure(facts, steps, created)
    plan_servers(facts, steps, created)
    plan_devices(facts, steps)
    plan_returns(facts, steps)
    plan_clients(facts, steps, created)
    plan_maintenance(facts, steps)
    plan_removals(facts, steps)
    plan_volumes(facts, steps)
    plan_restart(facts, steps)
    return steps.plan()
