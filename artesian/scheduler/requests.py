"""What users ask of the whole cluster, as changes of the state: checked, stored, and made so by the loop.

Every function gives a state out of a state, or raises NotThere, Conflict, NotPossible or SpecError, and then
nothing has changed.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from artesian.model.errors import Conflict
from artesian.model.observation import Observation
from artesian.model.pause import EVERYTHING
from artesian.model.plan import Consent
from artesian.model.spec import Spec
from artesian.model.state import Approval, EngineIdentity, FrameworkState, Stopping
from artesian.planner.planning import Decision
from artesian.remedy.checking import read_whole_spec
from artesian.remedy.leaving import disks_left_behind


def approve(state: FrameworkState, decision: Decision, plan_id: str, who: str) -> FrameworkState:
    """Agree to the plan as it is now, and to no other."""
    if plan_id != decision.plan.id:
        raise Conflict(
            f"the plan is not {plan_id} any more, it is {decision.plan.id}: look at it again and approve that"
        )
    asked = tuple(step.id for step in decision.plan.steps if step.consent is Consent.NEEDED)
    if not asked:
        return state
    return replace(state, approval=Approval(plan_id, asked, who))


def set_spec(state: FrameworkState, text: str, *, force: bool = False) -> FrameworkState:
    """Take another spec. What is claimed stays claimed, and the engine stays the same one.

    `force`: even though disks are forgotten that a provider has made.
    """
    spec = read_whole_spec(text)
    left_behind = None if force else disks_left_behind(read_whole_spec(state.spec_text), spec, state)
    if left_behind is not None:
        raise Conflict(left_behind)
    return replace(state, spec_text=text, engine=_engine_by(spec, state))


def seen_by(spec: Spec, present: Spec, seen: Observation) -> Observation:
    """What is seen, as far as it goes for another spec than the present one: whether the engine that it names
    can be adopted is known only once it is given, and what was found out of another one is not said of it."""
    if spec.engine is None or spec.engine == present.engine:
        return seen
    return replace(seen, engine=None, engine_problem="it is looked at once the spec is given")


def _engine_by(spec: Spec, state: FrameworkState) -> EngineIdentity | None:
    """The engine with what a spec says of it now; None if it is to be another, and was never used.

    Raises Conflict.
    """
    engine, existing = state.engine, spec.engine
    if engine is None:
        return None
    if (existing is None) != (engine.adopted is None):
        if engine.adopted is None:
            raise Conflict(
                f"these nodes have an engine of their own, {engine.system_id}, and no other is adopted"
            )
        raise Conflict(
            f"engine {engine.system_id} has been adopted, and the spec does not name it any more: "
            "leave its `engine` section as it is, or take the cluster down with --destroy first"
        )
    if engine.adopted is None and (spec.ceph is None) != (engine.ceph is None):
        if engine.ceph is None:
            raise Conflict(
                f"engine {engine.system_id} of these nodes is the embedded one, and no Ceph takes its place: "
                "leave `engine: ceph` out, or take the cluster down with --destroy first"
            )
        raise Conflict(
            f"engine {engine.system_id} of these nodes is Ceph, and no other takes its place: "
            "write `engine: ceph` into the spec, or take the cluster down with --destroy first"
        )
    if existing is not None and state.engine_seen_once and (existing.ceph is None) != (engine.ceph is None):
        raise Conflict(
            f"engine {engine.system_id} has been adopted, and the spec names one of another kind: "
            "leave its `engine` section as it is, or take the cluster down with --destroy first"
        )
    if existing is not None and not state.engine_seen_once:
        return None  # it has never been used; the plan begins anew
    return replace(engine, adopted=existing, ceph=spec.ceph)


def pause(state: FrameworkState, *, paused: bool) -> FrameworkState:
    """Hold every step back, or no longer; what else is paused stays so."""
    left = {key: one for key, one in state.pauses.items() if key != EVERYTHING}
    return replace(state, paused=paused, pauses=MappingProxyType(left))


def stop_everything(state: FrameworkState, stopping: Stopping, *, force: bool = False) -> FrameworkState:
    """Let go of all volumes and end all processes, or begin again.

    `force`: even though others lose the data that these nodes keep for them.
    """
    engine = state.engine
    adopted = engine is not None and engine.adopted is not None
    if stopping is not Stopping.NO and adopted and state.claims and not force:
        assert engine is not None
        nodes = sorted({claim.node for claim in state.claims.values()})
        raise Conflict(
            f"disks of {', '.join(nodes)} are part of engine {engine.system_id}, which others use too: "
            f"let their data move away first, with artesian node remove {nodes[0]} (those of a pool's "
            "last two nodes with artesian disk remove); or use --force"
        )
    return replace(state, stopping=stopping)
