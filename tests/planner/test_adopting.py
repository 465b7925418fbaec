"""An engine that was there before: used as it is, with its managers, servers and volumes left alone."""

from __future__ import annotations

from dataclasses import replace

from artesian.model import changes as c
from artesian.model.disk import EngineLabel
from artesian.model.engine import EngineSeen, ExistingEngine, SeenManager, SeenServer, SeenVolume
from artesian.model.names import server_name
from artesian.model.node import Node
from artesian.model.spec import Spec, Taking
from artesian.model.state import with_item
from artesian.model.topology import ManagerRole
from artesian.model.wishes import VolumeWish
from artesian.planner.assigning import assignment_of
from artesian.planner.planning import decide
from artesian.scheduler.requests import seen_by
from tests.planner.situations import GIB, POOL, World, nodes

EXISTING = ExistingEngine(
    ("https://10.9.0.1:8443",), ("10.9.0.1:6611",), "admin", "/etc/password", "/etc/secret"
)
SPEC = Spec(new_disks=Taking.TAKE, new_nodes=Taking.TAKE, engine=EXISTING)
THEIRS = EngineSeen(
    "fedcba9876543210",
    managers=(SeenManager("m1", "10.9.0.1:6611", ManagerRole.MANAGER, healthy=True, leads=True),),
    domains=("theirs",),
    servers=(SeenServer("s1", "theirs-1", "theirs", None, connected=True),),
    volumes=(SeenVolume("v1", "ledger", POOL, 8 * GIB, mapped_to=("THEIR-CLIENT",)),),
)


def world(seen: tuple[Node, ...] | None = None, engine: EngineSeen | None = THEIRS) -> World:
    """Nodes beside an engine that somebody else has made."""
    made = World(nodes(3) if seen is None else seen, SPEC)
    made.engine = engine
    return made


def test_it_is_adopted_before_anything_is_put_into_it() -> None:
    steps = world().decide().plan.steps
    adopt = next(step for step in steps if isinstance(step.change, c.AdoptEngine))
    assert adopt.change == c.AdoptEngine(THEIRS.system_id, EXISTING)
    assert "1 managers, 1 servers and 1 volumes, which stay" in adopt.because
    for step in steps:
        if isinstance(step.change, c.AddDomain | c.AddServer | c.AddClient):
            assert adopt.id in step.after


def test_nodes_serve_it_and_use_it_and_have_no_managers() -> None:
    here = world()
    here.converge()
    kinds = {type(step.change) for step in here.done}
    assert not kinds & {c.CreateEngine, c.AddManager, c.RemoveManager}
    assert here.engine is not None and len(here.engine.devices) == 6
    assert here.state.engine is not None and here.state.engine.system_id == THEIRS.system_id
    assignment = assignment_of(here.state, "node-1", "10.0.0.1")
    assert assignment.manager_addresses == EXISTING.managers
    assert not assignment.manages and not assignment.is_gateway and assignment.is_client


def test_what_is_seen_of_one_engine_is_not_said_of_another_that_a_spec_names() -> None:
    here = world()
    seen = here.observation
    other = replace(SPEC, engine=replace(EXISTING, gateways=("https://10.9.0.2:8443",)))
    assert seen_by(SPEC, SPEC, seen) == seen
    plan = decide(other, seen_by(other, SPEC, seen), here.state).plan
    assert not any(isinstance(step.change, c.AdoptEngine) for step in plan.steps)
    assert any("it is looked at once the spec is given" in note for note in plan.notes)


def test_what_was_in_it_stays_as_it_was() -> None:
    here = world()
    here.converge()
    assert here.engine is not None
    assert here.engine.managers == THEIRS.managers
    assert set(THEIRS.servers) <= set(here.engine.servers)
    assert set(THEIRS.volumes) <= set(here.engine.volumes)


