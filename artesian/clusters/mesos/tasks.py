"""What is remembered of ordinary tasks, so that none is begun twice or forgotten."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from artesian.clusters.port import SubstrateUnusable, TaskWanted
from artesian.clusters.task_documents import task_document, task_of

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
                record = TaskRecord(task_of(one), str(one["ended"]), str(one["because"]))
            except (ValueError, TypeError, KeyError) as error:
                raise SubstrateUnusable(f"what is known of {key} cannot be read: {error!r}") from None
            found[record.task.id] = record
    return found


def task_document_of(record: TaskRecord) -> tuple[str, str]:
    """Key and text."""
    document = task_document(record.task) | {"ended": record.ended, "because": record.because}
    return task_key(record.task.id), json.dumps(document, sort_keys=True)
