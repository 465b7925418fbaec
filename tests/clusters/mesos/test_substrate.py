"""The framework's life, as the substrate has it, without a Mesos."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from artesian.clusters.mesos import substrate
from artesian.clusters.mesos.settings import MesosSettings
from artesian.clusters.mesos.substrate import MesosCluster
from artesian.clusters.port import SubstrateUnusable
from artesian.mesos.errors import FailedOver, FrameworkRemoved
from artesian.model.errors import ArtesianError
from artesian.store.port import NotLeading
from tests.clusters.memory import Memory

MASTER, URL = "http://127.0.0.1:9", "http://127.0.0.1:8700"


class Framework:
    """One that does nothing, and fails when it is told to."""

    made: list[Framework] = []

    def __init__(self, _access: object, info: Mapping[str, Any], *_: object) -> None:
        self.id = info["id"]["value"]
        self.failure: ArtesianError | None = None
        self.made.append(self)

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def poke(self) -> None: ...


@pytest.fixture
def frameworks(monkeypatch: pytest.MonkeyPatch) -> list[Framework]:
    Framework.made = []
    monkeypatch.setattr(substrate, "MesosFramework", Framework)
    return Framework.made


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def now() -> list[float]:
    return [0.0]


@pytest.fixture
def cluster(frameworks: list[Framework], memory: Memory, now: list[float]) -> MesosCluster:
    return MesosCluster(MesosSettings(MASTER), memory, URL, lambda: "0" * 64, lambda: now[0])


def with_other_settings(memory: Memory, **settings: str) -> MesosCluster:
    """The same cluster, as its next scheduler has it."""
    return MesosCluster(MesosSettings(MASTER, **settings), memory, URL, lambda: "0" * 64)


def test_one_whose_place_was_taken_comes_back_after_a_while_as_the_same(
    cluster: MesosCluster, frameworks: list[Framework], now: list[float]
) -> None:
    cluster.tasks()
    frameworks[0].failure = FailedOver("another scheduler has subscribed with our framework id")
    cluster.tasks()
    assert len(frameworks) == 1
    with pytest.raises(SubstrateUnusable, match="another scheduler"):
        cluster.leave()
    now[0] += 6.0
    cluster.tasks()
    assert len(frameworks) == 2
    assert frameworks[0].id == frameworks[1].id


def test_one_that_leads_no_more_throws_nobody_out(
    cluster: MesosCluster, frameworks: list[Framework], memory: Memory, now: list[float]
) -> None:
    cluster.tasks()
    frameworks[0].failure = FailedOver("another scheduler has subscribed with our framework id")
    memory.leads = False
    cluster.tasks()
    now[0] += 6.0
    with pytest.raises(NotLeading):
        cluster.tasks()
    assert len(frameworks) == 1


def test_a_role_is_kept_until_all_is_given_back(
    cluster: MesosCluster, frameworks: list[Framework], memory: Memory
) -> None:
    cluster.tasks()
    other = with_other_settings(memory, role="other")
    with pytest.raises(
        SubstrateUnusable, match="kept for role artesian, not other: go on with --role artesian"
    ):
        other.tasks()
    frameworks[0].failure = FrameworkRemoved("Mesos takes our framework id no more")
    cluster.tasks()  # what was kept is so still, by its label
    with pytest.raises(SubstrateUnusable, match="role artesian"):
        other.tasks()
    cluster._forget()
    other.tasks()


def test_the_folder_of_nodes_stays_until_the_cluster_is_taken_down(
    cluster: MesosCluster, frameworks: list[Framework], memory: Memory
) -> None:
    cluster.tasks()
    other = with_other_settings(memory, node_folder="/srv/artesian")
    with pytest.raises(
        SubstrateUnusable, match="go on with --node-folder /var/lib/artesian, or take it down"
    ):
        other.tasks()
    cluster._forget()
    other.tasks()


def test_one_that_mesos_has_removed_is_followed_by_another_at_once(
    cluster: MesosCluster, frameworks: list[Framework]
) -> None:
    cluster.tasks()
    frameworks[0].failure = FrameworkRemoved("Mesos takes our framework id no more")
    cluster.tasks()
    assert len(frameworks) == 2
    assert frameworks[0].id != frameworks[1].id
