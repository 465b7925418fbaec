"""The calls of a scheduler, as type and body for `SchedulerClient.call`."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Json = dict[str, Any]
Call = tuple[str, Json | None]

_NANOSECONDS = 1_000_000_000


def accept(offer_ids: Iterable[str], operations: Sequence[Mapping[str, Any]], refuse_s: float) -> Call:
    """Take offers, all of one agent, for operations in this order. What is left of them is not offered to us
    for `refuse_s` seconds."""
    body = {"offer_ids": _ids(offer_ids), "operations": [dict(operation) for operation in operations]}
    return "ACCEPT", {**body, **_filters(refuse_s)}


def decline(offer_ids: Iterable[str], refuse_s: float) -> Call:
    """Give offers back; the same is not offered to us for `refuse_s` seconds."""
    return "DECLINE", {"offer_ids": _ids(offer_ids), **_filters(refuse_s)}


def accept_inverse_offers(inverse_offer_ids: Iterable[str], refuse_s: float = 0.0) -> Call:
    """Agree to be off these agents when their maintenance begins."""
    body = {"inverse_offer_ids": _ids(inverse_offer_ids), **_filters(refuse_s)}
    return "ACCEPT_INVERSE_OFFERS", body


def decline_inverse_offers(inverse_offer_ids: Iterable[str], refuse_s: float) -> Call:
    """Say that these agents cannot do without us; we are asked again after `refuse_s` seconds."""
    body = {"inverse_offer_ids": _ids(inverse_offer_ids), **_filters(refuse_s)}
    return "DECLINE_INVERSE_OFFERS", body


def suppress(roles: Iterable[str] = ()) -> Call:
    """No more offers, for these roles or for all."""
    return "SUPPRESS", {"roles": list(roles)}


def revive(roles: Iterable[str] = ()) -> Call:
    """Offers again, for these roles or for all, and without the filters set before."""
    return "REVIVE", {"roles": list(roles)}


def acknowledge(status: Mapping[str, Any]) -> Call | None:
    """Say that a status update was taken in; None for one that must not be acknowledged."""
    if not status.get("uuid"):
        return None
    body = {"agent_id": status["agent_id"], "task_id": status["task_id"], "uuid": status["uuid"]}
    return "ACKNOWLEDGE", body


def kill(task_id: str, agent_id: str | None = None, grace_s: float | None = None) -> Call:
    """End a task; its executor is told how many seconds it has, or uses the task's own policy."""
    body: Json = {"task_id": {"value": task_id}, **_agent(agent_id)}
    if grace_s is not None:
        body["kill_policy"] = {"grace_period": {"nanoseconds": round(grace_s * _NANOSECONDS)}}
    return "KILL", body


def reconcile(tasks: Iterable[tuple[str, str | None]]) -> Call:
    """Ask for the states of these tasks (id, and the agent's if known). None named: of all that are known."""
    return "RECONCILE", {"tasks": [{"task_id": {"value": task}, **_agent(agent)} for task, agent in tasks]}


def message(agent_id: str, executor_id: str, data: bytes) -> Call:
    """Bytes for an executor. They may get lost."""
    return "MESSAGE", {**_executor(agent_id, executor_id), "data": base64.b64encode(data).decode()}


def shutdown(executor_id: str, agent_id: str) -> Call:
    """End an executor and all its tasks."""
    return "SHUTDOWN", _executor(agent_id, executor_id)


def teardown() -> Call:
    """End the framework, with all its executors and tasks, for good."""
    return "TEARDOWN", None


def launch(task_infos: Sequence[Mapping[str, Any]]) -> Json:
    """The operation that launches tasks, each with its `agent_id`."""
    return {"type": "LAUNCH", "launch": {"task_infos": [dict(task) for task in task_infos]}}


def reserve(resources: Sequence[Mapping[str, Any]]) -> Json:
    """The operation that reserves resources, each with its stack of reservations."""
    return {"type": "RESERVE", "reserve": {"resources": [dict(resource) for resource in resources]}}


def unreserve(resources: Sequence[Mapping[str, Any]]) -> Json:
    """The operation that takes the last reservation off resources, given as they are reserved."""
    return {"type": "UNRESERVE", "unreserve": {"resources": [dict(resource) for resource in resources]}}


def _ids(values: Iterable[str]) -> list[Json]:
    return [{"value": value} for value in values]


def _agent(agent_id: str | None) -> Json:
    return {} if agent_id is None else {"agent_id": {"value": agent_id}}


def _executor(agent_id: str, executor_id: str) -> Json:
    return {"agent_id": {"value": agent_id}, "executor_id": {"value": executor_id}}


def _filters(refuse_s: float) -> Json:
    return {"filters": {"refuse_seconds": refuse_s}}
