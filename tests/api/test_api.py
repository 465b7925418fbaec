"""The API over a real scheduler, with nodes and a store in memory and no engine."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from artesian.api.application import make_application
from artesian.model.disk import DiskSays
from artesian.model.engine import EngineSeen, SeenDevice, SeenPool
from artesian.model.event import Event
from artesian.model.names import device_name
from artesian.model.node import NodeState
from artesian.model.observation import SeenAttachment, SeenProcess
from artesian.model.report import AgentReport
from artesian.scheduler.loop import Scheduler
from tests.scheduler.cases import GIB, POOL, FakeSubstrate, MemoryStore, claim, disk

PROBLEM = "application/problem+json"


class Access:
    """The API as its users and agents have it."""

    def __init__(self, scheduler: Scheduler, client: TestClient) -> None:
        self.scheduler = scheduler
        self.client = client

    def ask(self, method: str, path: str, body: Any = None, token: str | None = None, **query: Any) -> Any:
        """`token` None: the user's."""
        token = self.scheduler.memory.secrets.api_token if token is None else token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self.client.request(method, path, json=body, headers=headers, params=query)

    def agent(self, node: str, method: str, what: str, body: Any = None, **query: Any) -> Any:
        """As a node's agent asks."""
        token = self.scheduler.agent_token(node)
        return self.ask(method, f"/v1/agents/{node}/{what}", body, token, **query)

    def report(self, node: str, **facts: Any) -> Any:
        return self.agent(node, "PUT", "report", asdict(AgentReport(node, **facts)))

    def problem(self, status: int, title: str, method: str, path: str, body: Any = None, **query: Any) -> str:
        """What a refusal says."""
        return explained(self.ask(method, path, body, **query), status, title)


