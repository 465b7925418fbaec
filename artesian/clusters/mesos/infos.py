"""The documents that describe our framework, its executor and its tasks to Mesos."""

from __future__ import annotations

import base64
import hashlib
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from artesian.clusters.mesos.ids import executor_id
from artesian.clusters.mesos.offers import Reserver, as_list
from artesian.clusters.mesos.settings import MesosSettings
from artesian.clusters.port import TaskWanted
from artesian.model.resources import Resources

EXECUTOR = Resources(0.05, 32 << 20)
_FILE = "agent.pyz"
_CAPABILITIES = ("MULTI_ROLE", "PARTITION_AWARE", "RESERVATION_REFINEMENT")


@dataclass(frozen=True, slots=True)
class AgentProgram:
    """What the executor runs: the agent as one file, fetched from a scheduler and checked.

    `python` is an interpreter of the version in `version` ("3.11"), for nodes that have none in their path.
    """

    url: str
    sha256: str
    version: str
    python: str
    folder: str
    user: str | None = None


def framework_info(framework_id: str, settings: MesosSettings, webui_url: str) -> dict[str, Any]:
    """The framework, under an id of our own choice."""
    made: dict[str, Any] = {
        "id": {"value": framework_id},
        "name": settings.name,
        "user": settings.user or "root",
        "roles": [settings.role],
        "checkpoint": settings.checkpoint,
        "failover_timeout": settings.failover_timeout_s,
        "webui_url": webui_url,
        "capabilities": [{"type": one} for one in _CAPABILITIES],
    }
    return made if settings.principal is None else {**made, "principal": settings.principal}


def executor_info(node: str, program: AgentProgram, reserver: Reserver) -> dict[str, Any]:
    """The executor of a node. Its id names what it is made of: another one is another executor."""
    command: dict[str, Any] = {
        "shell": True,
        "value": _command(program),
        "uris": [{"value": program.url, "extract": False, "executable": False, "output_file": _FILE}],
        "environment": {
            "variables": [
                {"name": "ARTESIAN_CACHE", "type": "VALUE", "value": f"{program.folder}/cache"},
                {"name": "LC_ALL", "type": "VALUE", "value": "C.UTF-8"},
            ]
        },
    }
    if program.user is not None:
        command["user"] = program.user
    made: dict[str, Any] = {
        "type": "CUSTOM",
        "name": f"Artesian on {node}",
        "source": node,
        "framework_id": {"value": reserver.framework_id},
        "command": command,
        "resources": as_list(EXECUTOR, reserver, kept=True),
    }
    digest = hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()
    return {"executor_id": {"value": executor_id(node, digest)}, **made}


def _command(program: AgentProgram) -> str:
    """Agents of Mesos pass no environment on, and the path may have another Python or none."""
    named = f"python{program.version}"
    paths = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    choice = f'"$(command -v {named} || echo {shlex.quote(program.python or named)})"'
    check = f"echo '{program.sha256}  {_FILE}' | sha256sum -c --quiet -"
    return f"export PATH={paths}; {check} && exec {choice} {_FILE} --mesos"


def role_task(
    task_id: str,
    role: str,
    agent_id: str,
    needs: Resources,
    executor: Mapping[str, Any],
    reserver: Reserver,
    config: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """A task of our executor; the agent's own carries its config, with secrets, which Mesos shows nobody."""
    data = json.dumps({"role": role} | ({"config": dict(config)} if config is not None else {}))
    return {
        "name": f"artesian-{role}",
        "task_id": {"value": task_id},
        "agent_id": {"value": agent_id},
        "executor": dict(executor),
        "resources": as_list(needs, reserver, kept=True),
        "data": base64.b64encode(data.encode()).decode(),
    }


def ordinary_task(task: TaskWanted, agent_id: str, reserver: Reserver) -> dict[str, Any]:
    """A program that Mesos runs by itself."""
    program, *_ = task.command
    variables = [
        {"name": name, "type": "VALUE", "value": value} for name, value in sorted(task.environment.items())
    ]
    return {
        "name": task.id,
        "task_id": {"value": task.id},
        "agent_id": {"value": agent_id},
        "command": {
            "shell": False,
            "value": program,
            "arguments": list(task.command),
            "environment": {"variables": variables},
        },
        "resources": as_list(task.resources, reserver, kept=False),
    }
