"""What agents ask of volumes for containers, over a real scheduler without an engine's processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from artesian.api.application import make_application
from artesian.scheduler.loop import Scheduler
from artesian.scheduler.verdict import pass_verdict
from artesian.volumes.ports import VolumeSeen
from tests.api.test_api import Access, explained
from tests.scheduler.cases import GIB, SEEN, STATE, FakeSubstrate, MemoryStore


@pytest.fixture
def api(tmp_path: Path) -> Any:
    scheduler = Scheduler(MemoryStore(), FakeSubstrate("n1", "n2"), tmp_path, "http://127.0.0.1:9")
    scheduler.memory.change(lambda _: STATE)
    with TestClient(make_application(scheduler), raise_server_exceptions=False) as client:
        access = Access(scheduler, client)
        for node in ("n1", "n2"):
            access.report(node)
        yield access


@pytest.fixture
def looked(api: Access) -> Access:
    """After a pass that has seen an engine with a pool."""
    verdict = api.scheduler.one_pass()
    api.scheduler.verdict = pass_verdict(SEEN, verdict.decision, ())
    return api


def body(**more: Any) -> dict[str, Any]:
    return {"path": "/m/idle", "hold": "h1", **more}


def test_a_volume_is_made_mounted_let_go_of_and_deleted(looked: Access) -> None:
    made = looked.agent("n1", "POST", "volumes", {"name": "fresh", "size_bytes": GIB, "limit_iops": 100})
    assert made.status_code == 202
    again = looked.agent("n1", "POST", "volumes", {"name": "fresh", "size_bytes": 2 * GIB})
    assert (again.status_code, again.json()["size_bytes"]) == (202, GIB)
    answer = looked.agent("n1", "PUT", "volumes/fresh/mount", body())
    seen = VolumeSeen.of(answer.json())
    assert (seen.node, seen.mount_path, seen.hold, seen.generation) == ("n1", "/m/idle", "h1", 1)
    assert looked.agent("n1", "DELETE", "volumes/fresh/mount", hold="other").status_code == 202
    assert looked.agent("n1", "GET", "volumes/fresh").json()["node"] == "n1"
    explained(looked.agent("n1", "DELETE", "volumes/fresh"), 409, "conflict")
    assert looked.agent("n1", "DELETE", "volumes/fresh/mount", hold="h1").status_code == 202
    assert looked.agent("n1", "GET", "volumes/fresh").json()["node"] is None
    assert looked.agent("n1", "DELETE", "volumes/fresh").status_code == 202
    assert looked.agent("n1", "GET", "volumes/fresh").json()["deleted"] is True
    told = [event.because for event in looked.scheduler.memory.last_events(10)]
    assert "a container of node n1 wants volume fresh" in told
    assert "no container of node n1 uses volume fresh any more" in told


def test_a_path_that_no_kernel_takes_is_refused(looked: Access) -> None:
    for path in ("m", "/m\0", "/" + 4095 * "m"):
        explained(looked.agent("n1", "PUT", "volumes/idle/mount", body(path=path)), 422, "not-possible")
    assert looked.scheduler.memory.state.volumes["idle"].node is None


def test_a_node_speaks_for_itself_only(looked: Access) -> None:
    others = looked.scheduler.agent_token("n2")
    user = looked.scheduler.memory.secrets.api_token
    for method, path, content in (
        ("GET", "", None),
        ("GET", "/idle", None),
        ("POST", "", {"name": "fresh", "size_bytes": GIB}),
        ("PUT", "/idle/mount", body()),
        ("DELETE", "/idle/mount?hold=h", None),
        ("DELETE", "/idle", None),
    ):
        for token in (others, user, ""):
            answer = looked.ask(method, f"/v1/agents/n1/volumes{path}", content, token)
            explained(answer, 401, "unauthorized")


def test_what_is_known_is_told_again_only_when_it_changes(looked: Access) -> None:
    first = looked.agent("n1", "GET", "volumes").json()
    assert [one["name"] for one in first["volumes"]] == ["data", "idle", "new"]
    assert looked.agent("n1", "GET", "volumes", have=first["digest"]).status_code == 204
    looked.agent("n1", "POST", "volumes", {"name": "fresh", "size_bytes": GIB})
    assert looked.agent("n1", "GET", "volumes", have=first["digest"]).status_code == 200


def test_refusals_are_problems(looked: Access) -> None:
    gone = looked.agent("n1", "PUT", "volumes/nothing/mount", body())
    assert explained(gone, 404, "not-there") == "there is no volume nothing"
    elsewhere = explained(looked.agent("n1", "PUT", "volumes/data/mount", body()), 409, "conflict")
    assert "of node n2" in elsewhere
    explained(looked.agent("n1", "PUT", "volumes/idle/mount", body(path="m")), 422, "not-possible")
    explained(looked.agent("n1", "PUT", "volumes/idle/mount", body(hold="")), 400, "malformed")
    explained(looked.agent("n1", "POST", "volumes", {"name": "x", "size_bytes": 1}), 422, "not-possible")


def test_a_scheduler_that_has_not_looked_yet_is_to_be_asked_again(api: Access) -> None:
    explained(api.agent("n1", "PUT", "volumes/idle/mount", body()), 503, "http")


def test_the_users_view_says_what_is_for_containers(looked: Access) -> None:
    looked.agent("n1", "PUT", "volumes/idle/mount", body())
    shown = {one["name"]: one for one in looked.ask("GET", "/v1/volumes").json()}
    assert (shown["idle"]["for_containers"], shown["data"]["for_containers"]) == (True, False)
    assert "hold" not in shown["idle"]