def test_one_that_does_not_answer_is_waited_for_and_none_is_made() -> None:
    here = world(engine=None)
    plan = here.decide().plan
    assert any("cannot be adopted yet" in note for note in plan.notes)
    assert {type(step.change) for step in plan.steps} == {c.JoinNode}


def test_it_counts_as_ours_only_once_it_has_been_adopted() -> None:
    here = world()
    assert not here.state.engine_seen_once
    here.step()
    assert {type(step.change) for step in here.done} == {c.JoinNode, c.AdoptEngine}
    assert here.state.engine_seen_once


def test_nobody_adopts_it_before_somebody_agrees() -> None:
    here = world()
    here.spec = replace(SPEC, new_nodes=Taking.ASK)
    assert not here.step()


def test_nodes_that_serve_it_already_are_not_taken_over() -> None:
    bare = nodes(3)
    labelled = replace(bare[0].disks[0], label=EngineLabel(THEIRS.system_id, "d1"))
    here = world((replace(bare[0], disks=(labelled, *bare[0].disks[1:])), *bare[1:]))
    held = {type(one.step.change): one.because for one in here.decide().guarded.held}
    assert "is part of engine fedcba9876543210 already" in held[c.AdoptEngine]


def test_a_server_of_the_same_name_is_somebody_elses() -> None:
    taken = replace(THEIRS.servers[0], name=server_name("node-1", "default"), domain="default")
    here = world(engine=replace(THEIRS, servers=(taken,), domains=("default",)))
    here.converge()
    held = {one.step.change: one.because for one in here.decide().guarded.held}
    because = [text for change, text in held.items() if isinstance(change, c.AddServer)]
    name = server_name("node-1", "default")
    assert because == [f"the engine has a server {name} already, which is not ours, and it stays as it is"]


def test_a_volume_that_somebody_else_writes_to_is_not_mapped_here_too() -> None:
    here = world()
    here.converge()
    assert here.engine is not None
    wish = VolumeWish("ledger", POOL, 8 * GIB, node="node-1", engine_id="v1")
    here.state = replace(here.state, volumes=with_item(here.state.volumes, "ledger", wish))
    plan = here.decide().plan
    assert not any(isinstance(step.change, c.MapVolume) for step in plan.steps)
    assert any("a client that is not ours" in note for note in plan.notes)


def test_a_volume_that_has_the_name_already_is_not_taken_for_ours_nor_deleted() -> None:
    here = world()
    here.converge()
    wish = VolumeWish("ledger", POOL, 8 * GIB)  # somebody has asked for it while the engine was away
    here.state = replace(here.state, volumes=with_item(here.state.volumes, "ledger", wish))
    here.converge()
    assert here.state.volumes["ledger"].engine_id is None
    assert any("another volume that is called ledger" in note for note in here.decide().plan.notes)
    gone = replace(wish, deleted=True)
    here.state = replace(here.state, volumes=with_item(here.state.volumes, "ledger", gone))
    here.converge()
    assert "ledger" not in here.state.volumes
    assert here.engine is not None and set(THEIRS.volumes) <= set(here.engine.volumes)


def test_a_volume_that_was_made_anew_by_others_is_not_deleted_in_place_of_ours() -> None:
    here = world()
    here.converge()
    wish = VolumeWish("ledger", POOL, 8 * GIB, engine_id="v0", begun=True, deleted=True)
    here.state = replace(here.state, volumes=with_item(here.state.volumes, "ledger", wish))
    here.converge()
    assert "ledger" not in here.state.volumes
    assert here.engine is not None and set(THEIRS.volumes) <= set(here.engine.volumes)


def test_two_clusters_that_use_one_engine_have_clients_of_their_own() -> None:
    one, two = world(), world()
    one.converge()
    assert one.state.engine is not None
    two.state = replace(one.state, engine=replace(one.state.engine, client_root="another"))
    assert one.state.guid_of("node-1") != two.state.guid_of("node-1")
