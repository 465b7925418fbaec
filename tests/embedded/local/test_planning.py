"""What an engine is to consist of: new, extended, or asked for what cannot be."""

from __future__ import annotations

import itertools
import socket
from pathlib import Path

import pytest

from artesian.embedded.errors import ConfigError
from artesian.embedded.local import addresses, description, planning
from artesian.embedded.local.description import EngineDescription
from artesian.embedded.local.errors import InTheWay, NotThere
from artesian.embedded.local.planning import Wish

GIB = 1 << 30


def test_without_a_wish_it_has_three_nodes_with_two_disks_and_three_managers(tmp_path: Path) -> None:
    made = planning.make(Wish(), tmp_path)
    assert [node.name for node in made.nodes] == ["node-1", "node-2", "node-3"]
    assert [[disk.size_bytes for disk in node.disks] for node in made.nodes] == [[2 * GIB] * 2] * 3
    assert [manager.role for manager in made.managers] == ["Manager", "Manager", "TieBreaker"]
    assert [manager.node for manager in made.managers] == [1, 2, 3]
    assert not any(node.taken or node.fault_set for node in made.nodes)


def test_five_managers_on_three_nodes_share_addresses_but_no_ports(tmp_path: Path) -> None:
    made = planning.make(Wish(managers=5), tmp_path)
    assert [manager.role for manager in made.managers] == ["Manager"] * 3 + ["TieBreaker"] * 2
    ports = [(manager.ip, manager.raft_port) for manager in made.managers]
    ports += [(manager.ip, manager.control_port) for manager in made.managers]
    assert len(set(ports)) == 10


def test_every_node_has_an_address_and_a_client_identity_of_its_own(tmp_path: Path) -> None:
    made = planning.make(Wish(nodes=20), tmp_path)
    assert len({node.ip for node in made.nodes}) == len({node.guid for node in made.nodes}) == 20
    assert all(node.ip.startswith(made.network + ".") for node in made.nodes)
    assert made.gateway_ip not in {node.ip for node in made.nodes}


def test_nodes_are_dealt_out_to_fault_sets(tmp_path: Path) -> None:
    made = planning.make(Wish(nodes=7, fault_sets=3), tmp_path)
    assert [node.fault_set for node in made.nodes] == [1, 2, 3, 1, 2, 3, 1]


def test_engines_have_networks_of_their_own() -> None:
    """By a hash of the folder; that two of them are the same is as unlikely as it can be."""
    networks = {addresses.network_for(Path(f"/engines/{number}"), []) for number in range(100)}
    assert len(networks) >= 99
    assert addresses.network_for(Path("/engines/1"), []) == addresses.network_for(Path("/engines/1"), [])


def test_a_network_in_use_is_passed_by(tmp_path: Path) -> None:
    first = addresses.network_for(tmp_path, [planning.SDS_PORT])
    with socket.socket() as taken:
        taken.bind((f"{first}.1", planning.SDS_PORT))
        taken.listen()
        assert addresses.network_for(tmp_path, [planning.SDS_PORT]) != first


