"""Small reproductions of what drills have found."""

from __future__ import annotations

import random

from artesian.model.disk import PoolName
from artesian.model.wishes import VolumeWish
from artesian.scheduler import requests
from artesian.scheduler.node_requests import remove_disk, remove_node
from artesian.scheduler.volume_requests import (
    attach_volume,
    create_volume,
    delete_volume,
    detach_volume,
    rename_volume,
)
from tests.simulation import agents
from tests.simulation.drill import labelled
from tests.simulation.events import Events
from tests.simulation.nodes import GIB, SimulatedNode, make_node
from tests.simulation.scheduler import simulated
from tests.simulation.test_crash_points import attach
from tests.simulation.world import World

POOL = PoolName("default", "default")
TAKE_ALL = "{new_disks: take, new_nodes: take}"


def healthy(nodes: list[SimulatedNode]) -> World:
    """A cluster that is deployed, with a volume that is attached to the last node."""
    world = World(nodes, TAKE_ALL, prompt=True)
    with simulated(world.clock):
        assert world.settle(60) < 60
        wish = VolumeWish("v", POOL, 8 * GIB, node=nodes[-1].name)
        assert world.ask(lambda state, seen: create_volume(state, seen, wish)) == ""
        assert world.settle(60) < 60
        ticks(world, 5)
    assert nodes[-1].attached
    return world


def ticks(world: World, count: int) -> None:
    """Time passes."""
    for _ in range(count):
        world.tick()


def four_nodes() -> list[SimulatedNode]:
    return [make_node(number, 2) for number in range(4)]


def test_a_node_is_removed_wholly() -> None:
    """RemoveClient waits until the client is disconnected, and the node runs it until that is done."""
    world = healthy([*four_nodes(), make_node(4, 2)])
    with simulated(world.clock):
        world.tick()
        assert world.ask(lambda state, seen: remove_node(state, seen, "node-00003")) == ""
        assert world.settle(100) < 100, world.verdict


def test_removals_follow_one_another() -> None:
    """The second tombstone comes while the first disk's data is moving, and sorts before it."""
    world = healthy(four_nodes())
    with simulated(world.clock):
        for name in ("node-00002", "node-00001"):
            remove = f"wwn:{name}-b"
            world.ask(lambda state, seen, name=name, remove=remove: remove_disk(state, seen, name, remove))
            ticks(world, 2)


def test_agents_that_come_one_after_the_other_get_three_managers() -> None:
    """The first node that reports becomes the only manager of three, for ever."""
    nodes = four_nodes()
    for node in nodes[1:]:
        node.cut_off = True
    world = World(nodes, TAKE_ALL, prompt=True)
    with simulated(world.clock):
        ticks(world, 3)
        for node in nodes[1:]:
            node.cut_off = False
        assert world.settle(100) < 100
    assert len(world.system.managers) == 3


def test_an_unheard_node_may_have_an_engine_of_ours() -> None:
    """The store is lost, and the node whose disk says so has not reported yet."""
    nodes = four_nodes()
    labelled(nodes[3]).cut_off = True
    world = World(nodes, TAKE_ALL, prompt=True)
    with simulated(world.clock):
        ticks(world, 20)


def test_a_copied_disk_is_not_unique_because_the_other_was_not_heard_of_yet() -> None:
    """After a restart of the scheduler, the node with the other disk of this identity is silent."""
    nodes = four_nodes()
    world = healthy(nodes)
    with simulated(world.clock):
        for node in nodes[:2]:
            twin = make_node(9, 1).disks["wwn:node-00009-b"]
            node.disks["twin"] = twin
            node.change_disk("twin", path="/dev/sdx")
        ticks(world, 5)
        assert "wwn:node-00009-b" not in world.store.state().claims
        world.kill("a new version")
        nodes[0].cut_off = True
        ticks(world, 10)


def test_a_volume_is_not_taken_on_the_word_of_an_old_report() -> None:
    """The node was told to attach, and did; its last report is older, and names an older assignment."""
    nodes = four_nodes()
    world = healthy(nodes)
    with simulated(world.clock):
        world.ask(attach("v", "node-00001"))
        nodes[1].power_off()  # so that nothing but the next lines happens to it
        world.settle(20)
        ticks(world, 8)
        nodes[1].powered = nodes[1].agent = True
        while nodes[1].name not in users_of(world):
            report_only_before_attaching(world, nodes[1])
        world.ask(attach("v", "node-00002"))
        world.one_pass()


