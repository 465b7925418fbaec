"""What is remembered of ordinary tasks."""

from __future__ import annotations

import pytest

from artesian.clusters.mesos.tasks import TaskRecord, task_document_of, task_key, task_records_of
from artesian.clusters.port import SubstrateUnusable, TaskWanted
from artesian.model.resources import Resources

TASK = TaskWanted("backup", "alpha", ("/bin/backup", "ü; b"), Resources(0.5, 3 << 20), {"LEVEL": "2"})


@pytest.mark.parametrize("one", [TaskRecord(TASK), TaskRecord(TASK, "TASK_FAILED", "exit code 3")])
def test_a_task_comes_back_as_it_was(one: TaskRecord) -> None:
    assert task_records_of({**dict([task_document_of(one)]), "framework": "f"}) == {"backup": one}
    assert task_document_of(one)[0] == task_key("backup")


@pytest.mark.parametrize("text", ["", "{", "[]", "5", "null", "{}", '{"id": "backup", "command": 5}'])
def test_what_cannot_be_read_is_named(text: str) -> None:
    with pytest.raises(SubstrateUnusable, match="task/backup cannot be read"):
        task_records_of({"task/backup": text})
