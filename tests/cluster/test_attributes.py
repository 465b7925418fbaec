"""Nodes whose attributes say which disks they give to which pools, as operators have written them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.cases import Cluster

INPUTS = Path(__file__).parent.parent / "inputs" / "attributes"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as made:
        made.run("up", "--nodes", "3", "--disk-size", "1GiB", "--attributes", INPUTS / "two-domains", "--yes")
        yield made


def test_two_domains_have_the_three_pools_that_the_attributes_name(cluster: Cluster) -> None:
    devices = {pool["name"]: pool["devices"] for pool in cluster.get("/status")["pools"]}
    assert devices == {
        "mydomain/mypool": 3,
        "myotherdomain/freshwaterpool": 3,
        "myotherdomain/saltwaterpool": 6,
    }


def test_every_node_serves_both_domains(cluster: Cluster) -> None:
    for name in ("node-1", "node-2", "node-3"):
        roles = cluster.node(name)["roles"]
        assert {"server of mydomain", "server of myotherdomain", "client"} <= set(roles)


def test_a_volume_is_made_in_the_pool_that_is_named(cluster: Cluster) -> None:
    cluster.run("volume", "create", "fresh", "1GiB", "--pool", "myotherdomain/freshwaterpool")
    assert [one["pool"] for one in cluster.get("/volumes")] == ["myotherdomain/freshwaterpool"]
