"""The API of snapshots: what is shown of them, and what is refused with which status."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from artesian.model.engine import EngineSeen, SeenPool, SeenSnapshot, SeenVolume, SnapshotId
from artesian.model.wishes import SnapshotWish, VolumeWish
from tests.api.test_api import Access, api, fresh, scheduler
from tests.scheduler.cases import GIB, POOL

__all__ = ["api", "fresh", "scheduler"]  # fixtures
KEPT = SnapshotWish("kept", begun=True, taken=True, engine_id="7")
LOST = SnapshotWish("lost", begun=True, taken=True, engine_id="6")
DATA = VolumeWish("data", POOL, 2 * GIB, engine_id="v1", begun=True, snapshots=(KEPT, LOST))
ENGINE = EngineSeen(
    "abc",
    pools=(SeenPool("p", POOL, 30 * GIB, 0, 9 * GIB),),
    volumes=(
        SeenVolume("v1", "data", POOL, 2 * GIB, snapshots=(SeenSnapshot("7", "kept", GIB, 1000.5),)),
        SeenVolume("v2", "copy", POOL, GIB),
    ),
    offers_snapshots=True,
)


@pytest.fixture
def known(api: Access) -> Access:
    """An engine with a volume, a snapshot of it, and a copy of that."""
    show(api, ENGINE)
    copy = VolumeWish("copy", POOL, GIB, engine_id="v2", begun=True, source=SnapshotId("v1", "7"))
    volumes = MappingProxyType({"data": DATA, "copy": copy})
    api.scheduler.memory.change(lambda state: replace(state, volumes=volumes))
    return api


def show(api: Access, engine: EngineSeen) -> None:
    verdict = api.scheduler.verdict
    assert verdict is not None
    api.scheduler.verdict = replace(verdict, seen=replace(verdict.seen, engine=engine))


def wishes(api: Access) -> Any:
    return api.scheduler.memory.state.volumes


def test_snapshots_are_shown_with_what_was_made_of_them(known: Access) -> None:
    kept, lost = known.ask("GET", "/v1/snapshots").json()
    assert kept == {
        "volume": "data", "name": "kept", "id": "7", "size_bytes": GIB, "taken_at_s": 1000.5,
        "clones": ["copy"], "deleted": False, "ready": True, "because": "",
    }  # fmt: skip
    assert (lost["name"], lost["ready"], lost["size_bytes"]) == ("lost", False, None)
    assert lost["because"].startswith("it is not in the engine any more, and is not taken anew")
    assert known.ask("GET", "/v1/snapshots", volume="data").json() == [kept, lost]
    assert known.ask("GET", "/v1/snapshots", volume="copy").json() == []
    assert known.problem(404, "not-there", "GET", "/v1/snapshots", volume="none")
    assert known.ask("GET", "/v1/volumes/data/snapshots/kept").json() == kept


def test_a_snapshot_is_wished_for_shown_and_taken_back(known: Access) -> None:
    answer = known.ask("POST", "/v1/volumes/data/snapshots", {"name": "monday"})
    assert (answer.status_code, answer.json()) == (202, {"volume": "data", "name": "monday"})
    shown = known.ask("GET", "/v1/volumes/data/snapshots/monday").json()
    assert (shown["ready"], shown["because"]) == (False, "it is under way")
    assert known.ask("DELETE", "/v1/volumes/data/snapshots/monday").status_code == 202
    assert wishes(known)["data"].snapshot("monday") == SnapshotWish("monday", deleted=True)


def test_a_volume_is_wished_for_with_what_a_snapshot_has(known: Access) -> None:
    answer = known.ask("POST", "/v1/volumes/data/snapshots/kept/clone", {"name": "second"})
    assert (answer.status_code, answer.json()) == (202, {"name": "second", "warnings": []})
    assert wishes(known)["second"] == VolumeWish("second", POOL, GIB, source=SnapshotId("v1", "7"))
    kept = known.ask("GET", "/v1/volumes/data/snapshots/kept").json()
    assert kept["clones"] == ["copy", "second"]
    said = known.problem(409, "conflict", "DELETE", "/v1/volumes/data/snapshots/kept")
    assert "is being copied to volume second" in said


def test_a_volume_goes_with_its_snapshots_only_if_that_is_said(known: Access) -> None:
    said = known.problem(409, "conflict", "DELETE", "/v1/volumes/data")
    assert "volume data has snapshots (kept, lost)" in said and "--with-snapshots" in said
    assert known.ask("DELETE", "/v1/volumes/data", with_snapshots=True).status_code == 202
    assert wishes(known)["data"].deleted


@pytest.mark.parametrize(
    ("status", "title", "method", "path", "body"),
    [
        (404, "not-there", "POST", "/v1/volumes/none/snapshots", {"name": "a"}),
        (409, "conflict", "POST", "/v1/volumes/data/snapshots", {"name": "kept"}),
        (422, "not-possible", "POST", "/v1/volumes/data/snapshots", {"name": "-"}),
        (400, "malformed", "POST", "/v1/volumes/data/snapshots", {"nam": "a"}),
        (404, "not-there", "GET", "/v1/volumes/data/snapshots/none", None),
        (404, "not-there", "DELETE", "/v1/volumes/data/snapshots/none", None),
        (404, "not-there", "POST", "/v1/volumes/data/snapshots/none/clone", {"name": "a"}),
        (409, "conflict", "POST", "/v1/volumes/data/snapshots/kept/clone", {"name": "copy"}),
        (409, "conflict", "POST", "/v1/volumes/data/snapshots/lost/clone", {"name": "a"}),
    ],
)
def test_what_cannot_be_is_refused(
    known: Access, status: int, title: str, method: str, path: str, body: Any
) -> None:
    before = known.scheduler.memory.state
    assert known.problem(status, title, method, path, body)
    assert known.scheduler.memory.state == before


def test_an_engine_without_snapshots_says_so(known: Access) -> None:
    show(known, replace(ENGINE, offers_snapshots=False))
    said = known.problem(422, "not-possible", "POST", "/v1/volumes/data/snapshots", {"name": "a"})
    assert said.startswith("this engine has no snapshots of volumes (Ceph has): copy what is on the volume")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/snapshots"),
        ("POST", "/v1/volumes/data/snapshots"),
        ("DELETE", "/v1/volumes/data/snapshots/kept"),
        ("POST", "/v1/volumes/data/snapshots/kept/clone"),
    ],
)
def test_only_users_may(known: Access, method: str, path: str) -> None:
    token = known.scheduler.agent_token("n1")
    assert known.ask(method, path, {"name": "a"}, token=token).status_code == 401
    assert known.ask(method, path, {"name": "a"}, token="wrong").status_code == 401
