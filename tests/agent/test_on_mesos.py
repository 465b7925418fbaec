"""The agent as Mesos' executor: what Mesos tells it, and what it tells Mesos."""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from artesian.agent import on_mesos
from artesian.agent.config import AgentConfig
from artesian.agent.on_mesos import MesosAgent, main
from artesian.host.files import try_lock
from artesian.mesos.errors import NotSubscribed
from artesian.model.mesos_agent import config_digest
from tests.patience import eventually

TIMEOUT_S = 10.0
SECRET = "the-secret-of-the-engine"


class FakeClient:
    """An executor's client that writes down what it is told."""

    def __init__(self) -> None:
        self.updates: list[tuple[str, str, str]] = []
        self.messages: list[str] = []
        self.stopped = threading.Event()
        self.is_away = False

    def update(self, task_id: str, state: str, *, message: str = "") -> None:
        self.updates.append((task_id, state, message))

    def message(self, data: bytes) -> None:
        if self.is_away:
            raise NotSubscribed("the agent is away")
        self.messages.append(json.loads(data)["config"])

    def stop(self, patience_s: float) -> None:
        assert patience_s > 0
        self.stopped.set()

    @property
    def states(self) -> list[tuple[str, str]]:
        return [(task_id, state) for task_id, state, _ in self.updates]


class FakeAgent:
    """Runs until it is stopped, or makes a mistake."""

    made: list[FakeAgent] = []

    def __init__(self, folder: Path, config: AgentConfig) -> None:
        self.folder, self.config = folder, config
        self.holds_volumes = False
        self.goes_on = True
        self.mistake: Exception | None = None
        self.mistake_at_end: Exception | None = None
        self.running = threading.Event()
        self.ended = threading.Event()
        self.over = threading.Event()
        self.made.append(self)

    def run(self) -> None:
        self.running.set()
        self.ended.wait(TIMEOUT_S)
        self.over.set()
        if (mistake := self.mistake or self.mistake_at_end) is not None:
            raise mistake

    def stop(self) -> None:
        self.ended.set()

    def go_on_with(self, config: AgentConfig) -> bool:
        self.config = config
        return self.goes_on

    def fail(self, mistake: Exception) -> None:
        self.mistake = mistake
        self.ended.set()


