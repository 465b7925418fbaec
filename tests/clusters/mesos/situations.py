"""Situations that a decision about Mesos may have to be made in, and what a decision means."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from artesian.clusters.mesos.infos import EXECUTOR, AgentProgram, executor_info
from artesian.clusters.mesos.matching import Asked, NodeWant, Situation, Status
from artesian.clusters.mesos.offers import Offer, Reserver
from artesian.clusters.mesos.records import NodeRecord
from artesian.model.resources import Resources, total

MIB = 1 << 20
RESERVER = Reserver("framework-1", "storage", "label-1", "artesian")
PROGRAM = AgentProgram(
    "http://10.0.0.253:8700/v1/agent", "ab" * 32, "3.11", "/opt/python/bin/python3.11", "/var/lib/artesian"
)
AGENT = Resources(0.1, 96 * MIB)
SERVER = Resources(0.2, 128 * MIB)
PLENTY = Resources(4.0, 4096 * MIB)
NOTHING = Resources()
SECRET = "the-secret-of-the-engine"
CONFIG: Mapping[str, Any] = MappingProxyType({"node": "alpha", "folder": "/f", "engine_secret": SECRET})
BOTH = MappingProxyType({"agent": AGENT, "server": SERVER})
NEEDED = total([AGENT, SERVER, EXECUTOR])
RUNNING = Status("TASK_RUNNING", agent_id="agent-alpha")


def want(**roles: Resources) -> NodeWant:
    return NodeWant(MappingProxyType(roles or dict(BOTH)), CONFIG)


def offer(
    node: str = "alpha",
    free: Resources = PLENTY,
    kept: Resources = NOTHING,
    id: str = "offer-1",
    agent_id: str | None = None,
) -> Offer:
    return Offer(id, agent_id or f"agent-{node}", node, "10.0.0.1", {}, kept, free)


def record(node: str = "alpha", roles: Iterable[str] = ("agent", "server"), **more: Any) -> NodeRecord:
    """A node with a task for each of these roles."""
    tasks = {role: f"artesian.{node}.{role}.1" for role in roles}
    made = NodeRecord(
        node,
        f"agent-{node}",
        "10.0.0.1",
        tasks=tasks,
        executor=executor_info(node, PROGRAM, RESERVER),
        attempts=1,
    )
    return replace(made, **more)


def situation(**more: Any) -> Situation:
    """One in which node alpha is wanted, and nothing else is so."""
    given: dict[str, Any] = {"wants": {"alpha": want()}, "now_s": 1000.0, **more}
    return Situation(RESERVER, PROGRAM, **given)


def statuses(one: NodeRecord, state: str = "TASK_RUNNING") -> dict[str, Status]:
    return {task_id: Status(state, agent_id=one.agent_id) for task_id in one.tasks.values()}


# --- what was decided


def answered(asked: Asked) -> list[str]:
    """The ids of offers that were accepted or declined, as often as they were."""
    return [
        one["value"]
        for kind, body in asked.calls
        if kind in ("ACCEPT", "DECLINE")
        for one in body["offer_ids"]
    ]


def operations(asked: Asked, kind: str) -> list[dict[str, Any]]:
    """The bodies of all operations of a kind."""
    found = []
    for call, body in asked.calls:
        if call == "ACCEPT":
            found += [one[kind.lower()] for one in body["operations"] if one["type"] == kind]
    return found


def launched(asked: Asked) -> list[dict[str, Any]]:
    """All tasks that are launched."""
    return [task for one in operations(asked, "LAUNCH") for task in one["task_infos"]]


def amounts(resources: Iterable[Mapping[str, Any]]) -> Resources:
    """What a list in Mesos' words is in ours."""
    found = NOTHING
    for one in resources:
        value = one["scalar"]["value"]
        one_resource = Resources(value) if one["name"] == "cpus" else Resources(0.0, round(value * MIB))
        found = total([found, one_resource])
    return found


def reserved(asked: Asked) -> Resources:
    return amounts(resource for one in operations(asked, "RESERVE") for resource in one["resources"])


def unreserved(asked: Asked) -> Resources:
    return amounts(resource for one in operations(asked, "UNRESERVE") for resource in one["resources"])


def data_of(task: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.b64decode(task["data"]))
    return found


def killed(asked: Asked) -> list[str]:
    return [body["task_id"]["value"] for kind, body in asked.calls if kind == "KILL" and body is not None]
