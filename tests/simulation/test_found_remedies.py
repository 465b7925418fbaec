"""Small reproductions of what drills of remedies have found."""

from __future__ import annotations

import pytest

from artesian.model.disk import PoolName
from artesian.model.remedy import RELEASED, PartState, Remedy, RemedyState
from artesian.remedy.capacity import capacities
from artesian.remedy.parts import Choice
from artesian.scheduler import requests
from artesian.scheduler.remedy_requests import reject_remedy
from tests.simulation.cloud import Fate
from tests.simulation.nodes import make_node
from tests.simulation.scheduler import simulated
from tests.simulation.test_found import ticks
from tests.simulation.world import World

POOL = PoolName("default", "default")
SPEC = """
new_disks: {new_disks}
new_nodes: take
default_rules: no
providers: [{{name: cloud, kind: ebs, lead_time: 30s}}]
rules:
  - name: expand
    remedy: expand-pool
    when: used_share > 70%
    approval: automatic
    parameters: {{disks: 2}}
  - name: replace
    remedy: replace-device
    when: failed and ours
    approval: automatic
"""


def full(new_disks: str = "take", seed: int = 0) -> World:
    """A cluster that is deployed, with a pool that fills up."""
    nodes = [make_node(number, 1) for number in range(4)]
    world = World(nodes, SPEC.format(new_disks=new_disks), seed=seed, prompt=True)
    assert world.settle(60) < 60
    fill(world, 0.8)
    return world


def fill(world: World, share: float) -> None:
    """So much of what the pool may hold is written."""
    pool = world.system.pools[POOL]
    pool.used_bytes = int(share * capacities(world.system.seen())[POOL])


def expansion(world: World) -> Remedy:
    """The first one."""
    return min(world.store.state().remedies.values(), key=lambda one: one.created_s)


def wait(world: World, state: RemedyState, patience_s: float = 900, tick_s: float = 1.0) -> None:
    """Until the remedy is in this state."""
    for _ in range(int(patience_s / tick_s)):
        remedies = world.store.state().remedies.values()
        if any(one.state is state for one in remedies):
            return
        world.tick(tick_s)
    pytest.fail(f"it is not {state}: {[str(one) for one in world.store.state().remedies.values()]}")


def test_a_pool_is_expanded() -> None:
    world = full("ask")
    with simulated(world.clock):
        wait(world, RemedyState.HELPED)
    assert len(world.system.devices) == 6


def test_a_provider_that_does_not_answer_for_a_while_is_waited_for() -> None:
    """It was as if it had refused: the remedy failed, and the next one had to be agreed to."""
    world = full()
    with simulated(world.clock):
        world.cloud.faults.unreachable = True
        ticks(world, 120)
        assert expansion(world).state is RemedyState.ACTING
        assert "does not answer" in expansion(world).detail
        world.cloud.faults.unreachable = False
        wait(world, RemedyState.HELPED)


def test_a_provider_that_never_answers_is_not_waited_for_for_ever() -> None:
    world = full()
    with simulated(world.clock):
        world.cloud.faults.expired = True
        wait(world, RemedyState.ACTING)
        for _ in range(70):
            world.tick(10.0)
        assert expansion(world).state is RemedyState.FAILED
        assert "the credentials have expired" in expansion(world).detail


def test_nothing_is_chosen_by_a_scheduler_that_has_heard_of_no_node_yet() -> None:
    """It found no node that could take a disk, and the remedy failed."""
    world = full()
    with simulated(world.clock):
        wait(world, RemedyState.ACTING)
        world.kill("a new version")
        world.faults.away = True
        for node in world.nodes.values():
            node.cut_off = True
        ticks(world, 40)
        assert expansion(world).state is RemedyState.ACTING and not expansion(world).parts
        for node in world.nodes.values():
            node.cut_off = False
        world.faults.away = False
        wait(world, RemedyState.HELPED)
    assert expansion(world).disks == 2


def test_nothing_is_asked_for_while_everything_is_paused() -> None:
    world = full()
    with simulated(world.clock):
        wait(world, RemedyState.ACTING)
        world.ask(lambda state, _: requests.pause(state, paused=True))
        world.calls.lose()
        assert not world.cloud.disks
        world.kill("a new version")
        ticks(world, 60)
        assert not world.cloud.disks
        world.ask(lambda state, _: requests.pause(state, paused=False))
        wait(world, RemedyState.HELPED)


def test_a_disk_that_turned_up_elsewhere_and_was_taken_there_stays() -> None:
    """It was given up where it had been asked for, and released where it was in use."""
    world = full("take")
    with simulated(world.clock):
        while len(world.cloud.disks) < 2:
            world.tick()
        astray = next(iter(world.cloud.disks.values()))
        astray.fate = Fate.ASTRAY
        for _ in range(120):
            world.tick(10.0)
    assert astray.identity in world.system.devices and astray.id in world.cloud.disks