class Clock:
    """Time that goes on only while somebody sleeps; `on_sleep` is what happens meanwhile."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.on_sleep: Callable[[], None] = lambda: None

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        self.on_sleep()


@pytest.fixture
def agents() -> Iterator[list[FakeAgent]]:
    FakeAgent.made = []
    yield FakeAgent.made
    for one in FakeAgent.made:
        one.stop()


@pytest.fixture
def client() -> FakeClient:
    return FakeClient()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def executor(client: FakeClient, clock: Clock, agents: list[FakeAgent]) -> MesosAgent:
    return MesosAgent(client, FakeAgent, clock, clock.sleep)  # type: ignore[arg-type]


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    return {
        "node": "alpha", "address": "10.0.0.1", "folder": str(tmp_path / "kept" / "agent"),
        "scheduler_url": "http://10.0.0.253:8700", "token": "token", "engine_secret": SECRET,
    }  # fmt: skip


def data(document: object) -> str:
    return base64.b64encode(json.dumps(document).encode()).decode()


def launch(task_id: str, document: object) -> dict[str, Any]:
    return {"type": "LAUNCH", "launch": {"task": {"task_id": {"value": task_id}, "data": data(document)}}}


def agents_task(config: dict[str, Any], task_id: str = "agent.1") -> dict[str, Any]:
    return launch(task_id, {"role": "agent", "config": config})


def kill(task_id: str, grace_s: float | None = None) -> dict[str, Any]:
    policy = {} if grace_s is None else {"kill_policy": {"grace_period": {"nanoseconds": int(grace_s * 1e9)}}}
    return {"type": "KILL", "kill": {"task_id": {"value": task_id}, **policy}}


def message(document: object) -> dict[str, Any]:
    return {"type": "MESSAGE", "message": {"data": data(document)}}


# --- beginning


def test_the_agents_task_begins_the_agent_with_its_config(
    executor: MesosAgent, client: FakeClient, agents: list[FakeAgent], config: dict[str, Any]
) -> None:
    executor.handle(agents_task(config))
    (agent,) = agents
    assert agent.running.wait(TIMEOUT_S)
    assert agent.config.node == "alpha"
    assert agent.config.engine_secret == SECRET
    assert client.states == [("agent.1", "TASK_RUNNING")]
    assert client.messages == [config_digest(config)]


def test_the_config_is_on_the_disk_for_nobody_else(
    executor: MesosAgent, agents: list[FakeAgent], config: dict[str, Any]
) -> None:
    executor.handle(agents_task(config))
    path = Path(config["folder"]) / "config.json"
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0
    assert json.loads(path.read_text())["engine_secret"] == SECRET


def test_other_tasks_only_stand_for_what_the_agent_does(
    executor: MesosAgent, client: FakeClient, agents: list[FakeAgent], config: dict[str, Any]
) -> None:
    executor.handle(agents_task(config))
    executor.handle(launch("server.2", {"role": "server"}))
    assert client.states == [("agent.1", "TASK_RUNNING"), ("server.2", "TASK_RUNNING")]
    assert len(agents) == 1


@pytest.mark.parametrize(
    "document",
    [{}, [], 5, {"role": "agent"}, {"role": "agent", "config": {}}, {"role": "agent", "config": 5},
     {"role": "agent", "config": {"folder": "/proc/nowhere"}}],
)  # fmt: skip
def test_a_task_that_cannot_be_understood_has_failed_with_a_reason(
    executor: MesosAgent, client: FakeClient, agents: list[FakeAgent], document: object
) -> None:
    executor.handle(launch("agent.1", document))
    ((task_id, state, because),) = client.updates
    assert (task_id, state) == ("agent.1", "TASK_FAILED")
    assert because
    assert client.stopped.is_set()
    assert not agents


def test_a_config_that_lacks_something_is_told(
    executor: MesosAgent, client: FakeClient, config: dict[str, Any]
) -> None:
    del config["token"]
    executor.handle(agents_task(config))
    ((_, state, because),) = client.updates
    assert state == "TASK_FAILED"
    assert "token" in because
    assert SECRET not in because


def test_there_is_one_agent_in_a_folder(
    executor: MesosAgent, client: FakeClient, clock: Clock, agents: list[FakeAgent], config: dict[str, Any]
) -> None:
    """The one before us has some seconds to end."""
    folder = Path(config["folder"])
    folder.mkdir(parents=True)
    other = try_lock(folder / "agent.lock")
    assert other is not None
    executor.handle(agents_task(config))
    ((_, state, because),) = client.updates
    assert (state, because) == ("TASK_FAILED", f"another agent runs in {folder}")
    assert clock.now_s > 10.0
    assert not agents
    os.close(other)


def test_an_agent_waits_for_the_one_before_to_end(
    executor: MesosAgent, client: FakeClient, clock: Clock, agents: list[FakeAgent], config: dict[str, Any]
) -> None:
    folder = Path(config["folder"])
    folder.mkdir(parents=True)
    other = try_lock(folder / "agent.lock")
    assert other is not None
    held = [other]
    clock.on_sleep = lambda: [os.close(held.pop()) for _ in held[:]] and None
    executor.handle(agents_task(config))
    assert client.states == [("agent.1", "TASK_RUNNING")]
    assert len(agents) == 1


# --- another config


def test_another_config_is_taken_without_ending_any_task(
    executor: MesosAgent, client: FakeClient, agents: list[FakeAgent], config: dict[str, Any]
) -> None:
    executor.handle(agents_task(config))
    other = config | {"scheduler_url": "http://10.0.0.9:8700"}
    executor.handle(message({"config": other}))
    (agent,) = agents
    assert agent.config.scheduler_url == "http://10.0.0.9:8700"
    assert json.loads((agent.folder / "config.json").read_text())["scheduler_url"] == other["scheduler_url"]
    assert not agent.ended.is_set()
    assert client.states == [("agent.1", "TASK_RUNNING")]
    assert client.messages == [config_digest(config), config_digest(other)]


def test_another_folder_is_refused_and_nothing_is_done_there(
    executor: MesosAgent,
    client: FakeClient,
    agents: list[FakeAgent],
    config: dict[str, Any],
    tmp_path: Path,
) -> None:
    executor.handle(agents_task(config))
    executor.handle(message({"config": config | {"folder": str(tmp_path / "another"), "token": "other"}}))
    assert client.messages == [config_digest(config)]
    assert agents[0].config.token == config["token"]
    assert not (tmp_path / "another").exists()
    assert client.states == [("agent.1", "TASK_RUNNING")]


def test_a_config_with_which_the_agent_cannot_go_on_is_for_the_next_executor(
    executor: MesosAgent, client: FakeClient, agents: list[FakeAgent], config: dict[str, Any]
) -> None:
    executor.handle(agents_task(config))
    agents[0].goes_on = False
    executor.handle(message({"config": config | {"engine_secret": "another"}}))
    assert client.stopped.wait(TIMEOUT_S)
    assert agents[0].over.is_set() and len(agents) == 1
    assert client.states == [("agent.1", "TASK_RUNNING"), ("agent.1", "TASK_KILLED")]
    assert client.messages == [config_digest(config)]
    assert json.loads((agents[0].folder / "config.json").read_text())["engine_secret"] == "another"


def test_an_executor_whose_agent_has_ended_begins_no_other(
    executor: MesosAgent, client: FakeClient, agents: list[FakeAgent], config: dict[str, Any]
) -> None:
    executor.handle(agents_task(config))
    executor.handle(kill("agent.1"))
    executor.handle(agents_task(config, "agent.2"))
    assert len(agents) == 1
    assert client.states[-1] == ("agent.2", "TASK_FAILED")


def test_what_stood_for_an_agent_ends_with_it(
    executor: MesosAgent, client: FakeClient, agents: list[FakeAgent], config: dict[str, Any]
) -> None:
    executor.handle(agents_task(config))
    executor.handle(launch("server.2", {"role": "server"}))
    executor.handle(kill("agent.1"))
    assert client.states[-2:] == [("agent.1", "TASK_KILLED"), ("server.2", "TASK_KILLED")]
    assert client.stopped.is_set()


def test_an_agent_that_does_not_end_holds_nothing_up(
    executor: MesosAgent,
    client: FakeClient,
    agents: list[FakeAgent],
    config: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(on_mesos, "_STOPPING_S", 0.1)
    monkeypatch.setattr(FakeAgent, "stop", lambda _: None)
    executor.handle(agents_task(config))
    executor.handle(kill("agent.1"))
    assert client.states[-1] == ("agent.1", "TASK_KILLED")
    assert client.stopped.is_set()
    agents[0].ended.set()


def test_the_same_config_is_only_confirmed(
    executor: MesosAgent, client: FakeClient, agents: list[FakeAgent], config: dict[str, Any]
) -> None:
    executor.handle(agents_task(config))
    executor.handle(message({"config": dict(config)}))
    assert len(agents) == 1
    assert client.messages == [config_digest(config)] * 2


def test_a_config_counts_even_if_nobody_can_be_told(
    executor: MesosAgent, client: FakeClient, agents: list[FakeAgent], config: dict[str, Any]
) -> None:
    client.is_away = True
    executor.handle(agents_task(config))
    assert client.states == [("agent.1", "TASK_RUNNING")]
    assert len(agents) == 1


@pytest.mark.parametrize("event", [
    {"type": "MESSAGE", "message": {"data": "!"}},
    {"type": "MESSAGE", "message": {"data": base64.b64encode(b"no json").decode()}},
    message([]), message({}), message({"config": 5}), message({"config": {}}),
    {"type": "SUBSCRIBED"}, {"type": "A_LATER_VERSIONS"},
])  # fmt: skip
def test_what_cannot_be_understood_leaves_the_agent_as_it_is(
    executor: MesosAgent,
    client: FakeClient,
    agents: list[FakeAgent],
    config: dict[str, Any],
    event: dict[str, Any],
) -> None:
    executor.handle(agents_task(config))
    executor.handle(event)
    assert client.states == [("agent.1", "TASK_RUNNING")]
    assert not agents[0].ended.is_set()


def test_a_config_that_lacks_something_takes_no_place(
    executor: MesosAgent, agents: list[FakeAgent], config: dict[str, Any]
) -> None:
    executor.handle(agents_task(config))
    executor.handle(message({"config": {key: value for key, value in config.items() if key != "token"}}))
    assert not agents[0].ended.is_set()
    assert json.loads((Path(config["folder"]) / "config.json").read_text())["token"] == "token"


# --- ends


def test_an_agent_without_volumes_ends_at_once(
    executor: MesosAgent, client: FakeClient, agents: list[FakeAgent], config: dict[str, Any]
) -> None:
    executor.handle(agents_task(config))
    executor.handle(kill("agent.1"))
    assert agents[0].over.wait(TIMEOUT_S)
    assert client.states[-1] == ("agent.1", "TASK_KILLED")
    assert client.stopped.is_set()


def test_an_agent_with_volumes_is_given_its_time_and_ends_with_the_last_of_them(
    executor: MesosAgent, client: FakeClient, clock: Clock, agents: list[FakeAgent], config: dict[str, Any]
) -> None:
    executor.handle(agents_task(config))
    agents[0].holds_volumes = True
    held = threading.Event()

    def later() -> None:
        if clock.now_s > 5.0:
            agents[0].holds_volumes = False
            held.set()

    clock.on_sleep = later
    executor.handle(kill("agent.1", grace_s=60.0))
    eventually(lambda: client.states[-1] == ("agent.1", "TASK_KILLED"))
    assert held.is_set()
    assert client.updates[-1][2] == "no volume is attached here any more"
    assert clock.now_s < 60.0


def test_an_agent_whose_time_is_up_ends_with_its_volumes_attached(
    executor: MesosAgent, client: FakeClient, clock: Clock, agents: list[FakeAgent], config: dict[str, Any]
) -> None:
    executor.handle(agents_task(config))
    agents[0].holds_volumes = True
    executor.handle(kill("agent.1", grace_s=60.0))
    eventually(lambda: client.states[-1] == ("agent.1", "TASK_KILLED"))
    assert client.updates[-1][2] == "time is up"
    assert clock.now_s >= 60.0


def test_an_agent_that_is_given_no_time_ends_at_once_and_what_is_attached_stays(
    executor: MesosAgent, client: FakeClient, clock: Clock, agents: list[FakeAgent], config: dict[str, Any]
) -> None:
    executor.handle(agents_task(config))
    agents[0].holds_volumes = True
    executor.handle(kill("agent.1", grace_s=0.0))
    assert client.states[-1] == ("agent.1", "TASK_KILLED")
    assert clock.now_s == 0.0


def test_an_end_that_is_asked_for_twice_is_told_once(
    executor: MesosAgent, client: FakeClient, agents: list[FakeAgent], config: dict[str, Any]
) -> None:
    """The framework asks again until it has heard."""
    executor.handle(agents_task(config))
    executor.handle(kill("agent.1"))
    executor.handle(kill("agent.1"))
    assert client.states.count(("agent.1", "TASK_KILLED")) == 1


def test_another_tasks_end_leaves_the_agent_alone(
    executor: MesosAgent, client: FakeClient, agents: list[FakeAgent], config: dict[str, Any]
) -> None:
    executor.handle(agents_task(config))
    executor.handle(launch("server.2", {"role": "server"}))
    executor.handle(kill("server.2"))
    assert client.states[-1] == ("server.2", "TASK_KILLED")
    assert not agents[0].ended.is_set()
    assert not client.stopped.is_set()


def test_an_executor_that_mesos_ends_ends_all_tasks(
    executor: MesosAgent, client: FakeClient, agents: list[FakeAgent], config: dict[str, Any]
) -> None:
    executor.handle(agents_task(config))
    executor.handle(launch("server.2", {"role": "server"}))
    executor.handle({"type": "SHUTDOWN"})
    assert agents[0].over.wait(TIMEOUT_S)
    assert client.states[-2:] == [("agent.1", "TASK_KILLED"), ("server.2", "TASK_KILLED")]
    assert client.stopped.is_set()


# --- mistakes


def test_an_agent_that_ends_by_a_mistake_has_failed_with_all_that_stood_for_it(
    executor: MesosAgent, client: FakeClient, agents: list[FakeAgent], config: dict[str, Any]
) -> None:
    executor.handle(agents_task(config))
    executor.handle(launch("server.2", {"role": "server"}))
    agents[0].fail(RuntimeError("the disk is on fire"))
    assert client.stopped.wait(TIMEOUT_S)
    assert client.updates[-2:] == [
        ("agent.1", "TASK_FAILED", "RuntimeError: the disk is on fire"),
        ("server.2", "TASK_FAILED", "RuntimeError: the disk is on fire"),
    ]


def test_a_mistake_at_the_very_end_holds_nothing_up(
    executor: MesosAgent, client: FakeClient, agents: list[FakeAgent], config: dict[str, Any]
) -> None:
    executor.handle(agents_task(config))
    agents[0].mistake_at_end = RuntimeError("while it was stopped")
    ending = threading.Thread(target=executor.handle, args=(kill("agent.1"),), daemon=True)
    ending.start()
    ending.join(TIMEOUT_S)
    assert not ending.is_alive()
    assert client.states[-1] == ("agent.1", "TASK_KILLED")


def test_who_is_not_started_by_mesos_is_told_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main({}) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert "Traceback" not in said
