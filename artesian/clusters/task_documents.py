"""Ordinary tasks as documents, whichever substrate remembers them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from artesian.clusters.port import TaskWanted
from artesian.model.resources import Resources


def task_document(task: TaskWanted) -> dict[str, Any]:
    """What JSON can hold of it: everything."""
    return {
        "id": task.id,
        "node": task.node,
        "command": list(task.command),
        "cpus": task.resources.cpus,
        "memory_bytes": task.resources.memory_bytes,
        "environment": dict(task.environment),
    }


def task_of(document: Mapping[str, Any]) -> TaskWanted:
    """The task of a document, which may hold more than that. Raises ValueError, TypeError, KeyError."""
    return TaskWanted(
        str(document["id"]),
        str(document["node"]),
        tuple(document["command"]),
        Resources(float(document["cpus"]), int(document["memory_bytes"])),
        MappingProxyType(dict(document["environment"])),
    )