def test_a_port_in_use_is_passed_by(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.66.66.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        reserved: set[tuple[str, int]] = set()
        found = addresses.free_port("127.66.66.1", port, reserved)
        assert found > port
        assert addresses.free_port("127.66.66.1", port, reserved) > found
        with pytest.raises(InTheWay, match=f"port {port} is not free"):
            made = planning.make(Wish(), tmp_path).network
            taken_gateway = socket.create_server((f"{made}.{planning.GATEWAY_HOST}", port))
            with taken_gateway:
                planning.make(Wish(gateway_port=port), tmp_path)


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (Wish(nodes=0), "1 to 200 nodes, not 0"),
        (Wish(nodes=201), "1 to 200 nodes, not 201"),
        (Wish(disks_per_node=0), "1 to 64 disks, not 0"),
        (Wish(disks_per_node=65), "1 to 64 disks, not 65"),
        (Wish(disk_size_bytes=1 << 20), "at least 64 MiB"),
        (Wish(managers=2), "1, 3 or 5 managers, not 2"),
        (Wish(fault_sets=2), "at least 3, not 2"),
        (Wish(fault_sets=-1), "at least 3, not -1"),
        (Wish(nodes=3, fault_sets=4), "4 fault sets need at least as many nodes, not 3"),
        (Wish(gateway_port=0), "0 is no port"),
        (Wish(gateway_port=65536), "65536 is no port"),
    ],
)
def test_what_can_never_be(tmp_path: Path, wish: Wish, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        planning.make(wish, tmp_path)


def test_a_folder_whose_sockets_would_have_too_long_names() -> None:
    with pytest.raises(ConfigError, match="its path has at most 89 bytes"):
        planning.make(Wish(), Path("/" + "d" * 89))
    planning.check(Wish(), Path("/" + "d" * 88))


# --- the same engine again


@pytest.fixture
def present(tmp_path: Path) -> EngineDescription:
    made = planning.make(Wish(nodes=3, disks_per_node=2, disk_size_bytes=GIB), tmp_path)
    for node in made.nodes:
        node.taken = True
        for disk in node.disks:
            disk.taken = True
    return made


@pytest.mark.parametrize(
    "wish", [Wish(), Wish(nodes=3), Wish(3, 2, GIB, 3, 0, None), Wish(disk_size_bytes=GIB, fault_sets=0)]
)
def test_the_same_wish_changes_nothing(present: EngineDescription, tmp_path: Path, wish: Wish) -> None:
    before = present.model_copy(deep=True)
    assert not planning.extend(present, wish, tmp_path)
    assert present == before


def test_more_nodes_come_with_the_usual_disks(present: EngineDescription, tmp_path: Path) -> None:
    before = present.model_copy(deep=True)
    assert planning.extend(present, Wish(nodes=5), tmp_path)
    assert present.nodes[:3] == before.nodes
    assert [(node.number, len(node.disks), node.taken) for node in present.nodes[3:]] == [
        (4, 2, False),
        (5, 2, False),
    ]


def test_more_disks_come_to_every_node(present: EngineDescription, tmp_path: Path) -> None:
    assert planning.extend(present, Wish(nodes=4, disks_per_node=3), tmp_path)
    assert [[disk.number for disk in node.disks] for node in present.nodes] == [[1, 2, 3]] * 4
    assert [[disk.taken for disk in node.disks] for node in present.nodes[:3]] == [[True, True, False]] * 3


def test_a_disk_that_was_removed_does_not_come_back(present: EngineDescription, tmp_path: Path) -> None:
    del present.nodes[0].disks[0]
    assert not planning.extend(present, Wish(nodes=3, disks_per_node=2), tmp_path)
    assert [disk.number for disk in present.nodes[0].disks] == [2]


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (Wish(nodes=2), "has 3 nodes; it cannot be started with 2"),
        (Wish(disks_per_node=1), "has 2 disks per node; it cannot be started with 1"),
        (Wish(managers=5), "has 3 managers, not 5; that cannot be changed"),
        (Wish(fault_sets=3), "has 0 fault sets, not 3"),
        (Wish(disk_size_bytes=2 * GIB), "has 1073741824 bytes per disk, not 2147483648"),
        (Wish(gateway_port=9), "gateway port, not 9"),
    ],
)
def test_a_wish_that_contradicts_what_is_there(
    present: EngineDescription, tmp_path: Path, wish: Wish, words: str
) -> None:
    before = present.model_copy(deep=True)
    with pytest.raises(InTheWay, match=words):
        planning.extend(present, wish, tmp_path)
    assert present == before


# --- the description on disk


def test_a_description_is_found_again(present: EngineDescription, tmp_path: Path) -> None:
    description.save(tmp_path, present)
    assert description.load(tmp_path) == present


def test_a_folder_without_an_engine_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotThere, match="there is no engine in"):
        description.load(tmp_path)


def test_an_engine_that_was_moved_is_told_where_it_belongs(
    present: EngineDescription, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    description.save(elsewhere, present)
    with pytest.raises(InTheWay, match=f"was made in {tmp_path}, "):
        description.load(elsewhere)


def test_a_description_with_an_unknown_key_is_refused(present: EngineDescription, tmp_path: Path) -> None:
    description.save(tmp_path, present)
    path = tmp_path / description.FILE_NAME
    path.write_text(path.read_text() + "nods: 3\n")
    with pytest.raises(ConfigError, match="unknown key 'nods'; did you mean 'nodes'"):
        description.load(tmp_path)


def test_nodes_and_disks_are_found_by_their_numbers(present: EngineDescription) -> None:
    assert present.node(2).name == "node-2"
    assert present.node(2).disk(1).number == 1
    with pytest.raises(NotThere, match="there is no node 4; there are 1, 2, 3"):
        present.node(4)
    with pytest.raises(NotThere, match="node-2 has no disk 3"):
        present.node(2).disk(3)


def test_every_combination_that_is_allowed_can_be_made(tmp_path: Path) -> None:
    for nodes, disks, managers in itertools.product((1, 2, 6), (1, 3), (1, 3, 5)):
        made = planning.make(Wish(nodes, disks, GIB, managers), tmp_path)
        assert len(made.nodes) == nodes
        assert len(made.managers) == managers
        assert all(manager.node <= nodes for manager in made.managers)
