"""Ordinary tasks as documents."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import Any

import pytest

from artesian.clusters.port import TaskWanted
from artesian.clusters.task_documents import task_document, task_of
from artesian.model.resources import Resources

TASK = TaskWanted(
    "backup", "alpha", ("/bin/backup", "--all"), Resources(0.5, 64 << 20), MappingProxyType({"HOME": "/"})
)


def test_a_task_is_the_same_after_it_was_written_and_read() -> None:
    assert task_of(json.loads(json.dumps(task_document(TASK)))) == TASK


def test_what_else_a_document_holds_is_its_writers() -> None:
    assert task_of(task_document(TASK) | {"ended": "TASK_KILLED"}) == TASK


@pytest.mark.parametrize("change", [{"cpus": "many"}, {"command": None}, {"environment": 1}])
def test_a_document_that_is_none_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        task_of(task_document(TASK) | change)
