"""Snapshots: taken once, kept until somebody deletes them, and what is made of them stands on its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artesian.model import changes as c
from artesian.model.engine import SnapshotId
from artesian.model.errors import ArtesianError
from artesian.model.plan import Consent
from artesian.model.spec import Spec, Taking
from artesian.model.state import FrameworkState
from artesian.model.wishes import VolumeWish
from artesian.planner.planning import decide
from artesian.scheduler.snapshot_requests import clone, delete_snapshot, take_snapshot
from artesian.scheduler.volume_requests import create_volume, delete_volume, rename_volume
from tests.planner.situations import GIB, POOL, World, affected, nodes

TAKE = Spec(new_disks=Taking.TAKE, new_nodes=Taking.TAKE)


@pytest.fixture
def world() -> World:
    """Storage with a volume, `data`."""
    made = World(nodes(3), TAKE)
    made.converge()
    made.state = create_volume(made.state, made.observation, VolumeWish("data", POOL, 2 * GIB))
    made.converge()
    return made


def take(world: World, name: str = "monday", volume: str = "data") -> None:
    world.state = take_snapshot(world.state, world.observation, volume, name)


def copy(world: World, new: str = "copy", name: str = "monday") -> None:
    world.state = clone(world.state, world.observation, "data", name, new)


def steps(world: World) -> dict[c.Change, str]:
    """What is to be done, and why."""
    return {step.change: step.because for step in world.decide().plan.steps}


def lose(world: World, name: str = "monday") -> None:
    """A snapshot vanishes from the engine."""
    assert world.engine is not None
    world.engine = affected(world.engine, c.DeleteSnapshot("data", name))


# --- taken once


def test_a_snapshot_that_is_wished_for_is_taken(world: World) -> None:
    take(world)
    (step,) = world.decide().plan.steps
    assert step.change == c.CreateSnapshot("data", "monday")
    assert (step.because, step.consent) == ("somebody wants snapshot monday of volume data", Consent.GIVEN)
    world.converge()
    assert [one.name for one in world.engine.volumes[0].snapshots] == ["monday"]  # type: ignore[union-attr]
    assert steps(world) == {}


def test_the_wish_says_that_it_was_taken_as_soon_as_it_was(world: World) -> None:
    take(world)
    (step,) = world.decide().plan.steps
    world.take(step)
    assert world.state.volumes["data"].snapshots[0].taken
    lose(world)  # before anybody has looked
    assert steps(world) == {}


def test_one_that_was_there_and_vanished_is_not_taken_anew(world: World) -> None:
    take(world)
    world.converge()
    lose(world)
    decision = world.decide()
    assert decision.plan.steps == ()
    assert decision.plan.notes == (
        "snapshot monday of volume data is not in the engine any more, and is not taken anew with later data",
    )
    world.state = delete_snapshot(world.state, "data", "monday")
    world.converge()
    assert world.state.volumes["data"].snapshots == ()
    assert world.decide().plan.notes == ()


def test_one_of_the_same_name_that_somebody_else_took_is_not_taken_for_it(world: World) -> None:
    take(world)
    world.converge()
    assert world.engine is not None
    (volume,) = world.engine.volumes
    other = replace(volume.snapshots[0], id="later")
    world.engine = replace(world.engine, volumes=(replace(volume, snapshots=(other,)),))
    assert steps(world) == {}
    assert "is not in the engine any more" in world.decide().plan.notes[0]


def test_after_a_crash_before_anybody_was_told_it_stays_as_it_is(world: World) -> None:
    take(world)
    (step,) = world.decide().plan.steps
    assert world.engine is not None
    world.engine = affected(world.engine, step.change)  # and then the scheduler dies
    before = world.engine
    world.converge()
    assert world.engine == before
    assert world.state.volumes["data"].snapshots[0].engine_id == before.volumes[0].snapshots[0].id


def test_a_volume_that_is_renamed_keeps_them(world: World) -> None:
    take(world)
    world.converge()
    world.state = rename_volume(world.state, world.observation, "data", "ledger")
    take(world, "tuesday", "ledger")
    plan = world.decide().plan
    assert [type(step.change) for step in plan.steps] == [c.RenameVolume, c.CreateSnapshot]
    assert plan.steps[1].after == (plan.steps[0].id,)
    world.converge()
    assert [one.name for one in world.state.volumes["ledger"].snapshots] == ["monday", "tuesday"]


def test_snapshots_of_which_nothing_is_remembered_are_known_again(world: World) -> None:
    take(world)
    world.converge()
    known = world.state.volumes["data"].snapshots
    volumes = {"data": replace(world.state.volumes["data"], snapshots=())}
    world.state = replace(world.state, volumes=volumes)
    world.converge()
    assert world.state.volumes["data"].snapshots == known


# --- deleted


def test_a_snapshot_is_deleted_by_a_step_of_its_own(world: World) -> None:
    take(world)
    world.converge()
    world.state = delete_snapshot(world.state, "data", "monday")
    (step,) = world.decide().plan.steps
    assert step.change == c.DeleteSnapshot("data", "monday")
    assert step.because == "somebody has asked to delete snapshot monday of volume data"
    assert step.destructive
    world.converge()
    assert world.state.volumes["data"].snapshots == ()
    take(world)  # the name is free, and what it has now is of now
    world.converge()
    assert world.state.volumes["data"].snapshots[0].taken


def test_one_that_was_never_begun_is_forgotten(world: World) -> None:
    take(world)
    world.state = delete_snapshot(world.state, "data", "monday")
    assert steps(world) == {}
    world.converge()
    assert world.state.volumes["data"].snapshots == ()


def test_one_that_may_have_been_taken_is_deleted_all_the_same(world: World) -> None:
    take(world)
    wish = world.state.volumes["data"]
    begun = wish.with_snapshot(replace(wish.snapshots[0], begun=True))
    world.state = world.state.with_volume(begun)
    world.state = delete_snapshot(world.state, "data", "monday")
    assert list(steps(world)) == [c.DeleteSnapshot("data", "monday")]
    world.converge()
    assert world.state.volumes["data"].snapshots == ()


def test_a_volume_goes_after_its_snapshots(world: World) -> None:
    take(world)
    take(world, "tuesday")
    world.converge()
    world.state = delete_volume(world.state, "data", with_snapshots=True)
    plan = world.decide().plan
    *snapshots, volume = plan.steps
    assert [step.change for step in snapshots] == [
        c.DeleteSnapshot("data", "monday"),
        c.DeleteSnapshot("data", "tuesday"),
    ]
    assert volume.change == c.DeleteVolume("data")
    assert volume.after == tuple(step.id for step in snapshots)
    world.converge()
    assert world.state.volumes == {}


# --- cloned


def test_a_clone_is_a_volume_with_a_source(world: World) -> None:
    take(world)
    world.converge()
    copy(world)
    assert world.engine is not None
    source = SnapshotId("id-data", world.engine.volumes[0].snapshots[0].id)
    assert steps(world) == {
        c.CreateVolume("copy", POOL, 2 * GIB, False, source): (
            "somebody wants volume copy with what snapshot monday of volume data has"
        )
    }
    world.converge()
    assert world.state.volumes["copy"].engine_id == "id-copy"


def test_it_is_the_same_step_when_its_volume_is_renamed(world: World) -> None:
    take(world)
    world.converge()
    copy(world)
    before = [one for one in steps(world) if isinstance(one, c.CreateVolume)]
    world.state = rename_volume(world.state, world.observation, "data", "ledger")
    assert [one for one in steps(world) if isinstance(one, c.CreateVolume)] == before


def test_nothing_is_made_of_a_snapshot_that_is_gone(world: World) -> None:
    take(world)
    world.converge()
    copy(world)
    lose(world)
    decision = world.decide()
    assert decision.plan.steps == ()
    assert "volume copy cannot be made: the snapshot for it to begin with is gone" in decision.plan.notes
    assert world.state.volumes["copy"].engine_id is None


@pytest.mark.parametrize("first", ["data", "copy"])
def test_either_may_go_first(world: World, first: str) -> None:
    take(world)
    world.converge()
    copy(world)
    world.converge()
    world.state = delete_volume(world.state, first, with_snapshots=True)
    world.converge()
    assert world.engine is not None
    assert [one.name for one in world.engine.volumes] == ["copy" if first == "data" else "data"]
    assert steps(world) == {}


# --- whatever is asked

requests = st.lists(
    st.tuples(
        st.sampled_from(["take", "delete", "clone", "rename", "delete volume", "vanish", "pass"]),
        st.sampled_from(["data", "copy"]),
        st.sampled_from(["a", "b"]),
    ),
    max_size=12,
)


def ask(world: World, what: str, volume: str, name: str) -> FrameworkState:
    state, seen = world.state, world.observation
    match what:
        case "take":
            return take_snapshot(state, seen, volume, name)
        case "delete":
            return delete_snapshot(state, volume, name)
        case "clone":
            return clone(state, seen, volume, name, "copy" if volume == "data" else "data")
        case "rename":
            return rename_volume(state, seen, volume, "copy" if volume == "data" else "data")
        case "delete volume":
            return delete_volume(state, volume, with_snapshots=name == "a")
    return state


@settings(max_examples=60, deadline=None)
@given(requests)
def test_whatever_is_asked_it_ends_and_the_same_facts_give_the_same_plan(
    asked: Sequence[tuple[str, str, str]],
) -> None:
    world = World(nodes(3), TAKE)
    world.converge()
    world.state = create_volume(world.state, world.observation, VolumeWish("data", POOL, 2 * GIB))
    world.converge()
    assert world.engine is not None
    for what, volume, name in asked:
        try:
            world.state = ask(world, what, volume, name)
        except ArtesianError:
            continue
        seen = world.engine.volume(volume)
        if what == "vanish" and seen is not None and seen.snapshot(name) is not None:
            world.engine = affected(world.engine, c.DeleteSnapshot(volume, name))
        if what == "pass":
            world.step()
        assert decide(TAKE, world.observation, world.state).plan == world.decide().plan
    world.converge()
    assert not world.decide().guarded.ready
    for wish in world.state.volumes.values():
        there = world.engine.volume_with_id(wish.engine_id) if wish.engine_id is not None else None
        seen_names = {one.name for one in there.snapshots} if there is not None else set()
        assert {one.name for one in wish.snapshots if not one.deleted} >= seen_names
