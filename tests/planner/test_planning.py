"""From bare nodes to storage and back, step by step."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artesian.model import changes as c
from artesian.model.disk import EngineLabel, Tombstone
from artesian.model.engine import Healing, SeenDevice
from artesian.model.node import NodeState
from artesian.model.observation import Observation, SeenAttachment
from artesian.model.spec import ManagersSpec, Spec, Taking
from artesian.model.state import with_item
from artesian.model.topology import VerdictKind
from artesian.model.wishes import VolumeWish
from artesian.planner.planning import decide
from tests.planner.situations import GIB, POOL, World, disk, node, nodes

TAKE = Spec(new_disks=Taking.TAKE, new_nodes=Taking.TAKE)


def kinds(world: World) -> list[str]:
    """The kinds of the steps of the plan, in order, each once."""
    return list(dict.fromkeys(type(step.change).__name__ for step in world.decide().plan.steps))


def wish(world: World, name: str = "data", **values: object) -> None:
    """Wish for a volume."""
    made = VolumeWish(name, POOL, 2 * GIB, **values)  # type: ignore[arg-type]
    world.state = replace(world.state, volumes=with_item(world.state.volumes, name, made))


def change_wish(world: World, name: str = "data", **values: object) -> None:
    """Wish for something else."""
    changed = replace(world.state.volumes[name], **values)  # type: ignore[arg-type]
    world.state = replace(world.state, volumes=with_item(world.state.volumes, name, changed))


# --- deploying


def test_the_plan_for_bare_nodes_shows_everything_to_the_end() -> None:
    assert kinds(World(nodes(3))) == [
        "JoinNode", "CreateEngine", "AddDomain", "AddPool", "AddServer", "AddDevice", "AddClient",
    ]  # fmt: skip


def test_nothing_is_done_before_somebody_agrees() -> None:
    world = World(nodes(3))
    assert not world.step()
    assert {type(held.step.change) for held in world.decide().guarded.held} == {c.JoinNode, c.AddDevice}


@pytest.mark.parametrize("count", [1, 3, 5, 16])
def test_an_agreed_plan_ends_in_storage_on_every_node(count: int) -> None:
    world = World(nodes(count)).deploy()
    assert world.engine is not None
    assert len(world.engine.devices) == 2 * count
    assert len(world.engine.clients) == count
    assert not world.decide().plan.steps


def test_where_policy_takes_everything_nobody_is_asked() -> None:
    world = World(nodes(3), TAKE)
    world.converge()
    assert world.engine is not None and len(world.engine.devices) == 6


@pytest.mark.parametrize(("asked", "made"), [(None, 3), (1, 1), (3, 3), (5, 5)])
def test_as_many_managers_as_the_spec_says(asked: int | None, made: int) -> None:
    world = World(nodes(5), replace(TAKE, managers=ManagersSpec(asked)))
    world.converge()
    assert world.state.engine is not None
    places = world.state.engine.managers
    assert len(places) == made and len({place.node for place in places}) == made


def test_one_node_is_warned_of() -> None:
    plan = World(nodes(1)).decide().plan
    assert any("managers are wanted" in note for note in plan.notes)


def test_a_node_that_joins_later_follows_the_same_rules() -> None:
    world = World(nodes(3)).deploy()
    world.nodes = nodes(4)
    assert kinds(world) == ["JoinNode", "AddServer", "AddDevice", "AddClient"]
    world.deploy()
    assert world.engine is not None and len(world.engine.devices) == 8


def test_healing_disturbs_as_the_spec_says_and_without_a_word_as_it_did() -> None:
    world = World(nodes(3), spec=TAKE).deploy()
    assert not world.decide().plan.steps
    world.spec = replace(TAKE, healing=Healing.FAVOR_APPLICATIONS)
    (step,) = world.decide().plan.steps
    assert step.change == c.SetHealing(POOL, Healing.FAVOR_APPLICATIONS)
    assert (
        step.because
        == "the spec says favor-applications of healing, and pool default/default has something else"
    )
    world.deploy()
    world.spec = TAKE
    assert not world.decide().plan.steps


def test_spare_is_what_the_largest_node_holds() -> None:
    world = World(nodes(3)).deploy()
    assert world.engine is not None and world.engine.pools[0].spare_percentage == 34


def test_refused_disks_are_never_in_a_plan() -> None:
    bad = (
        disk("sdx", signatures=("ext4",)),
        disk("sdy", mounted_at=("/mnt",)),
        replace(disk("sdz"), identity=None),
        replace(disk("sdw"), size_bytes=1 << 20),
    )
    world = World((replace(node(1), disks=(*node(1).disks, *bad)), node(2), node(3))).deploy()
    assert {step.change.path for step in world.done if isinstance(step.change, c.AddDevice)} == {
        "/dev/sdb", "/dev/sdc",
    }  # fmt: skip


def test_a_renamed_disk_stays_what_it_is() -> None:
    world = World(nodes(3)).deploy()
    renamed = replace(node(1), disks=(replace(disk("sdb"), path="/dev/sdq"), disk("sdc")))
    world.nodes = (renamed, node(2), node(3))
    assert not world.decide().plan.steps


def test_an_engine_that_does_not_answer_is_left_alone() -> None:
    world = World(nodes(3)).deploy()
    world.engine = None
    world.nodes = nodes(4)
    world.state = replace(
        world.state, tombstones=with_item(world.state.tombstones, "serial:1-sdb", Tombstone("x", "gone"))
    )
    assert kinds(world) == ["JoinNode"]


def test_devices_and_volumes_of_others_are_left_alone() -> None:
    world = World(nodes(3)).deploy()
    assert world.engine is not None
    theirs = SeenDevice("x", "their-disk", "node-1.default", "/dev/sdx", POOL, GIB)
    world.engine = replace(world.engine, devices=(*world.engine.devices, theirs))
    assert not world.decide().plan.steps


# --- removing


def test_a_removed_disk_leaves_one_at_a_time_and_stays_away() -> None:
    world = World(nodes(3)).deploy()
    for name in ("serial:1-sdb", "serial:2-sdb"):
        gone = Tombstone(name, "somebody has removed it")
        world.state = replace(world.state, tombstones=with_item(world.state.tombstones, name, gone))
    guarded = world.decide().guarded
    assert len(guarded.ready) == 1 and len(guarded.held) == 1
    world.converge()
    assert world.engine is not None and len(world.engine.devices) == 4
    assert not world.decide().plan.steps


def test_nothing_is_taken_out_of_a_pool_that_is_degraded() -> None:
    world = World(nodes(3)).deploy()
    assert world.engine is not None
    sick = tuple(replace(pool, degraded_bytes=GIB) for pool in world.engine.pools)
    world.engine = replace(world.engine, pools=sick)
    world.state = replace(
        world.state, tombstones=with_item(world.state.tombstones, "serial:1-sdb", Tombstone("x", "gone"))
    )
    assert not world.decide().guarded.ready


def test_nothing_is_taken_out_of_a_pool_that_is_about_to_get_second_copies() -> None:
    """With the disks of the other node it has two servers, and every block lacks its second copy."""
    world = World(nodes(1), TAKE).deploy()
    world.nodes = nodes(2)
    while "AddDevice" not in [type(one.change).__name__ for one in world.decide().guarded.ready]:
        assert world.step()
    gone = Tombstone("serial:1-sdb", "somebody has removed it")
    world.state = replace(world.state, tombstones=with_item(world.state.tombstones, gone.identity, gone))
    guarded = world.decide().guarded
    assert {type(one.change) for one in guarded.ready} == {c.AddDevice}
    (held,) = [one for one in guarded.held if isinstance(one.step.change, c.RemoveDevice)]
    assert "one copy only, and gets disks for the second one first" in held.because


def test_a_node_that_leaves_gives_everything_away() -> None:
    world = World(nodes(4)).deploy()
    record = replace(world.state.node("node-4"), leaving=True)
    world.state = replace(world.state, nodes=with_item(world.state.nodes, "node-4", record))
    world.converge()
    assert world.engine is not None
    assert len(world.engine.devices) == 6 and len(world.engine.servers) == 3
    assert world.state.node("node-4").domains == () and not world.state.node("node-4").is_client
    assert not world.decide().plan.steps


def test_a_manager_moves_when_its_node_leaves_the_new_one_first() -> None:
    world = World(nodes(4)).deploy()
    record = replace(world.state.node("node-1"), leaving=True)
    world.state = replace(world.state, nodes=with_item(world.state.nodes, "node-1", record))
    world.converge(30)
    kinds_done = [type(step.change).__name__ for step in world.done]
    assert kinds_done.index("AddManager") < kinds_done.index("RemoveManager")
    assert world.state.engine is not None and world.engine is not None
    assert {place.node for place in world.state.engine.managers} == {"node-2", "node-3", "node-4"}
    assert len(world.engine.managers) == 3


def test_managers_never_become_fewer_than_were_asked_for() -> None:
    world = World(nodes(3)).deploy()
    record = replace(world.state.node("node-1"), leaving=True)
    world.state = replace(world.state, nodes=with_item(world.state.nodes, "node-1", record))
    world.converge(30)
    assert world.engine is not None and len(world.engine.managers) == 3
    assert any("no other node can have one" in held.because for held in world.decide().guarded.held)


def test_more_managers_come_one_at_a_time() -> None:
    world = World(nodes(5), replace(TAKE, managers=ManagersSpec(3)))
    world.converge()
    world.spec = replace(TAKE, managers=ManagersSpec(5))
    assert len(world.decide().guarded.ready) == 1
    world.converge()
    assert world.engine is not None and len(world.engine.managers) == 5


def test_no_manager_changes_without_a_majority() -> None:
    world = World(nodes(5), replace(TAKE, managers=ManagersSpec(3)))
    world.converge()
    assert world.engine is not None
    first, *others = world.engine.managers
    away = tuple(replace(one, healthy=False) for one in others)
    world.engine = replace(world.engine, managers=(first, *away))
    world.spec = replace(TAKE, managers=ManagersSpec(5))
    assert not world.decide().guarded.ready


# --- volumes


def test_a_volume_is_made_mapped_moved_grown_renamed_and_deleted() -> None:
    world = World(nodes(3)).deploy()
    wish(world, node="node-1")
    world.converge()
    assert world.engine is not None
    (volume,) = world.engine.volumes
    assert volume.mapped_to
    change_wish(world, node="node-2", size_bytes=4 * GIB)
    world.converge()
    (moved,) = world.engine.volumes
    assert moved.mapped_to and moved.mapped_to != volume.mapped_to and moved.size_bytes == 4 * GIB
    renamed = replace(world.state.volumes["data"], name="ledger", node=None)
    world.state = replace(world.state, volumes={"ledger": renamed})
    world.converge()
    assert [one.name for one in world.engine.volumes] == ["ledger"]
    change_wish(world, "ledger", deleted=True)
    world.converge()
    assert not world.engine.volumes and not world.state.volumes


def test_a_volume_is_not_taken_from_a_node_that_has_not_let_go() -> None:
    world = World(nodes(3)).deploy()
    wish(world, node="node-1")
    world.converge()
    change_wish(world, node="node-2")
    attached = (SeenAttachment("id-data", "node-1", "/dev/loop0"),)
    seen = replace(world.observation, attachments=attached)
    guarded = decide(world.spec, seen, world.state).guarded
    assert not guarded.ready
    assert "has not let go" in guarded.held[0].because


@pytest.mark.parametrize(("state", "forced", "moves"), [
    (NodeState.SILENT, False, False), (NodeState.SILENT, True, True), (NodeState.GONE, False, True),
])  # fmt: skip
def test_takeover_needs_certainty_or_force(state: NodeState, forced: bool, moves: bool) -> None:
    world = World(nodes(3)).deploy()
    wish(world, node="node-1")
    world.converge()
    world.nodes = (node(1, state=state), node(2), node(3))
    change_wish(world, node="node-2", forced_from="node-1" if forced else None)
    assert world.step() is moves


LEFT_OVER = SeenAttachment("id-data", "node-1", None, None, "it is in use by vi (17)")
AS_ASKED_FOR = SeenAttachment("id-data", "node-1", "/dev/loop0", "/data")


def held_mapping(world: World, **seen: object) -> str | None:
    """Why the volume is not mapped at such a moment; None if it is."""
    moment = replace(world.observation, **seen)  # type: ignore[arg-type]
    guarded = decide(world.spec, moment, world.state).guarded
    assert any(isinstance(step.change, c.MapVolume) for step in guarded.plan.steps)
    return next((one.because for one in guarded.held if isinstance(one.step.change, c.MapVolume)), None)


def test_a_node_with_something_left_of_a_volume_does_not_get_it_again() -> None:
    world = World(nodes(3)).deploy()
    wish(world)
    world.converge()
    change_wish(world, node="node-1", generation=3)
    because = held_mapping(world, attachments=(LEFT_OVER,))
    assert because == (
        "node node-1 has not let go of volume data since it was cut off from it: it is in use by vi (17)"
    )
    assert held_mapping(world, attachments=(replace(LEFT_OVER, node="node-2"),)) is None
    assert held_mapping(world, attachments=(replace(LEFT_OVER, volume_id="id-other"),)) is None
    assert held_mapping(world) is None


def test_a_node_that_lost_its_mapping_gets_it_again_for_the_same_attachment() -> None:
    world = World(nodes(3)).deploy()
    wish(world)
    world.converge()
    change_wish(world, node="node-1", generation=3)
    assert held_mapping(world, attachments=(AS_ASKED_FOR,)) is None


@pytest.mark.parametrize("state", [NodeState.SILENT, NodeState.GONE])
def test_a_node_that_does_not_report_gets_no_volume(state: NodeState) -> None:
    world = World(nodes(3)).deploy()
    wish(world)
    world.converge()
    change_wish(world, node="node-1")
    world.nodes = (node(1, state=state), node(2), node(3))
    assert f"node-1 is {state}" in str(held_mapping(world))


def test_a_node_gets_a_volume_once_it_has_heard_of_it() -> None:
    """Before that, it may still be at work on what was asked for earlier."""
    world = World(nodes(3)).deploy()
    wish(world)
    world.converge()
    change_wish(world, node="node-1")
    assert "has not heard yet" in str(held_mapping(world, behind=frozenset({"node-1"})))
    assert held_mapping(world, behind=frozenset({"node-2"})) is None


def test_a_volume_that_was_lost_is_not_made_anew_without_its_data() -> None:
    world = World(nodes(3)).deploy()
    wish(world)
    world.converge()
    world.state = replace(world.state, volumes=with_item(
        world.state.volumes, "data", replace(world.state.volumes["data"], engine_id="id-data")))  # fmt: skip
    assert world.engine is not None
    world.engine = replace(world.engine, volumes=())
    plan = world.decide().plan
    assert not plan.steps and "not made anew" in plan.notes[0]


# --- properties


def test_a_store_that_is_new_makes_no_engine_where_one_has_been() -> None:
    world = World(nodes(3), TAKE)
    labelled = replace(disk("sdb"), label=EngineLabel("feed", "1"))
    world.nodes = (replace(node(1), disks=(labelled,)), node(2), node(3))
    for _ in range(5):
        world.step()
    assert world.engine is None
    assert any("bring its store back" in held.because for held in world.decide().guarded.held)


def test_a_disk_of_somebody_elses_engine_keeps_nobody_from_making_one_beside_it() -> None:
    world = World(nodes(3), TAKE)
    theirs = replace(disk("sdb"), label=EngineLabel("feed", "1", foreign=True))
    world.nodes = (replace(node(1), disks=(theirs, *node(1).disks[1:])), node(2), node(3))
    world.converge()
    assert world.engine is not None and len(world.engine.devices) == 5
    verdict = next(one for one in world.decide().topology.verdicts if one.identity == theirs.identity)
    assert (verdict.kind, verdict.because) == (VerdictKind.REFUSED, "it belongs to another engine, feed")


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 8), st.integers(0, 3), st.randoms(use_true_random=False))
def test_the_order_of_what_is_seen_makes_no_difference(count: int, disks: int, chance: random.Random) -> None:
    seen = [node(number, disks) for number in range(1, count + 1)]
    shuffled = [replace(one, disks=tuple(chance.sample(one.disks, len(one.disks)))) for one in seen]
    chance.shuffle(shuffled)
    world = World(tuple(seen))
    one = decide(world.spec, Observation(tuple(seen)), world.state).plan
    other = decide(world.spec, Observation(tuple(shuffled)), world.state).plan
    assert {step.id for step in one.steps} == {step.id for step in other.steps}
    assert one.id == other.id


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.lists(st.booleans(), min_size=6, max_size=6), st.integers(0, 400))
def test_a_plan_that_is_cut_off_anywhere_is_taken_up_again(count: int, rich: list[bool], cut: int) -> None:
    seen = tuple(node(number, 2 if rich[number - 1] else 0) for number in range(1, count + 1))
    whole = World(seen, TAKE)
    whole.converge()
    world = World(seen, TAKE)
    taken = 0
    while taken < cut:
        ready = world.decide().guarded.ready
        if not ready:
            break
        for one in ready[: cut - taken]:
            world.take(one)
            taken += 1
    world.converge()
    assert world.engine is not None or not count
    assert _shape(world) == _shape(whole)


def _shape(world: World) -> tuple[frozenset[str], ...]:
    assert world.engine is not None
    return (
        frozenset(one.name for one in world.engine.devices),
        frozenset(one.name for one in world.engine.servers),
        frozenset(one.guid for one in world.engine.clients),
    )
