"""Ids of what runs for us on Mesos."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artesian.clusters.mesos.ids import (
    executor_id,
    is_role_task,
    node_and_role,
    node_of_executor,
    role_task_id,
)

NODES = st.text("abz019.-", min_size=1, max_size=30)
ROLES = st.sampled_from(["agent", "manager", "server", "client"])


@given(NODES, ROLES, st.integers(0, 10**6))
def test_a_tasks_id_says_whose_it_is_and_for_what(node: str, role: str, attempt: int) -> None:
    task_id = role_task_id(node, role, attempt)
    assert is_role_task(task_id)
    assert node_and_role(task_id) == (node, role)


@given(NODES, st.text("0123456789abcdef", min_size=64, max_size=64))
def test_an_executors_id_says_whose_it_is(node: str, digest: str) -> None:
    assert node_of_executor(executor_id(node, digest)) == node


@pytest.mark.parametrize(
    "one",
    ["", "artesian.", "artesian.alpha", "artesian.alpha.agent", "artesian..agent.1", "backup", "a.b.c.1"],
)
def test_what_somebody_else_made_up_is_nobodys_task(one: str) -> None:
    assert node_and_role(one) is None


@pytest.mark.parametrize("one", ["", "artesian.", "artesian.alpha", "artesian.alpha.", "other.alpha.ab"])
def test_what_somebody_else_made_up_is_nobodys_executor(one: str) -> None:
    assert node_of_executor(one) is None


def test_an_ordinary_task_is_none_of_a_role() -> None:
    assert not is_role_task("backup")