def explained(answer: Any, status: int, title: str) -> str:
    """The detail of a problem document as RFC 9457 has it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    body = answer.json()
    assert (body["status"], body["title"]) == (status, title)
    assert body["type"] == f"urn:artesian:problem:{title}"
    assert body["detail"]
    return str(body["detail"])


@pytest.fixture
def scheduler(tmp_path: Path) -> Scheduler:
    return Scheduler(MemoryStore(), FakeSubstrate("n1", "n2"), tmp_path, "http://127.0.0.1:9")


@pytest.fixture
def fresh(scheduler: Scheduler) -> Iterator[Access]:
    """Before the first pass."""
    with TestClient(make_application(scheduler), raise_server_exceptions=False) as client:
        yield Access(scheduler, client)


@pytest.fixture
def api(fresh: Access) -> Access:
    """After a pass in which both nodes have reported their disk."""
    for node in ("n1", "n2"):
        assert fresh.report(node, disks=(disk(node, "sdb"),)).status_code == 204
    fresh.scheduler.verdict = fresh.scheduler.one_pass()
    return fresh


# --- who may ask


@pytest.mark.parametrize(
    "path", ["/v1/status", "/v1/plan", "/v1/spec", "/v1/nodes", "/v1/volumes", "/v1/events"]
)
@pytest.mark.parametrize("token", ["", "wrong", "ä"])
def test_users_need_the_token(api: Access, path: str, token: str) -> None:
    answer = api.client.get(path, headers={"Authorization": f"Bearer {token}".encode()} if token else {})
    assert "token" in explained(answer, 401, "unauthorized")


def test_an_agents_token_is_no_users_token(api: Access) -> None:
    token = api.scheduler.agent_token("n1")
    explained(api.ask("GET", "/v1/status", token=token), 401, "unauthorized")
    explained(api.ask("PUT", "/v1/stopping", {"stopping": "all"}, token=token), 401, "unauthorized")


def test_an_agent_speaks_for_its_own_node_only(api: Access) -> None:
    for token in (api.scheduler.agent_token("n2"), api.scheduler.memory.secrets.api_token, "wrong"):
        answer = api.ask("GET", "/v1/agents/n1/assignment", token=token)
        explained(answer, 401, "unauthorized")
        answer = api.ask("PUT", "/v1/agents/n1/report", asdict(AgentReport("n1")), token=token)
        explained(answer, 401, "unauthorized")
    assert api.agent("n1", "GET", "assignment").status_code == 200


def test_whether_it_lives_may_be_asked_by_anybody(fresh: Access) -> None:
    assert fresh.ask("GET", "/healthz", token="").json() == {"alive": True}


def test_a_scheduler_whose_passes_do_not_begin_any_more_is_not_alive(tmp_path: Path) -> None:
    now_s = 0.0
    scheduler = Scheduler(MemoryStore(), FakeSubstrate("n1"), tmp_path, "http://x:9", clock=lambda: now_s)
    with TestClient(make_application(scheduler)) as client:
        now_s = 60.0
        assert client.get("/healthz").status_code == 200
        now_s = 75.5
        answer = client.get("/healthz")
    assert (answer.status_code, answer.json()["last_pass_began_s_ago"]) == (503, 75.5)
    assert answer.json() | {"alive": False, "because": "the last pass began 76 s ago"} == answer.json()


def test_a_scheduler_without_its_loop_is_not_alive(fresh: Access) -> None:
    fresh.scheduler.stop()
    fresh.scheduler.run()
    answer = fresh.ask("GET", "/healthz", token="")
    assert (answer.status_code, answer.json()["because"]) == (503, "the loop has ended")


# --- what is refused


def test_before_the_first_pass_users_are_asked_to_wait(fresh: Access) -> None:
    assert "ask again in a moment" in fresh.problem(422, "not-possible", "GET", "/v1/status")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/volumes/nothing", None),
        ("PATCH", "/v1/volumes/nothing", {"size_bytes": GIB}),
        ("DELETE", "/v1/volumes/nothing", None),
        ("PUT", "/v1/volumes/nothing/attachment", {"node": "n1"}),
        ("DELETE", "/v1/volumes/nothing/attachment", None),
    ],
)
def test_a_volume_that_is_not_there(api: Access, method: str, path: str, body: Any) -> None:
    detail = api.problem(404, "not-there", method, path, body)
    assert detail == "there is no volume nothing; there are none"


@pytest.mark.parametrize("action", ["add", "remove", "maintain", "unmaintain"])
def test_a_node_that_is_not_there(api: Access, action: str) -> None:
    assert "there is no node n9" in api.problem(404, "not-there", "POST", f"/v1/nodes/n9/{action}")


def test_a_disk_that_is_not_there(api: Access) -> None:
    detail = api.problem(404, "not-there", "POST", "/v1/nodes/n1/disks/remove", {"disk": "sdz"})
    assert detail == "node n1 has no disk sdz; look at: artesian disk list"


@pytest.mark.parametrize("path", ["/v1/nodes/n1/explode", "/v1/nodes/n1/disks/explode", "/v1/nothing", "/"])
def test_what_is_not_there_at_all(api: Access, path: str) -> None:
    api.problem(404, "not-there", "POST", path, {"disk": "sdb"})


def test_a_wrong_method(api: Access) -> None:
    api.problem(405, "method", "DELETE", "/v1/status")


def test_a_volume_needs_a_pool(api: Access) -> None:
    detail = api.problem(404, "not-there", "POST", "/v1/volumes", {"name": "v", "size_bytes": GIB})
    assert detail == "there is no storage pool yet"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"size_bytes": 1}, "multiple of 1 GiB"),
        ({"name": "a/b"}, "no name for a volume"),
        ({"pool": "/x"}, "is not a pool like domain/pool"),
        ({"mount_path": "/x"}, "say which"),
        ({"mount_path": "x", "node": "n1"}, "begins with /"),
        ({"mount_path": "/m\0", "node": "n1"}, "none of which is 0"),
        ({"mount_path": "/" + 4095 * "m", "node": "n1"}, "at most 4095 bytes"),
    ],
)
def test_a_volume_that_cannot_be(api: Access, more: dict[str, Any], words: str) -> None:
    body = {"name": "v", "size_bytes": GIB, "pool": "default"} | more
    assert words in api.problem(422, "not-possible", "POST", "/v1/volumes", body)
    assert api.ask("GET", "/v1/volumes").json() == []


@pytest.mark.parametrize(
    ("method", "path", "body", "words"),
    [
        ("POST", "/v1/approvals", {}, "plan_id"),
        ("POST", "/v1/approvals", {"plan_id": "x", "force": True}, "force"),
        ("POST", "/v1/volumes", {"name": "v", "size_bytes": "large"}, "size_bytes"),
        ("POST", "/v1/volumes", {"name": "v", "size_bytes": GIB, "fstype": "ntfs"}, "fstype"),
        ("PUT", "/v1/stopping", {"stopping": "perhaps"}, "stopping"),
        ("PUT", "/v1/paused", [], ""),
    ],
)
def test_a_malformed_body_says_where(api: Access, method: str, path: str, body: Any, words: str) -> None:
    assert words in api.problem(400, "malformed", method, path, body)


def test_what_is_no_json_is_malformed(api: Access) -> None:
    headers = {"Authorization": f"Bearer {api.scheduler.memory.secrets.api_token}"}
    answer = api.client.put("/v1/spec", content=b"{", headers=headers | {"Content-Type": "application/json"})
    explained(answer, 400, "malformed")


@pytest.mark.parametrize("path", ["/v1/volumes", "/v1/remedies/r1/reject", "/v1/drills"])
def test_half_a_character_is_malformed(api: Access, path: str) -> None:
    headers = {
        "Authorization": f"Bearer {api.scheduler.memory.secrets.api_token}",
        "Content-Type": "application/json",
    }
    body = rb'{"name": "\ud800", "size_bytes": 1073741824, "who": "\ud800"}'
    answer = api.client.post(path, content=body, headers=headers)
    assert "not sound" in explained(answer, 400, "malformed")


def test_a_number_too_large_for_the_store_is_malformed(tmp_path: Path) -> None:
    from artesian.store.sqlite import SqliteStore

    store = SqliteStore(tmp_path / "store.sqlite")
    scheduler = Scheduler(store, FakeSubstrate("n1"), tmp_path, "http://127.0.0.1:9")
    try:
        with TestClient(make_application(scheduler), raise_server_exceptions=False) as client:
            Access(scheduler, client).problem(400, "malformed", "GET", "/v1/events", after=10**30)
    finally:
        store.close()


# --- plans and specs


def test_only_the_plan_as_it_is_now_is_approved(api: Access) -> None:
    plan = api.ask("GET", "/v1/plan").json()
    detail = api.problem(409, "conflict", "POST", "/v1/approvals", {"plan_id": "0123456789ab"})
    assert plan["id"] in detail
    assert api.scheduler.memory.state.approval is None
    answer = api.ask("POST", "/v1/approvals", {"plan_id": plan["id"], "who": "me"})
    assert (answer.status_code, answer.json()) == (200, {"plan_id": plan["id"]})
    assert api.scheduler.memory.state.approval is not None
    kinds = [event["kind"] for event in api.ask("GET", "/v1/events").json()]
    assert kinds[-1] == "approved"


def test_a_plan_that_has_become_another_is_not_approved(api: Access) -> None:
    old = api.ask("GET", "/v1/plan").json()["id"]
    api.report("n1", disks=(disk("n1", "sdb"), disk("n1", "sdc")))
    api.scheduler.verdict = api.scheduler.one_pass()
    detail = api.problem(409, "conflict", "POST", "/v1/approvals", {"plan_id": old})
    assert detail.startswith(f"the plan is not {old} any more")


def test_a_plan_explains_every_step(api: Access) -> None:
    steps = api.ask("GET", "/v1/plan").json()["steps"]
    assert {"JoinNode", "CreateEngine", "AddDevice"} <= {step["change"] for step in steps}
    assert all(step["because"] for step in steps)
    assert all(step["detail"] for step in steps)
    assert {step["state"] for step in steps} == {"held", "waiting"}


def test_a_typo_in_a_spec_is_found(api: Access) -> None:
    text = "new_disks: ask\nminimum_dsk: 1GiB\n"
    detail = api.problem(422, "spec", "PUT", "/v1/spec", {"text": text})
    assert detail == "spec, line 2: minimum_dsk is not known; is minimum_disk meant?"
    assert api.ask("GET", "/v1/spec").json() == {"text": ""}


@pytest.mark.parametrize("text", ["new_disks: \x00", "[" * 3000])
def test_a_spec_that_no_yaml_reader_takes_is_explained(api: Access, text: str) -> None:
    api.problem(422, "spec", "PUT", "/v1/spec", {"text": text})


def test_a_good_spec_is_kept(api: Access) -> None:
    assert api.ask("PUT", "/v1/spec", {"text": "new_disks: never\n"}).status_code == 200
    assert api.ask("GET", "/v1/spec").json() == {"text": "new_disks: never\n"}


def test_a_store_that_cannot_be_written_is_told(api: Access) -> None:
    store = api.scheduler._store
    assert isinstance(store, MemoryStore)
    store.broken = True
    api.problem(503, "store-unusable", "PUT", "/v1/paused", {"paused": True})
    assert not api.ask("GET", "/v1/status").json()["paused"]


# --- agents


def test_a_report_for_another_node_is_refused(api: Access) -> None:
    answer = api.agent("n1", "PUT", "report", asdict(AgentReport("n2")))
    assert explained(answer, 409, "conflict") == "this is a report of node n2, not of n1"


def test_a_malformed_report_is_refused(api: Access) -> None:
    explained(api.agent("n1", "PUT", "report", {"node": "n1", "disks": [{"path": 1}]}), 400, "malformed")


def test_a_report_of_an_agent_of_another_age_is_taken(api: Access) -> None:
    """An older one lacks what is new, and a newer one says more than is understood here."""
    found = {"path": "/dev/sdb", "identity": "serial:1", "size_bytes": 1 << 34}
    attached = {"volume_id": "v1", "node": "n1", "device": "/dev/loop0"}
    older = {"node": "n1", "disks": [found], "attachments": [attached]}
    newer = {
        "node": "n1",
        "mood": "good",
        "disks": [found | {"colour": "green", "smart": {"failing": True, "because": "old", "age": 9}}],
        "attachments": [attached | {"used_bytes": 1, "total_bytes": 2, "speed": 3}],
    }
    for report in (older, newer):
        assert api.agent("n1", "PUT", "report", report).status_code == 204


def test_what_a_disk_says_of_itself_is_shown(fresh: Access) -> None:
    says = DiskSays(True, "it is worn out")
    for node in ("n1", "n2"):
        fresh.report(node, disks=(replace(disk(node, "sdb"), smart=says if node == "n1" else None),))
    fresh.scheduler.verdict = fresh.scheduler.one_pass()
    shown = {one["node"]: one["smart"] for one in fresh.ask("GET", "/v1/disks").json()}
    assert shown == {"n1": {"failing": True, "because": "it is worn out"}, "n2": None}


def test_a_report_is_seen_in_the_next_pass(api: Access) -> None:
    api.report("n1", problems=("the roof is leaking",))
    api.scheduler.verdict = api.scheduler.one_pass()
    nodes = {node["name"]: node for node in api.ask("GET", "/v1/nodes").json()}
    assert nodes["n1"]["problems"] == ["the roof is leaking"]
    assert nodes["n2"]["state"] == "alive"


def test_a_node_that_the_substrate_does_not_know_has_no_assignment(api: Access) -> None:
    assert "no node n9" in explained(api.agent("n9", "GET", "assignment"), 404, "not-there")


def test_nothing_new_is_204_after_waiting(api: Access) -> None:
    have = api.agent("n1", "GET", "assignment").json()["generation"]
    assert api.agent("n1", "GET", "assignment", have=have).status_code == 204
    began = time.monotonic()
    answer = api.agent("n1", "GET", "assignment", have=have, wait_s=0.3)
    assert (answer.status_code, answer.content) == (204, b"")
    assert 0.3 <= time.monotonic() - began < 5


def test_a_new_assignment_is_told_at_once(api: Access) -> None:
    have = api.agent("n1", "GET", "assignment").json()["generation"]
    plan_id = api.ask("GET", "/v1/plan").json()["id"]

    def carry_out() -> None:
        time.sleep(0.3)
        api.ask("POST", "/v1/approvals", {"plan_id": plan_id})
        for _ in range(2):  # nodes join, then managers are assigned
            api.scheduler.verdict = api.scheduler.one_pass()

    thread = threading.Thread(target=carry_out)
    began = time.monotonic()
    thread.start()
    answer = api.agent("n1", "GET", "assignment", have=have, wait_s=30)
    took_s = time.monotonic() - began
    thread.join()
    assert answer.status_code == 200
    assert answer.json()["generation"] != have
    assert answer.json()["assignment"]["system_id"]
    assert 0.3 <= took_s < 15


def test_what_changes_for_others_wakes_nobody(api: Access) -> None:
    have = api.agent("n1", "GET", "assignment").json()["generation"]
    timer = threading.Timer(0.1, lambda: api.ask("PUT", "/v1/paused", {"paused": True}))
    timer.start()
    assert api.agent("n1", "GET", "assignment", have=have, wait_s=0.5).status_code == 204
    timer.join()


# --- what it shows


def test_metrics_can_be_scraped_before_and_after_a_pass(fresh: Access) -> None:
    names = {one.name for one in text_string_to_metric_families(fresh.client.get("/metrics").text)}
    assert "artesian_passes" in names
    fresh.report("n1")
    fresh.scheduler.verdict = fresh.scheduler.one_pass()
    answer = fresh.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = {one.name: one for one in text_string_to_metric_families(answer.text)}
    nodes = {sample.labels["state"]: sample.value for sample in found["artesian_nodes"].samples}
    assert nodes == {"alive": 1, "silent": 1, "gone": 0}
    assert found["artesian_engine_up"].samples[0].value == 0


def test_openapi_describes_every_route(api: Access) -> None:
    document = api.client.get("/openapi.json").json()
    assert document["info"]["title"] == "Artesian"
    assert {"/v1/status", "/v1/approvals", "/v1/volumes/{name}", "/v1/agents/{node}/report"} <= set(
        document["paths"]
    )


def test_events_are_given_in_pages(api: Access) -> None:
    store = api.scheduler._store
    store.commit({}, [Event("x", "y", str(number)) for number in range(5)])
    last = store.events(0, 10_000)[-1].number
    page = api.ask("GET", "/v1/events", after=last - 3, limit=2).json()
    assert [one["number"] for one in page] == [last - 2, last - 1]
    api.problem(400, "malformed", "GET", "/v1/events", limit=0)


def test_no_secret_is_ever_shown(fresh: Access, capsys: pytest.CaptureFixture[str]) -> None:
    with capture_logs() as logs:
        shown = [fresh.ask("GET", "/v1/status").text]
        fresh.report("n1", disks=(disk("n1", "sdb"),))
        fresh.report("n2", disks=(disk("n2", "sdb"),))
        fresh.scheduler.verdict = fresh.scheduler.one_pass()
        fresh.ask("POST", "/v1/approvals", {"plan_id": fresh.scheduler.verdict.decision.plan.id})
        for _ in range(2):
            fresh.scheduler.verdict = fresh.scheduler.one_pass()
        paths = fresh.client.get("/openapi.json").json()["paths"]
        for path in [one for one, verbs in paths.items() if "get" in verbs]:
            filled = path.replace("{node}", "n1").replace("{name}", "v")
            if "/agents/" in path:
                shown.append(fresh.agent("n1", "GET", "assignment").text)
            else:
                shown.append(fresh.ask("GET", filled).text)
        shown += [fresh.client.get(path).text for path in ("/metrics", "/healthz", "/openapi.json")]
        shown.append(fresh.ask("GET", "/v1/status", token="wrong").text)
    output = capsys.readouterr()
    everything = "\n".join([*shown, json.dumps(logs, default=str), output.out, output.err])
    assert len(shown) > 8
    hidden = [*asdict(fresh.scheduler.memory.secrets).values(), fresh.scheduler.agent_token("n1")]
    assert [one for one in hidden if one in everything] == []


def test_a_half_refused_change_changes_nothing(api: Access) -> None:
    from tests.scheduler.cases import STATE

    api.scheduler.memory.change(lambda state: replace(state, volumes=STATE.volumes))
    before = api.scheduler.memory.state
    body = {"size_bytes": 16 * GIB, "new_name": "data"}
    api.problem(409, "conflict", "PATCH", "/v1/volumes/idle", body)
    assert api.scheduler.memory.state == before


# --- what in a spec does nothing

IDLE = "{rules: [{name: gold-full, when: used_share > 80%, remedy: notify, scope: pool, things: [gold]}]}"


def test_a_spec_that_can_do_nothing_is_taken_with_a_warning(api: Access) -> None:
    checked = api.ask("POST", "/v1/spec/check", {"text": IDLE})
    assert checked.status_code == 200
    assert api.ask("GET", "/v1/spec").json()["text"] == ""
    (warning,) = checked.json()["warnings"]
    assert warning.startswith("rule gold-full is for nothing: no pool is called gold")
    assert warning in api.ask("POST", "/v1/plan", {"text": IDLE}).json()["notes"]
    assert api.ask("PUT", "/v1/spec", {"text": IDLE}).json() == {"text": IDLE, "warnings": [warning]}


def test_and_is_noted_wherever_the_plan_is_shown(api: Access) -> None:
    (warning,) = api.ask("PUT", "/v1/spec", {"text": IDLE}).json()["warnings"]
    api.scheduler.verdict = api.scheduler.one_pass()
    assert warning in api.ask("GET", "/v1/plan").json()["notes"]
    assert warning in api.ask("GET", "/v1/status").json()["notes"]
    reasons = api.ask("GET", "/v1/why", thing="gold-full").json()["reasons"]
    assert {"from": "plan", "because": warning} in reasons


def test_a_spec_that_is_wrong_is_refused_by_its_check_as_well(api: Access) -> None:
    said = api.problem(422, "spec", "POST", "/v1/spec/check", {"text": "pols: []"})
    assert "pols is not known" in said


# --- what requests come to


@pytest.fixture
def storage(api: Access) -> Access:
    """With an engine: two disks of 10 GiB, a pool of them that holds 12 GiB."""
    devices = tuple(
        SeenDevice(f"d-{node}", device_name(f"serial:{node}-sdb"), f"s-{node}", "/dev/sdb", POOL, 10 * GIB)
        for node in ("n1", "n2", "n3")
    )
    pool = SeenPool("p", POOL, 30 * GIB, 20 * GIB, 3 * GIB)
    claims = {one.identity: one for one in (claim("n1", "sdb"), claim("n2", "sdb"))}
    verdict = api.scheduler.verdict
    assert verdict is not None
    engine = EngineSeen("abc", pools=(pool,), devices=devices)
    api.scheduler.verdict = replace(verdict, seen=replace(verdict.seen, engine=engine))
    api.scheduler.memory.change(lambda state: replace(state, claims=MappingProxyType(claims)))
    return api


def test_a_node_is_not_ready_for_maintenance_while_a_volume_is_in_use_there(storage: Access) -> None:
    memory, verdict = storage.scheduler.memory, storage.scheduler.verdict
    memory.change(lambda state: state.with_node("n1", joined=True, in_maintenance=True))
    assert verdict is not None

    def shown(*attachments: SeenAttachment) -> Any:
        seen = replace(verdict.seen, attachments=attachments)
        storage.scheduler.verdict = replace(verdict, seen=seen)
        return storage.ask("GET", "/v1/nodes").json()[0]["maintenance"]

    because = "volume v1 is attached there at /data: /data is in use by sleep (17)"
    busy = SeenAttachment("v1", "n1", "/dev/x", "/data", "/data is in use by sleep (17)")
    assert shown(busy) == {"wanted": True, "done": False, "because": because}
    assert shown() == {"wanted": True, "done": True, "because": ""}


def test_what_a_silent_node_has_said_last_is_shown_as_such(api: Access) -> None:
    processes = (SeenProcess("sds", True, 17), SeenProcess("sdc", False))
    api.report("n1", processes=processes)
    scheduler, shown = api.scheduler, []
    for state in (NodeState.ALIVE, NodeState.SILENT):
        verdict = scheduler.one_pass()
        nodes = tuple(replace(one, state=state) for one in verdict.seen.nodes)
        scheduler.verdict = replace(verdict, seen=replace(verdict.seen, nodes=nodes))
        node = api.ask("GET", "/v1/nodes").json()[0]
        assert [one["running"] for one in node["processes"]] == [True, False]
        shown.append((node["stale"], [one["state"] for one in node["processes"]]))
    assert shown == [
        (False, ["runs", "does not run"]),
        (True, ["unknown, ran when last heard of", "unknown, did not run when last heard of"]),
    ]


def test_a_dry_run_says_what_a_pool_would_lose_and_changes_nothing(storage: Access) -> None:
    body = {"disk": "sdb", "dry_run": True}
    answer = storage.ask("POST", "/v1/nodes/n1/disks/remove", body).json()
    assert answer["loss"] == {
        "pool": "default/default", "has_bytes": 27 * GIB, "left_bytes": 18 * GIB, "used_bytes": 20 * GIB,
        "fits": False, "because": answer["loss"]["because"],
    }  # fmt: skip
    assert "it does not fit" in answer["loss"]["because"]
    assert not storage.scheduler.memory.state.tombstones
    real = storage.ask("POST", "/v1/nodes/n1/disks/remove", {"disk": "sdb"}).json()
    assert real["loss"] == answer["loss"]
    assert list(storage.scheduler.memory.state.tombstones) == ["serial:n1-sdb"]


def test_a_dry_run_of_what_is_refused_is_refused(storage: Access) -> None:
    storage.problem(404, "not-there", "POST", "/v1/nodes/n1/disks/remove", {"disk": "sdz", "dry_run": True})


def test_a_volume_that_a_pool_may_not_hold_is_made_with_a_warning(storage: Access) -> None:
    small = storage.ask("POST", "/v1/volumes", {"name": "small", "size_bytes": 8 * GIB})
    assert (small.status_code, small.json()["warnings"]) == (202, [])
    (warning,) = storage.ask("POST", "/v1/volumes", {"name": "big", "size_bytes": 8 * GIB}).json()["warnings"]
    assert warning.startswith(
        "pool default/default promises 16.0 GiB to 2 volumes, and has room for 13.5 GiB"
    )
    (grown,) = storage.ask("PATCH", "/v1/volumes/big", {"size_bytes": 9 * GIB}).json()["warnings"]
    assert "17.0 GiB" in grown
    assert storage.ask("PATCH", "/v1/volumes/big", {"limit_iops": 100}).json()["warnings"] == []
