"""What containers of a node ask for: idempotent, and never at the cost of what somebody else wants."""

from __future__ import annotations

from dataclasses import replace

import pytest

from artesian.model.disk import PoolName
from artesian.model.engine import SeenPool
from artesian.model.errors import ArtesianError, Conflict, NotPossible, NotThere
from artesian.model.node import NodeState
from artesian.model.observation import Observation
from artesian.model.state import FrameworkState
from artesian.model.topology import Topology, WantedClient
from artesian.model.wishes import VolumeWish
from artesian.planner.assigning import assignment_of
from artesian.scheduler import container_volumes
from artesian.scheduler.container_volumes import MountWanted
from artesian.scheduler.volume_requests import attach_volume, detach_volume
from tests.scheduler.cases import GIB, POOL, SEEN, STATE

HERE = MountWanted("n1", "/m/idle", "h1")
NEW = VolumeWish("fresh", POOL, GIB)


def mount(state: FrameworkState, name: str, wanted: MountWanted, seen: Observation = SEEN) -> FrameworkState:
    return container_volumes.mount(state, seen, name, wanted)


def release(state: FrameworkState, name: str, node: str, hold: str) -> FrameworkState:
    return container_volumes.release(state, SEEN, name, node, hold)


def with_n2(**values: object) -> Observation:
    nodes = tuple(replace(one, **values) if one.name == "n2" else one for one in SEEN.nodes)  # type: ignore[arg-type]
    return replace(SEEN, nodes=nodes)


def test_a_volume_is_mounted_until_whoever_holds_it_lets_go() -> None:
    state = mount(STATE, "idle", HERE)
    wish = state.volumes["idle"]
    assert (wish.node, wish.mount_path, wish.hold) == ("n1", "/m/idle", "h1")
    (assigned,) = assignment_of(state, "n1", "10.0.0.1").volumes
    assert assigned.for_containers
    assert release(state, "idle", "n1", "another") is state
    assert release(state, "idle", "n2", "h1") is state
    state = release(state, "idle", "n1", "h1")
    assert (state.volumes["idle"].node, state.volumes["idle"].hold) == (None, "")
    assert release(state, "idle", "n1", "h1") is state


def test_asking_again_changes_nothing_but_the_hold() -> None:
    state = mount(STATE, "idle", HERE)
    assert mount(state, "idle", HERE).volumes == state.volumes
    again = mount(state, "idle", replace(HERE, hold="h2"))
    assert again.volumes["idle"] == replace(state.volumes["idle"], hold="h2")
    assert again.nodes == state.nodes  # it stays mounted


def test_what_somebody_has_mounted_there_is_used_and_left() -> None:
    state = mount(STATE, "data", replace(HERE, node="n2"))
    assert state is STATE
    assert release(state, "data", "n2", "h1") is STATE
    assert not assignment_of(STATE, "n2", "10.0.0.2").volumes[0].for_containers


def test_what_somebody_mounts_by_himself_is_no_longer_the_containers() -> None:
    state = mount(STATE, "idle", HERE)
    state = attach_volume(state, SEEN, "idle", "n1", mount_path="/data/idle", fstype=None, force=False)
    assert release(state, "idle", "n1", "h1") is state
    assert detach_volume(mount(STATE, "idle", HERE), SEEN, "idle", force=False).volumes["idle"].hold == ""


def test_a_bare_block_device_is_not_mounted() -> None:
    state = attach_volume(STATE, SEEN, "idle", "n1", mount_path=None, fstype=None, force=False)
    with pytest.raises(Conflict, match="as a bare block device"):
        mount(state, "idle", HERE)


def test_one_node_at_a_time() -> None:
    with pytest.raises(Conflict, match="mounted at /data of node n2, and is writable on one node"):
        mount(STATE, "data", HERE)


def test_a_silent_node_keeps_its_volumes_until_it_is_gone_for_certain() -> None:
    with pytest.raises(Conflict, match="which is silent and may still write to it"):
        mount(STATE, "data", HERE, with_n2(state=NodeState.SILENT))
    nobody = replace(SEEN, nodes=tuple(one for one in SEEN.nodes if one.name != "n2"))
    with pytest.raises(Conflict, match="which is not there and may still write to it"):
        mount(STATE, "data", HERE, nobody)
    state = mount(STATE, "data", HERE, with_n2(state=NodeState.GONE))
    assert (state.volumes["data"].node, state.volumes["data"].forced_from) == ("n1", None)


def test_preemption_takes_it_and_uses_force_only_when_that_is_said() -> None:
    state = mount(STATE, "data", replace(HERE, preempt=True))
    assert (state.volumes["data"].node, state.volumes["data"].forced_from) == ("n1", None)
    forced = mount(STATE, "data", replace(HERE, preempt=True, force=True))
    assert forced.volumes["data"].forced_from == "n2"


def test_preemption_may_be_the_volumes() -> None:
    state = STATE.with_volume(replace(STATE.volumes["data"], preempt=True))
    assert mount(state, "data", HERE).volumes["data"].node == "n1"


def test_force_alone_takes_nothing() -> None:
    with pytest.raises(Conflict):
        mount(STATE, "data", replace(HERE, force=True))
    here = mount(STATE, "idle", HERE)
    assert mount(here, "idle", replace(HERE, force=True)).volumes["idle"].forced_from is None


def test_a_volume_that_is_there_stays_as_it_is() -> None:
    assert container_volumes.create(STATE, SEEN, NEW).volumes["fresh"] == NEW
    assert container_volumes.create(STATE, SEEN, replace(NEW, name="idle", size_bytes=GIB)) is STATE
    preempted = container_volumes.create(STATE, SEEN, replace(NEW, name="idle", preempt=True))
    assert preempted.volumes["idle"] == replace(STATE.volumes["idle"], preempt=True)


@pytest.mark.parametrize(
    ("wish", "error"),
    [
        (replace(NEW, name="going"), Conflict),
        (replace(NEW, name="a" * 64), NotPossible),
        (replace(NEW, pool=PoolName("no", "where")), NotThere),
    ],
)
def test_what_cannot_be_made_is_refused(wish: VolumeWish, error: type[ArtesianError]) -> None:
    with pytest.raises(error):
        container_volumes.create(STATE, SEEN, wish)


def test_deleting_may_be_said_twice() -> None:
    state = container_volumes.delete(STATE, "idle")
    assert state.volumes["idle"].deleted
    assert container_volumes.delete(state, "idle") is state
    with pytest.raises(Conflict, match="detach it first"):
        container_volumes.delete(STATE, "data")
    with pytest.raises(NotThere):
        container_volumes.delete(STATE, "nothing")


def test_a_node_has_a_pool_of_its_own() -> None:
    other = PoolName("default", "other")
    assert SEEN.engine is not None
    engine = replace(SEEN.engine, pools=(*SEEN.engine.pools, SeenPool("p2", other)))
    seen = replace(SEEN, engine=engine)
    topology = Topology(clients=(WantedClient("n1", (PoolName("not", "made"), other), "it says so"),))
    assert container_volumes.pool_of("n1", seen, topology) == other
    with pytest.raises(Conflict, match="say which pool"):
        container_volumes.pool_of("n2", seen, topology)
    assert container_volumes.pool_of("n2", SEEN, topology) == POOL