def users_of(world: World) -> list[str]:
    return [node.name for node in world.nodes.values() if node.attached]


def report_only_before_attaching(world: World, node: SimulatedNode) -> None:
    """A second in which the node's report goes out first, and its work follows."""
    assert world.scheduler is not None
    world.clock.now_s += 1
    world.system.tick()
    for one in world.nodes.values():
        report = agents.report_of(one)
        world.scheduler.hear(report)
        world.watch.heard[one.name] = report
    world.one_pass()
    answer = world.scheduler.assignment(node.name)
    assert answer is not None
    agents.take(node, *answer)
    agents.work(node, world.system, world.chance)


def test_a_volume_with_a_new_name_is_deleted() -> None:
    """Deleting by the new name, before the engine knows it, deletes nothing and forgets the volume."""
    world = healthy(four_nodes())
    with simulated(world.clock):
        world.ask(lambda state, seen: detach_volume(state, seen, "v", force=False))
        assert world.settle(60) < 60
        world.ask(lambda state, seen: rename_volume(state, seen, "v", "w"))
        world.ask(lambda state, _: delete_volume(state, "w"))
        world.settle(60)
    assert not world.store.state().volumes
    assert not world.system.volumes


def test_force_helps_after_a_move_that_was_held_back() -> None:
    """As the held step itself tells the user to do: first without force, and then with it."""
    nodes = four_nodes()
    world = healthy(nodes)
    with simulated(world.clock):
        nodes[3].cut_off = True
        ticks(world, 12)
        world.ask(attach("v", "node-00001"))
        ticks(world, 5)
        world.ask(
            lambda state, seen: attach_volume(
                state, seen, "v", "node-00001", mount_path=None, fstype=None, force=True
            )
        )
        ticks(world, 10)
    assert nodes[1].attached


def test_a_volume_that_comes_back_meets_nothing_of_its_earlier_stay() -> None:
    """Cut off, written elsewhere, and brought back: the attachment that the node has kept is not the new
    one, and nothing is mapped to the node before it has let go of that."""
    nodes = four_nodes()
    world = healthy(nodes)
    with simulated(world.clock):
        nodes[3].agent = False
        nodes[3].cut_off = True
        ticks(world, 3)
        world.ask(
            lambda state, seen: attach_volume(
                state, seen, "v", "node-00001", mount_path=None, fstype=None, force=True
            )
        )
        while not nodes[1].attached:
            world.tick()
        (first,) = nodes[3].attached.values()
        world.ask(attach("v", "node-00003"))
        ticks(world, 20)
        assert not any(volume.writers for volume in world.system.volumes.values())
        assert nodes[3].attached == {first.volume_id: first}
        nodes[3].cut_off = False
        assert world.settle(60) < 60, world.verdict
        ticks(world, 5)
    assert nodes[3].attached[first.volume_id].generation == first.generation + 2


def test_a_spec_without_the_pool_takes_no_server_away() -> None:
    """'What is claimed stays claimed' (requests.set_spec); its servers have to stay too."""
    world = healthy(four_nodes())
    with simulated(world.clock):
        world.ask(lambda state, _: requests.set_spec(state, f"{TAKE_ALL[:-1]}, global_pool: none}}"))
        ticks(world, 10)


def test_a_claimed_disk_with_the_label_of_another_engine_is_not_taken() -> None:
    """A claim was stored, the disk was away before it was added, and comes back as somebody else's."""
    nodes = four_nodes()
    world = World(nodes, TAKE_ALL, prompt=True)
    with simulated(world.clock):
        while "wwn:node-00003-b" not in world.store.state().claims:
            world.faults.refused = 1.0 if len(world.system.servers) == 4 else 0.0
            world.tick()
        assert "wwn:node-00003-b" not in world.system.devices
        labelled(nodes[3])
        world.faults.refused = 0.0
        ticks(world, 20)


def test_faults_end() -> None:
    """The drill's own ending leaves nothing broken."""
    world = healthy(four_nodes())
    events = Events(world, random.Random(5))
    with simulated(world.clock):
        for node in list(world.nodes.values())[:3]:
            node.power_off()
        ticks(world, 20)
        events.stop()
        assert world.settle(100) < 100