@pytest.mark.parametrize("seed", range(8))
def test_a_disk_that_is_on_its_way_out_is_taken_by_nobody(seed: int) -> None:
    """It turned up after it had been given up: the planner took it while it was being detached."""
    world = full("take", seed)
    with simulated(world.clock):
        while len(world.cloud.disks) < 2:
            world.tick()
        late = next(iter(world.cloud.disks.values()))
        late.fate = Fate.HIDDEN
        while part_state(world, late.token) is not PartState.GIVEN_UP:
            world.tick(5.0)
        ticks(world, seed)
        world.cloud.show(late)
        for _ in range(120):
            world.tick(5.0)
    assert late.identity in world.system.devices or late.id not in world.cloud.disks


def test_what_a_remedy_was_still_waiting_for_when_it_failed_is_given_back() -> None:
    """It was asked for once more in the very pass in which the remedy failed, and forgotten then."""
    world = full()
    with simulated(world.clock):
        world.cloud.faults.quota, world.cloud.faults.slow = 1, 1000.0
        wait(world, RemedyState.FAILED, 3000)
        assert "the quota is used up" in expansion(world).detail
        world.cloud.faults.end()
        for _ in range(200):
            world.tick(5.0)
    assert not world.cloud.disks
    assert {part.detail for part in expansion(world).parts} == {RELEASED}


def part_state(world: World, token: str) -> PartState:
    """How far a disk has come."""
    remedies = world.store.state().remedies.values()
    return next(part.state for one in remedies for part in one.parts if part.token == token)


def test_an_expansion_that_loses_disks_while_it_chooses_is_not_content_with_less_than_two() -> None:
    """What it had found to be enough was not there any more when the answer came."""
    world = full()
    with simulated(world.clock):
        assert world.scheduler is not None
        world.scheduler.remediator.would_choose = lambda *_: Choice(enough=True)  # type: ignore[method-assign]
        wait(world, RemedyState.ACTING)
        wanted = []
        for _ in range(60):
            world.tick()
            wanted.append(expansion(world).disks)
        assert sorted(wanted) == wanted and wanted[-1] == 2
        world.kill("it forgets that")
        wait(world, RemedyState.HELPED)


def test_what_was_rejected_stays_so_when_another_rule_was_not_needed_since() -> None:
    """Only the last remedy counted, whoever had raised it."""
    other = (
        "  - {name: other, remedy: expand-pool, when: used_share > 75%, approval: automatic, cooldown: 1m}\n"
    )
    nodes = [make_node(number, 1) for number in range(4)]
    world = World(nodes, SPEC.format(new_disks="take").replace("automatic", "ask", 1) + other, prompt=True)
    assert world.settle(60) < 60
    with simulated(world.clock):
        fill(world, 0.72)
        wait(world, RemedyState.ASKING)
        world.ask(lambda state, _: reject_remedy(state, expansion(world).id, "me", world.clock.now_s))
        world.ask(lambda state, _: requests.pause(state, paused=True))
        fill(world, 0.8)
        wait(world, RemedyState.HELD)
        fill(world, 0.6)
        wait(world, RemedyState.NOT_NEEDED)
        fill(world, 0.72)
        ticks(world, 600)
    assert [one.rule for one in world.store.state().remedies.values()] == ["expand", "other"]


def test_a_clock_that_is_set_back_does_not_make_it_tell_the_same_again_and_again() -> None:
    """What had begun in a time still to come was told anew whenever its rule had cooled down."""
    world = full()
    tell = "  - {name: tell, remedy: notify, scope: pool, when: used_share > 50%, cooldown: 1m}\n"
    text = SPEC.format(new_disks="take").replace("70%", "99%") + tell
    world.ask(lambda state, _: requests.set_spec(state, text))
    with simulated(world.clock, world.wall):
        wait(world, RemedyState.HELPED)
        world.wall.wrong_by_s = -86_400.0
        for _ in range(60):
            world.tick(60.0)
    assert len(world.store.state().remedies) == 2


def test_a_dead_node_that_is_removed_has_its_manager_replaced() -> None:
    """The new manager waited for the old one to answer, the old one for the new one to be there."""
    world = full()
    when = "gone and away_s > 1m and in_use"
    remove = f"  - {{name: remove, remedy: remove-node, when: {when}, approval: automatic}}\n"
    text = SPEC.format(new_disks="take").replace("70%", "99%") + remove
    world.ask(lambda state, _: requests.set_spec(state, text))
    name = world.system.managers[1].node
    with simulated(world.clock):
        world.nodes[name].power_off()
        world.nodes[name].gone = True
        wait(world, RemedyState.HELPED, 2000, 10.0)
        ticks(world, 30)
    assert sorted({*world.nodes} - {name}) == sorted(place.node for place in world.system.managers)
