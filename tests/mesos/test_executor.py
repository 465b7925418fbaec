"""An executor whose agent comes and goes, and does not take everything."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from artesian.mesos import executor
from artesian.mesos.errors import NotSubscribed, Refused
from artesian.mesos.executor import ExecutorClient
from tests.mesos.standin import Answer, Handler, StandIn, stream, text

_PATH = "/api/v1/executor"
_SUBSCRIBE, _UPDATE, _MESSAGE = f"{_PATH}#SUBSCRIBE", f"{_PATH}#UPDATE", f"{_PATH}#MESSAGE"
_SUBSCRIBED = {"type": "SUBSCRIBED", "subscribed": {}}
_SHUTDOWN = {"type": "SHUTDOWN"}
_LAUNCH = {"type": "LAUNCH", "launch": {"task": {"name": "t", "task_id": {"value": "t"}}}}
_UNKNOWN = text(400, "Executor cannot be found")


@pytest.fixture
def agent() -> Iterator[StandIn]:
    with StandIn() as agent:
        agent.on(_UPDATE, text(202, "")).on(_MESSAGE, text(202, ""))
        yield agent


def _executor(agent: StandIn, **more: str) -> ExecutorClient:
    environment = {
        "MESOS_AGENT_ENDPOINT": agent.address,
        "MESOS_FRAMEWORK_ID": "f",
        "MESOS_EXECUTOR_ID": "e",
        "MESOS_CHECKPOINT": "1",
        "MESOS_RECOVERY_TIMEOUT": "10secs",
        "MESOS_SUBSCRIPTION_BACKOFF_MAX": "1ms",
        "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD": "10secs",
        **more,
    }
    return ExecutorClient(environment)


def _acknowledging(*events: dict[str, Any]) -> Answer:
    """A stream in which every update that comes is acknowledged, as real agents do."""

    def answer(handler: Handler) -> None:
        told = [each["status"] for each in handler.body["subscribe"]["unacknowledged_updates"]]
        acknowledged = [
            {"type": "ACKNOWLEDGED", "acknowledged": {"task_id": each["task_id"], "uuid": each["uuid"]}}
            for each in told
        ]
        stream(_SUBSCRIBED, *acknowledged, *events, then="hang")(handler)

    return answer


def _on(kind: str, act: Callable[[], None]) -> Callable[[dict[str, Any]], None]:
    return lambda event: act() if event["type"] == kind else None


def test_events_are_handed_over_but_what_is_for_the_client_alone(agent: StandIn) -> None:
    events = [_LAUNCH, {"type": "HEARTBEAT"}, {"type": "NEW"}, _SHUTDOWN, _SHUTDOWN]
    agent.on(_SUBSCRIBE, stream(_SUBSCRIBED, *events, then="hang"))
    seen: list[dict[str, Any]] = []
    assert _executor(agent).run(seen.append) == executor.SHUTDOWN
    assert seen == [_SUBSCRIBED, _LAUNCH, {"type": "NEW"}, _SHUTDOWN]
    call = agent.bodies(_PATH)[0]
    nothing: dict[str, Any] = {"unacknowledged_tasks": [], "unacknowledged_updates": []}
    ids = {"executor_id": {"value": "e"}, "framework_id": {"value": "f"}}
    assert call == {"type": "SUBSCRIBE", **ids, "subscribe": nothing}


def test_an_update_says_all_that_was_given(agent: StandIn) -> None:
    client = _executor(agent)
    agent.on(_SUBSCRIBE, stream(_SUBSCRIBED, _LAUNCH, then="hang"))

    def tell() -> None:
        labels = {"a": "b"}
        client.update("t", "TASK_RUNNING", message="m", reason="R", healthy=False, labels=labels, data=b"x")
        client.stop(0.0)

    assert client.run(_on("LAUNCH", tell)) == executor.STOPPED
    status = agent.bodies(_UPDATE)[0]["update"]["status"]
    assert len(status.pop("uuid")) == 24
    assert status.pop("timestamp") > 0
    assert status == {
        "task_id": {"value": "t"},
        "executor_id": {"value": "e"},
        "state": "TASK_RUNNING",
        "source": "SOURCE_EXECUTOR",
        "message": "m",
        "reason": "R",
        "healthy": False,
        "labels": {"labels": [{"key": "a", "value": "b"}]},
        "data": "eA==",
    }


def test_what_was_not_acknowledged_is_told_when_the_agent_is_back(agent: StandIn) -> None:
    client = _executor(agent)
    agent.on(
        _SUBSCRIBE,
        stream(_SUBSCRIBED, _LAUNCH),
        text(503, "Agent has not finished recovery"),
        text(404, ""),
        _acknowledging(_SHUTDOWN),
    )
    assert client.run(_on("LAUNCH", lambda: client.update("t", "TASK_RUNNING"))) == executor.SHUTDOWN
    first, *_, last = [each["subscribe"] for each in agent.bodies(_SUBSCRIBE)]
    assert first["unacknowledged_tasks"] == []
    assert last["unacknowledged_tasks"] == [_LAUNCH["launch"]["task"]]  # type: ignore[index]
    sent = [each["update"] for each in agent.bodies(_UPDATE)]
    assert last["unacknowledged_updates"] == sent


def test_what_was_acknowledged_is_not_told_again(agent: StandIn) -> None:
    client = _executor(agent)
    client.update("t", "TASK_RUNNING")
    assert not agent.requests  # it was away: this goes with SUBSCRIBE

    def breaking(handler: Handler) -> None:
        told = [each["status"] for each in handler.body["subscribe"]["unacknowledged_updates"]]
        each = {"task_id": told[0]["task_id"], "uuid": told[0]["uuid"]}
        stream(_SUBSCRIBED, _LAUNCH, {"type": "ACKNOWLEDGED", "acknowledged": each}, then="break")(handler)

    agent.on(_SUBSCRIBE, breaking, _UNKNOWN)
    assert client.run(lambda event: None) == executor.AGENT_GONE
    last = agent.bodies(_SUBSCRIBE)[-1]["subscribe"]
    assert last == {"unacknowledged_tasks": [], "unacknowledged_updates": []}
    assert not agent.bodies(_UPDATE)


@pytest.mark.parametrize("answer", [text(503, "not now"), text(403, "no"), stream(then="break")])
def test_an_update_that_was_not_taken_goes_with_a_new_subscription(agent: StandIn, answer: Answer) -> None:
    client = _executor(agent)
    agent.on(_UPDATE, answer).on(
        _SUBSCRIBE, stream(_SUBSCRIBED, _LAUNCH, then="hang"), _acknowledging(_SHUTDOWN)
    )
    assert client.run(_on("LAUNCH", lambda: client.update("t", "TASK_RUNNING"))) == executor.SHUTDOWN
    told = agent.bodies(_SUBSCRIBE)[-1]["subscribe"]["unacknowledged_updates"]
    assert [each["status"]["state"] for each in told] == ["TASK_RUNNING"]


def test_an_update_that_mesos_does_not_understand_is_forgotten(agent: StandIn) -> None:
    client = _executor(agent)
    refused = text(400, "Failed to convert JSON into Call protobuf: no such state")
    agent.on(_UPDATE, refused).on(_SUBSCRIBE, stream(_SUBSCRIBED, _LAUNCH, _SHUTDOWN, then="hang"))

    def tell() -> None:
        with pytest.raises(Refused, match="no such state"):
            client.update("t", "TASK_DANCING")

    assert client.run(_on("LAUNCH", tell)) == executor.SHUTDOWN


def test_updates_from_many_threads_arrive_in_order_of_each(agent: StandIn) -> None:
    client = _executor(agent)
    agent.on(_SUBSCRIBE, stream(_SUBSCRIBED, _LAUNCH, then="hang"), _UNKNOWN)

    def tell(task: str) -> None:
        for number in range(20):
            client.update(task, "TASK_RUNNING", message=str(number))

    started = threading.Event()
    tellers = [threading.Thread(target=tell, args=[task]) for task in "abc"]

    def start() -> None:
        for teller in tellers:
            teller.start()
        started.set()

    running = threading.Thread(target=client.run, args=[_on("LAUNCH", start)])
    running.start()
    assert started.wait(10)
    for teller in tellers:
        teller.join()
    client.stop(0.0)
    running.join()
    sent = [each["update"]["status"] for each in agent.bodies(_UPDATE)]
    for task in "abc":
        numbers = [each["message"] for each in sent if each["task_id"]["value"] == task]
        assert numbers == [str(number) for number in range(20)]


def test_an_agent_that_is_away_too_long_is_given_up(agent: StandIn) -> None:
    client = _executor(agent, MESOS_RECOVERY_TIMEOUT="200ms")
    agent.on(_SUBSCRIBE, stream(_SUBSCRIBED), text(503, "Agent has not finished recovery"))
    assert client.run(lambda event: None) == executor.RECOVERY_TIMEOUT
    assert "has not finished recovery" in str(client.trouble)
    assert len(agent.bodies(_SUBSCRIBE)) > 2


def test_an_agent_that_recovers_no_executors_is_not_waited_for(agent: StandIn) -> None:
    client = _executor(agent, MESOS_CHECKPOINT="0")
    agent.on(_SUBSCRIBE, stream(_SUBSCRIBED))
    assert client.run(lambda event: None) == executor.AGENT_GONE
    assert len(agent.bodies(_SUBSCRIBE)) == 1


@pytest.mark.parametrize("answer", [_UNKNOWN, text(401, ""), text(403, "These are not your claims")])
def test_an_agent_that_does_not_want_us_is_left(agent: StandIn, answer: Answer) -> None:
    client = _executor(agent)
    agent.on(_SUBSCRIBE, answer)
    assert client.run(lambda event: None) == executor.AGENT_GONE
    assert "refuses us" in str(client.trouble)


def test_the_end_waits_for_acknowledgements_but_not_for_ever(agent: StandIn) -> None:
    client = _executor(agent, MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD="300ms")
    agent.on(_SUBSCRIBE, stream(_SUBSCRIBED, _SHUTDOWN, then="hang"))
    assert client.run(_on("SHUTDOWN", lambda: client.update("t", "TASK_KILLED"))) == executor.SHUTDOWN
    assert [each["update"]["status"]["state"] for each in agent.bodies(_UPDATE)] == ["TASK_KILLED"]
    assert len(agent.bodies(_SUBSCRIBE)) == 1


def test_who_has_nothing_more_to_do_stops(agent: StandIn) -> None:
    client = _executor(agent)
    agent.on(_SUBSCRIBE, stream(_SUBSCRIBED, then="hang"))
    assert client.run(_on("SUBSCRIBED", lambda: client.stop(10.0))) == executor.STOPPED


def test_messages_are_sent_or_said_to_be_lost(agent: StandIn) -> None:
    client = _executor(agent)
    with pytest.raises(NotSubscribed, match="is away"):
        client.message(b"too early")
    agent.on(_SUBSCRIBE, stream(_SUBSCRIBED, _LAUNCH, then="hang"), _UNKNOWN)
    agent.on(_MESSAGE, text(202, ""), text(503, "not now"))

    def tell() -> None:
        client.message(b"m")
        with pytest.raises(NotSubscribed, match="not now"):
            client.message(b"lost")
        client.stop(0.0)

    client.run(_on("LAUNCH", tell))
    assert agent.bodies(_MESSAGE)[0]["message"] == {"data": "bQ=="}


def test_the_token_is_shown_and_never_said(agent: StandIn) -> None:
    headers: list[Any] = []

    def answer(handler: Handler) -> None:
        headers.append(handler.headers["Authorization"])
        _UNKNOWN(handler)

    client = _executor(agent, MESOS_EXECUTOR_AUTHENTICATION_TOKEN="a.b.c")
    agent.on(_SUBSCRIBE, answer)
    client.run(lambda event: None)
    assert headers == ["Bearer a.b.c"]
    assert "a.b.c" not in repr(client.settings)


def test_what_the_handler_raises_ends_it(agent: StandIn) -> None:
    agent.on(_SUBSCRIBE, stream(_SUBSCRIBED, then="hang"))

    def fail(event: dict[str, Any]) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError):
        _executor(agent).run(fail)


def test_an_executor_needs_nothing_but_python() -> None:
    """It runs on nodes where nothing may be installed: -S leaves out everything that was."""
    root = Path(executor.__file__).parents[2]
    script = f"import sys; sys.path.insert(0, {str(root)!r}); import artesian.mesos.executor"
    subprocess.run([sys.executable, "-I", "-S", "-c", script], check=True, timeout=30)
