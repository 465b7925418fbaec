"""What is remembered of ordinary tasks, so that none is begun twice or forgotten."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from artesian.clusters.port import SubstrateUnusable, TaskWanted
from artesian.model.resources import Resources

_PREFIX = "task/"


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """Written down before the task is launched, and before Mesos is told that its end was heard of.

    `ended`: Mesos' name of the state in which it has ended, `because` why; empty while it may run.
    """

    task: TaskWanted
    ended: str = ""
    because: str = ""


def task_key(task_id: str) -> str:
    """Under which a task is remembered."""
    return f"{_PREFIX}{task_id}"


def task_records_of(documents: Mapping[str, str]) -> dict[str, TaskRecord]:
    """The tasks in a memory's documents. Raises SubstrateUnusable."""
    found = {}
    for key, text in documents.items():
        if key.startswith(_PREFIX):
            try:
                one = json.loads(text)
                wanted = TaskWanted(
                    str(one["id"]),
                    str(one["node"]),
                    tuple(one["command"]),
                    Resources(float(one["cpus"]), int(one["memory_bytes"])),
                    MappingProxyType(dict(one["environment"])),
                )
                record = TaskRecord(wanted, str(one["ended"]), str(one["because"]))
            except (ValueError, TypeError, KeyError) as error:
                raise SubstrateUnusable(f"what is known of {key} cannot be read: {error!r}") from None
            found[record.task.id] = record
    return found


def task_document_of(record: TaskRecord) -> tuple[str, str]:
    """Key and text."""
    task = record.task
    document = {
        "id": task.id,
        "node": task.node,
        "command": list(task.command),
        "cpus": task.resources.cpus,
        "memory_bytes": task.resources.memory_bytes,
        "environment": dict(task.environment),
        "ended": record.ended,
        "because": record.because,
    }
    return task_key(task.id), json.dumps(document, sort_keys=True)
