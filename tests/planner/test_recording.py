"""What is remembered of steps, and what nodes are told."""

from __future__ import annotations

from dataclasses import replace

from artesian.model.changes import AdoptEngine
from artesian.model.engine import ExistingEngine
from artesian.model.plan import Consent, Step
from artesian.model.state import FrameworkState, Stopping
from artesian.planner.assigning import assignment_of
from artesian.planner.recording import complete, intend, learn
from tests.planner.situations import IDENTITY, World, nodes


def test_an_approval_is_used_up_step_by_step() -> None:
    world = World(nodes(3))
    world.approve()
    assert world.state.approval is not None
    asked = len(world.state.approval.step_ids)
    world.step()
    assert world.state.approval is not None and len(world.state.approval.step_ids) < asked
    world.converge()
    assert world.state.approval is None


def test_an_approval_is_for_that_plan_alone() -> None:
    world = World(nodes(3))
    world.approve()
    world.nodes = nodes(4)
    world.converge()
    held = [step.step.change for step in world.decide().guarded.held]
    assert {getattr(change, "node", None) for change in held} == {"node-4"}


def test_a_claim_is_stored_before_its_disk_is_written_to() -> None:
    world = World(nodes(3))
    world.approve()
    while not any(type(step.change).__name__ == "AddDevice" for step in world.decide().guarded.ready):
        world.step()
    (first, *_) = [s for s in world.decide().guarded.ready if type(s.change).__name__ == "AddDevice"]
    after = intend(world.state, [first], IDENTITY, {})
    assert first.change.identity in after.claims  # type: ignore[union-attr]
    again = replace(first, consent=Consent.NONE)
    assert intend(after, [again], IDENTITY, {}) == after


def test_assignments_come_from_what_was_decided_and_not_from_what_is_seen() -> None:
    world = World(nodes(3)).deploy()
    before = assignment_of(world.state, "node-1", "10.0.0.1")
    world.engine, world.nodes = None, ()
    assert assignment_of(world.state, "node-1", "10.0.0.1") == before
    assert before.manages and before.is_client and before.domains == ("default",)


def forget_manager(world: World, name: str) -> None:
    """As a store does that is older than this manager."""
    assert world.state.engine is not None
    known = tuple(place for place in world.state.engine.managers if place.node != name)
    world.state = replace(world.state, engine=replace(world.state.engine, managers=known))


def test_a_manager_of_which_only_the_engine_knows_is_known_again() -> None:
    world = World(nodes(3)).deploy()
    before = world.state.engine
    forget_manager(world, "node-2")
    assert not assignment_of(world.state, "node-2", "10.0.0.2").manages
    state = learn(world.state, world.observation)
    assert state.engine is not None and before is not None
    assert set(state.engine.managers) == set(before.managers)
    assert assignment_of(state, "node-2", "10.0.0.2").manages
    assert learn(state, world.observation) is state


def test_managers_that_are_to_go_or_do_not_answer_or_run_elsewhere_stay_unknown() -> None:
    record = World(nodes(3)).deploy().state.node("node-2")
    for changed in (
        replace(record, leaving=True),
        replace(record, without_manager=True),
        replace(record, joined=False),
    ):
        world = World(nodes(3)).deploy()
        forget_manager(world, "node-2")
        world.state = replace(world.state, nodes={**world.state.nodes, "node-2": changed})
        assert learn(world.state, world.observation) is world.state
    world = World(nodes(3)).deploy()
    forget_manager(world, "node-2")
    assert world.engine is not None
    managers = tuple(replace(one, healthy=one.name != "mdm-node-2") for one in world.engine.managers)
    world.engine = replace(world.engine, managers=managers)
    assert learn(world.state, world.observation) is world.state


def test_an_engine_is_adopted_only_as_the_present_spec_names_it() -> None:
    named = ExistingEngine(("https://a:8443",), ("a:6611",), "admin", "/password", "/secret")
    step = Step(AdoptEngine("abc", named), "the spec names it")
    intended = intend(FrameworkState(), [step], IDENTITY, {})
    assert complete(intended, [step]).engine_seen_once
    assert intended.engine is not None
    for other in (None, replace(intended.engine, adopted=replace(named, secret_file="/another"))):
        assert not complete(replace(intended, engine=other), [step]).engine_seen_once


def test_stopping_takes_volumes_first_and_processes_then() -> None:
    world = World(nodes(3)).deploy()
    volumes = replace(world.state, stopping=Stopping.VOLUMES)
    assert not assignment_of(volumes, "node-1", "10.0.0.1").stop
    everything = replace(world.state, stopping=Stopping.ALL)
    assert assignment_of(everything, "node-1", "10.0.0.1").stop


def test_a_node_that_nobody_decided_about_has_nothing_to_do() -> None:
    world = World(nodes(3)).deploy()
    assignment = assignment_of(world.state, "node-9", "10.0.0.9")
    assert not assignment.manages and not assignment.is_client and not assignment.domains
