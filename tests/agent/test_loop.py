"""What an agent does, and what it leaves alone, without a scheduler."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from artesian.agent.client import SchedulerClient, SchedulerUnreachable
from artesian.agent.config import AgentConfig
from artesian.agent.disks.folder_disks import FolderDisks
from artesian.agent.loop import Agent
from artesian.agent.volumes import NodeVolumes
from artesian.engines.ceph.names import osd_uuid
from artesian.engines.embedded_node import EmbeddedNode
from artesian.engines.node_engines import EngineOfNode
from artesian.engines.node_port import NodeEngineError
from artesian.model.assignment import Assignment
from artesian.model.observation import SeenAttachment
from tests.agent.disks.media import sparse_file
from tests.engines.ceph.labels import being_made, label_by_ceph
from tests.patience import eventually

CONFIG = AgentConfig("n1", "127.0.0.1", "http://127.0.0.1:9", "token", "secret")
ASSIGNED = Assignment("n1", "127.0.0.1", system_id="abc")


@pytest.fixture
def ensured(monkeypatch: pytest.MonkeyPatch) -> list[Assignment]:
    """What the engine was told to be."""
    told: list[Assignment] = []

    def ensure(_node: EmbeddedNode, assignment: Assignment, _held_down: Collection[str] = ()) -> list[str]:
        told.append(assignment)
        return []

    monkeypatch.setattr(EmbeddedNode, "ensure", ensure)
    return told


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(SchedulerClient, "report", lambda _client, document: sent.append(document))
    return sent


@pytest.fixture
def run(tmp_path: Path) -> Callable[[Callable[[], object]], None]:
    """Runs an agent in the folder until something is so."""
    (tmp_path / "dev").mkdir()

    def until(condition: Callable[[], object]) -> None:
        agent = Agent(tmp_path, dataclasses.replace(CONFIG, dev=str(tmp_path / "dev")))
        thread = threading.Thread(target=agent.run)
        thread.start()
        try:
            for _ in range(1000):
                if condition():
                    return
                thread.join(0.01)
            raise AssertionError("it never was so")
        finally:
            agent.stop()
            thread.join(10.0)

    return until


def remember(folder: Path, assigned: Assignment) -> None:
    """As an agent that ran before."""
    document = {"generation": "g1", "assignment": dataclasses.asdict(assigned)}
    (folder / "assignment.json").write_text(json.dumps(document))


def lose(folder: Path, text: str | None) -> None:
    """An engine that has run here, and an assignment that is gone or unreadable."""
    (folder / "engine").mkdir()
    (folder / "engine" / "mdm~m1.yaml").write_text("{}")
    (folder / "engine" / "mdm").mkdir()
    if text is not None:
        (folder / "assignment.json").write_text(text)


@pytest.mark.parametrize("text", [None, "", "{", "{}", "[]", '{"generation": "g", "assignment": {}}'])
def test_what_runs_is_left_alone_when_the_assignment_is_lost(
    tmp_path: Path, run: Any, ensured: list[Assignment], reports: list[dict[str, Any]], text: str | None
) -> None:
    lose(tmp_path, text)
    run(lambda: reports)
    assert ensured == []
    assert (tmp_path / "engine" / "mdm").is_dir()
    assert (reports[0]["generation"], "is lost" in reports[0]["problems"][0]) == ("", True)


def test_ceph_is_left_alone_too_when_the_assignment_is_lost(
    tmp_path: Path, run: Any, reports: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ceph = tmp_path / "engine" / "ceph"
    ceph.mkdir(parents=True)
    (ceph / "osd~0").write_text("{}")
    told: list[Assignment] = []

    def ensure(_node: EngineOfNode, assignment: Assignment, _held_down: Collection[str]) -> list[str]:
        told.append(assignment)
        return []

    monkeypatch.setattr(EngineOfNode, "_ceph", lambda self: EmbeddedNode(ceph, "secret"))
    monkeypatch.setattr(EngineOfNode, "ensure", ensure)
    run(lambda: reports)
    assert (told, "is lost" in reports[0]["problems"][0]) == ([], True)


def test_it_knows_the_disks_that_its_engine_is_about_to_use(
    tmp_path: Path, run: Any, ensured: list[Assignment], reports: list[dict[str, Any]]
) -> None:
    system_id = str(UUID(int=9))
    assigned = dataclasses.replace(ASSIGNED, system_id=system_id)
    remember(tmp_path, assigned)
    disk = sparse_file(tmp_path / "dev" / "sda")
    (seen,) = FolderDisks(tmp_path / "dev").find()
    osd = osd_uuid(system_id, seen.identity or "")
    label_by_ceph(disk, being_made(osd))
    run(lambda: reports)
    assert reports[0]["disks"][0]["label"] == {"system_id": system_id, "device_id": osd, "foreign": False}


def test_it_says_what_the_engine_could_not_do(
    tmp_path: Path, run: Any, reports: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> list[str]:
        raise NodeEngineError("the disk\nis gone")

    monkeypatch.setattr(EngineOfNode, "ensure", refuse)
    remember(tmp_path, ASSIGNED)
    run(lambda: reports)
    assert list(reports[0]["problems"]) == ["the disk is gone"]


def test_it_goes_on_once_something_is_assigned(
    tmp_path: Path,
    run: Any,
    ensured: list[Assignment],
    reports: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lose(tmp_path, None)
    answer = ("g1", dataclasses.asdict(ASSIGNED))
    monkeypatch.setattr(SchedulerClient, "assignment", lambda *_: answer if reports else None)
    run(lambda: ensured)
    assert ensured[0] == ASSIGNED
    assert json.loads((tmp_path / "assignment.json").read_text())["generation"] == "g1"


def test_at_the_very_first_start_nothing_is_wrong(
    run: Any, ensured: list[Assignment], reports: list[dict[str, Any]]
) -> None:
    run(lambda: reports)
    assert (ensured, list(reports[0]["problems"])) == ([], [])


def test_what_was_assigned_last_is_made_so(
    tmp_path: Path, run: Any, ensured: list[Assignment], reports: list[dict[str, Any]]
) -> None:
    remember(tmp_path, ASSIGNED)
    run(lambda: reports)
    assert ensured[0] == ASSIGNED
    assert reports[0]["generation"] == "g1"


def test_nothing_is_restarted_by_an_assignment_that_nobody_has_confirmed(
    tmp_path: Path,
    run: Any,
    ensured: list[Assignment],
    reports: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It may be an old one: the restart may be over, and nobody else may be waiting now."""
    assigned = dataclasses.replace(ASSIGNED, restart=7, managers_since=7, servers_since=7)
    remember(tmp_path, assigned)
    run(lambda: reports)
    assert {(one.restart, one.managers_since, one.servers_since) for one in ensured} == {(7, 0, 0)}
    monkeypatch.setattr(SchedulerClient, "assignment", lambda *_: time.sleep(0.01))
    (tmp_path / "dev").rmdir()
    (tmp_path / "dev").mkdir()
    again = Agent(tmp_path, dataclasses.replace(CONFIG, dev=str(tmp_path / "dev")))
    thread = threading.Thread(target=again.run)
    thread.start()
    try:
        eventually(lambda: ensured[-1] == assigned)
    finally:
        again.stop()
        thread.join(10.0)


