"""What in a spec does nothing as things are is said, each with what there is instead."""

from __future__ import annotations

from dataclasses import replace

import pytest

from artesian.model.disk import Disk, Media
from artesian.model.node import Node, NodeState
from artesian.model.observation import Observation
from artesian.model.topology import Topology, WantedPool
from artesian.remedy.checking import read_whole_spec
from artesian.remedy.idle import IdleFacts, idle_parts
from artesian.remedy.measuring import Known, measure
from tests.remedy.observed import GIB, POOL, seen, state

RULE = "rules: [{name: full, scope: %s, when: '%s', remedy: notify, things: [%s]}]\n"
CLOUD = "providers: [{name: amazon, kind: ebs, region: eu-central-1}]\n"


def facts(text: str, observation: Observation | None = None, *, on_machines: bool = False) -> IdleFacts:
    """Of three nodes with a disk each, all well."""
    observation = observation or seen(nodes=tuple(map(with_disk, seen().nodes)))
    topology = Topology(pools=(WantedPool(POOL, "it is there"),))
    measured = measure(observation, state(), Known())
    return IdleFacts(read_whole_spec(text), observation, state(), topology, measured, on_machines)


def with_disk(node: Node) -> Node:
    return replace(node, disks=(Disk("/dev/sdb", f"serial:{node.name}", 10 * GIB, media=Media.HDD),))


def with_attribute(observation: Observation, key: str) -> Observation:
    first, *others = observation.nodes
    return replace(observation, nodes=(replace(first, attributes={key: "i-0123456789"}), *others))


def said(text: str, observation: Observation | None = None, *, on_machines: bool = False) -> list[str]:
    return list(idle_parts(facts(text, observation, on_machines=on_machines)))


def test_nothing_is_said_of_a_spec_all_of_which_does_something() -> None:
    assert said("") == []
    assert said("pools: [{name: gold, nodes: {names: ['node-*']}, disks: {media: hdd}}]\n") == []
    assert (
        said("managers: {nodes: {names: [node-1]}}\ndrills: [{name: kill-server, every: 7d, node: node-2}]")
        == []
    )


@pytest.mark.parametrize(
    ("scope", "when", "names", "there"),
    [
        ("pool", "used_share > 80%", "'engineering/*'", "pool default/default"),
        ("node", "away_s > 10m", "'db-*', web", "node node-1, node node-2, node node-3"),
        ("volume", "used_share > 80%", "dta", "volume data"),
        ("manager", "away_s > 10m", "'10.9.*'", "manager on node node-1"),
        ("device", "failed", "'node-4:*'", "/dev/sdb"),
    ],
)
def test_a_rule_for_things_that_are_not_there_is_named(scope: str, when: str, names: str, there: str) -> None:
    (words,) = said(RULE % (scope, when, names))
    assert words.startswith(f"rule full is for nothing: no {scope} is called ")
    assert names.replace("'", "").split(", ")[0] in words
    assert there in words


@pytest.mark.parametrize(
    ("scope", "when", "names"),
    [
        ("pool", "used_share > 80%", "default"),
        ("pool", "used_share > 80%", "'silver', 'default/*'"),
        ("node", "away_s > 10m", "node-2"),
        ("volume", "used_share > 80%", "'d*'"),
        ("device", "failed", "'node-1:*'"),
        ("cluster", "nodes_away > 1", "cluster"),
    ],
)
def test_nothing_is_said_of_one_that_means_something(scope: str, when: str, names: str) -> None:
    assert said(RULE % (scope, when, names)) == []


def test_pools_and_volumes_that_there_are_to_be_count() -> None:
    nothing_yet = seen(engine=None)
    assert said(RULE % ("pool", "used_share > 80%", "default"), nothing_yet) == []
    assert len(said(RULE % ("pool", "used_share > 80%", "gold"), nothing_yet)) == 1
    young = replace(seen(), engine=replace(seen().engine, volumes=()))
    assert said(RULE % ("volume", "used_share > 80%", "data"), young) == []


def test_of_what_cannot_be_seen_now_nothing_is_said() -> None:
    for scope, when in (("device", "failed"), ("volume", "used_share > 80%"), ("manager", "away_s > 1m")):
        assert said(RULE % (scope, when, "nobody"), seen(engine=None)) == []


def test_volumes_of_a_cloud_reach_no_folder() -> None:
    (words,) = said(CLOUD)
    assert words == (
        "provider amazon can give no disk: it attaches volumes to instances, these nodes are folders of one "
        "machine, and none has the attribute ec2-instance-id to say which instance it is"
    )
    assert said(CLOUD, on_machines=True) == []
    assert said(CLOUD, with_attribute(seen(), "ec2-instance-id")) == []
    other = CLOUD.replace("region", "instance_attribute: machine, region")
    assert "attribute machine" in said(other, with_attribute(seen(), "ec2-instance-id"))[0]
    assert said(other, with_attribute(seen(), "machine")) == []


def test_selectors_of_nodes_that_select_none_are_named() -> None:
    (words,) = said("pools: [{name: gold, nodes: {names: ['db-*'], attributes: {tier: fast}}}]")
    assert words == (
        "pool default/gold: its nodes are those called db-*, with tier=fast, and none of the nodes is "
        "(node-1, node-2, node-3)"
    )
    (words,) = said("managers: {nodes: {names: [control-1, control-2]}}")
    assert words.startswith("managers: its nodes are those called control-1 or control-2, and none")


def test_a_selector_of_disks_that_selects_none_is_named() -> None:
    text = "pools: [{name: gold, disks: {media: ssd}}]"
    (words,) = said(text)
    assert words.startswith("pool default/gold: its `disks` select none of the 3 disks")


def test_disks_of_nodes_that_have_not_reported_may_be_selected_yet() -> None:
    text = "pools: [{name: gold, disks: {media: ssd}}]"
    first, *others = map(with_disk, seen().nodes)
    silent = (replace(first, state=NodeState.SILENT), *others)
    assert said(text, seen(nodes=silent)) == []
    assert said(text, seen()) == []  # they have no disks at all, and nothing is known of those to come


def test_a_drill_on_a_node_that_is_not_there_is_named() -> None:
    (words,) = said("drills: [{name: kill-server, every: 7d, node: node-9}]")
    assert words == "drill kill-server is for nothing: there is no node node-9 (node-1, node-2, node-3)"


def test_long_lists_are_cut() -> None:
    many = tuple(Node(f"n{at:02}", "10.0.0.1") for at in range(30))
    (words,) = said("managers: {nodes: {names: [control]}}", seen(nodes=many, engine=None))
    assert words.endswith("n06, n07 and 22 more)")
