"""The ids of what runs for us on Mesos. They say what it is, so that nobody has to search for it."""

from __future__ import annotations

_OURS = "artesian."  # what these ids begin with, and no other's


def role_task_id(node: str, role: str, attempt: int) -> str:
    """Of a node's task for a role. `attempt` makes it differ from those before it."""
    return f"{_OURS}{node}.{role}.{attempt}"


def is_role_task(task_id: str) -> bool:
    """Whether it is of a task for a role; all others are ordinary programs'."""
    return task_id.startswith(_OURS)


def node_and_role(task_id: str) -> tuple[str, str] | None:
    """Whose task it is and for what; None for others' ids. Only names of nodes may have dots."""
    if not is_role_task(task_id):
        return None
    node, role, attempt = ["", "", *task_id.removeprefix(_OURS).rsplit(".", 2)][-3:]
    return (node, role) if node and role and attempt.isdecimal() else None


def executor_id(node: str, digest: str) -> str:
    """Of a node's executor. `digest` says what it is made of."""
    return f"{_OURS}{node}.{digest[:10]}"


def node_of_executor(one: str) -> str | None:
    """Whose executor it is; None for others' ids."""
    node, _, digest = one.removeprefix(_OURS).rpartition(".")
    return node if one.startswith(_OURS) and node and digest else None