def test_another_scheduler_is_asked_at_once_and_what_the_one_before_still_says_does_not_count(
    tmp_path: Path, ensured: list[Assignment], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, reported, released = set(), set(), threading.Event()

    def assignment(client: SchedulerClient, _have: str, _wait_s: float) -> tuple[str, dict[str, Any]] | None:
        asked.add(url := client._places[0].geturl())
        if url == CONFIG.scheduler_url:
            released.wait(10.0)
            return "late", dataclasses.asdict(ASSIGNED)
        time.sleep(0.01)
        return None

    monkeypatch.setattr(SchedulerClient, "assignment", assignment)
    monkeypatch.setattr(SchedulerClient, "report", lambda client, _: reported.add(client._places[0].geturl()))
    (tmp_path / "dev").mkdir()
    config = dataclasses.replace(CONFIG, dev=str(tmp_path / "dev"))
    agent = Agent(tmp_path, config)
    thread = threading.Thread(target=agent.run)
    thread.start()
    try:
        eventually(lambda: asked == {CONFIG.scheduler_url})
        other = dataclasses.replace(config, scheduler_url="http://127.0.0.1:2", token="another")
        assert agent.go_on_with(other)
        assert agent.go_on_with(other)
        eventually(lambda: other.scheduler_url in asked)
        released.set()
        monkeypatch.setattr("artesian.agent.loop._HEARTBEAT_S", 0.0)
        eventually(lambda: other.scheduler_url in reported)
        assert not (tmp_path / "assignment.json").exists()
        assert not agent.go_on_with(dataclasses.replace(other, engine_secret="another"))
    finally:
        released.set()
        agent.stop()
        thread.join(10.0)


def test_a_volume_is_held_until_the_scheduler_has_heard_that_it_is_not(
    tmp_path: Path, ensured: list[Assignment], monkeypatch: pytest.MonkeyPatch
) -> None:
    remember(tmp_path, ASSIGNED)
    attached = [SeenAttachment("v1", "n1", "/dev/loop9", None)]
    heard, silent = [], threading.Event()

    def report(_client: SchedulerClient, document: dict[str, Any]) -> None:
        if silent.is_set():
            raise SchedulerUnreachable("it is away")
        heard.append(document["attachments"])

    monkeypatch.setattr(SchedulerClient, "report", report)
    monkeypatch.setattr(NodeVolumes, "seen", lambda _volumes: tuple(attached))
    monkeypatch.setattr("artesian.agent.loop._LOOK_S", 0.01)
    (tmp_path / "dev").mkdir()
    agent = Agent(tmp_path, dataclasses.replace(CONFIG, dev=str(tmp_path / "dev")))
    assert agent.holds_volumes
    thread = threading.Thread(target=agent.run)
    thread.start()
    try:
        eventually(lambda: heard)
        silent.set()
        attached.clear()
        looked = len(ensured)
        eventually(lambda: len(ensured) > looked + 5)
        assert agent.holds_volumes
        silent.clear()
        eventually(lambda: not agent.holds_volumes)
        assert not heard[-1]
    finally:
        agent.stop()
        thread.join(10.0)
