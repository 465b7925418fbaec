"""A decision does not depend on what was decided before: only the time that it takes does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType

from hypothesis import given, settings
from hypothesis import strategies as st

from artesian.model.disk import EngineLabel, PoolName, Tombstone
from artesian.model.node import Node, NodeState
from artesian.model.spec import ManagersSpec, PoolSpec, Spec, Taking
from artesian.planner.planning import decide
from artesian.strategy.deriver import Deriver
from artesian.strategy.deriving import derive
from artesian.strategy.verdicts import Memory
from tests.planner.situations import World, node, nodes
from tests.strategy import clusters

TAKE = Spec(new_disks=Taking.TAKE, new_nodes=Taking.TAKE)
NODES = 4
SPECS = [
    TAKE,
    Spec(),
    replace(TAKE, new_nodes=Taking.NEVER),
    replace(TAKE, managers=ManagersSpec(1)),
    replace(TAKE, minimum_disk_bytes=1 << 40),
    replace(TAKE, fault_set_attribute="rack"),
    replace(TAKE, global_pool=None, pools=(PoolSpec(PoolName("d", "gold")),)),
]

Change = Callable[[World], None]


def _node(number: int, **facts: object) -> Change:
    def change(world: World) -> None:
        world.nodes = tuple(
            replace(one, **facts) if one.name == f"node-{number}" else one  # type: ignore[arg-type]
            for one in world.nodes
        )

    return change


def _first_disk(number: int, **facts: object) -> Change:
    def change(world: World) -> None:
        found = node(number)
        first, *others = found.disks
        _node(number, disks=(replace(first, **facts), *others))(world)  # type: ignore[arg-type]

    return change


def _record(number: int, **values: object) -> Change:
    def change(world: World) -> None:
        name = f"node-{number}"
        record = replace(world.state.node(name), **values)  # type: ignore[arg-type]
        known = MappingProxyType({**world.state.nodes, name: record})
        world.state = replace(world.state, nodes=known)

    return change


def _removed(identities: set[str]) -> Change:
    def change(world: World) -> None:
        found = {one: Tombstone(one, "it was removed") for one in identities}
        world.state = replace(world.state, tombstones=MappingProxyType(found))

    return change


def _spec(spec: Spec) -> Change:
    def change(world: World) -> None:
        world.spec = spec

    return change


def _without(number: int) -> Change:
    def change(world: World) -> None:
        world.nodes = tuple(one for one in nodes(NODES) if one.name != f"node-{number}")

    return change


def _pass(world: World) -> None:
    world.step()


def _again(world: World) -> None:
    """The same in other objects, as if it had been reported anew."""
    world.nodes = tuple(replace(one, disks=tuple(map(replace, one.disks))) for one in world.nodes)


_numbers = st.integers(1, NODES)
_values = [
    st.builds(lambda number, state: _node(number, state=state), _numbers, st.sampled_from(NodeState)),
    st.builds(lambda number, cpus: _node(number, cpus=cpus), _numbers, st.sampled_from([1.0, 8.0])),
    st.builds(
        lambda number, rack: _node(number, attributes={"rack": rack}), _numbers, st.sampled_from("abc")
    ),
    st.builds(lambda number: _node(number, disks=()), _numbers),
    st.builds(lambda number: _first_disk(number), _numbers),
    st.builds(lambda number: _first_disk(number, signatures=("ext4",)), _numbers),
    st.builds(lambda number: _first_disk(number, path="/dev/sdz"), _numbers),
    st.builds(lambda number: _first_disk(number, label=EngineLabel("feed", "1")), _numbers),
    st.builds(lambda number, leaving: _record(number, leaving=leaving), _numbers, st.booleans()),
    st.builds(lambda number, away: _record(number, in_maintenance=away), _numbers, st.booleans()),
    st.builds(_removed, st.sets(st.sampled_from(["serial:1-sdb", "serial:2-sdc"]))),
    st.builds(_spec, st.sampled_from(SPECS)),
    st.builds(_without, st.integers(1, NODES + 1)),
]
CHANGES = st.lists(st.one_of(st.just(_pass), st.just(_pass), st.just(_again), *_values), max_size=25)


@settings(max_examples=150, deadline=None)
@given(CHANGES)
def test_a_deriver_that_is_used_again_changes_no_decision(changes: list[Change]) -> None:
    world, deriver = World(nodes(NODES), TAKE), Deriver()
    for change in changes:
        change(world)
        warm = decide(world.spec, world.observation, world.state, deriver)
        assert warm == decide(world.spec, world.observation, world.state)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_equal_questions_have_equal_answers_whatever_lies_between(data: st.DataObject) -> None:
    asked: list[tuple[tuple[Node, ...], Memory, str | None]] = []
    for _ in range(2):
        cluster = data.draw(clusters.nodes())
        memory = data.draw(clusters.memories(cluster))
        asked.append((cluster, memory, data.draw(st.sampled_from([None, "ours"]))))
    deriver = Deriver()
    for at in data.draw(st.lists(st.integers(0, 1), max_size=6)):
        cluster, memory, system_id = asked[at]
        found = deriver.derive(Spec(), cluster, memory, system_id=system_id, managers=(), leaving=())
        assert found == derive(Spec(), cluster, memory, system_id=system_id)


def test_what_is_asked_again_is_not_worked_out_again() -> None:
    world, deriver = World(nodes(NODES), TAKE).deploy(), Deriver()
    first = decide(world.spec, world.observation, world.state, deriver)
    _again(world)
    assert decide(world.spec, world.observation, world.state, deriver).topology is first.topology
