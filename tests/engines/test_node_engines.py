"""Which engine a node has: the one that is assigned, and the same one for ever."""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path
from types import SimpleNamespace

import pytest

from artesian.engines.node_engines import EngineOfNode, has_data
from artesian.model.assignment import Assignment

NOTHING = Assignment("n1", "127.0.0.1")
EMBEDDED = Assignment("n1", "127.0.0.1", engine_kind="embedded", system_id="abc")
CEPH = Assignment("n1", "127.0.0.1", engine_kind="ceph", system_id="7d0f3a")


class NodeStandIn:
    """Says what it was asked, and has an address of its own."""

    def __init__(self, folder: Path, secret: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "secret").write_text(secret)
        self.ensured: list[tuple[Assignment, Collection[str]]] = []

    def ensure(self, assignment: Assignment, held_down: Collection[str] = ()) -> list[str]:
        self.ensured.append((assignment, held_down))
        return [f"{len(self.ensured)}"]

    def volume_address(self, volume_id: str) -> str:
        return f"of ceph: {volume_id}"

    def stop(self) -> list[str]:
        return ["stopped"]


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    module = SimpleNamespace(CephNode=NodeStandIn)
    monkeypatch.setitem(sys.modules, "artesian.engines.ceph.node", module)  # type: ignore[arg-type]


def is_ceph(engine: EngineOfNode) -> bool:
    """By what its volumes are called."""
    return engine.volume_address("v1") == "of ceph: v1"


def test_it_is_the_embedded_one_until_ceph_is_assigned(tmp_path: Path) -> None:
    engine = EngineOfNode(tmp_path, "secret")
    engine.become(NOTHING)
    assert not is_ceph(engine) and not (tmp_path / "ceph").exists()
    assert engine.ensure(CEPH, {"osd-1"}) == ["1"]
    assert is_ceph(engine)
    assert (tmp_path / "ceph" / "secret").read_text() == "secret"


def test_it_stays_the_embedded_one_when_that_is_assigned(tmp_path: Path) -> None:
    engine = EngineOfNode(tmp_path, "secret")
    engine.become(EMBEDDED)
    assert engine.volume_address("v1").startswith("nbd+unix:///v1?socket=")


def test_whoever_asks_where_volumes_are_is_told_before_ceph_has_been_started(tmp_path: Path) -> None:
    engine = EngineOfNode(tmp_path, "secret")
    engine.become(CEPH)
    assert is_ceph(engine)


def test_it_is_made_once_and_goes_on(tmp_path: Path) -> None:
    engine = EngineOfNode(tmp_path, "secret")
    assert [engine.ensure(CEPH), engine.ensure(CEPH), engine.ensure(NOTHING)] == [["1"], ["2"], ["3"]]
    assert engine.stop() == ["stopped"]


def test_ceph_is_found_again_by_its_folder_whatever_is_assigned(tmp_path: Path) -> None:
    EngineOfNode(tmp_path, "secret").ensure(CEPH)
    again = EngineOfNode(tmp_path, "secret")
    assert is_ceph(again)
    again.become(NOTHING)
    assert is_ceph(again)


def test_what_ceph_has_left_in_its_folder_is_data(tmp_path: Path) -> None:
    assert not has_data(tmp_path)
    (tmp_path / "ceph").mkdir()
    assert not has_data(tmp_path)
    (tmp_path / "ceph" / "osd~0").mkdir()
    assert has_data(tmp_path)


@pytest.mark.parametrize("name", ["mdm", "sds~a.yaml"])
def test_what_the_embedded_engine_has_left_is_data(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert has_data(tmp_path)
