"""Agents that are of another version than the scheduler: they are renewed one node at a time. Pure.

To renew an agent is to end it: its executor ends, and the next one is made of the present file, and adopts
what runs on the node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from artesian.clusters.mesos.records import NodeRecord
from artesian.model.mesos_agent import AGENT_ROLE

if TYPE_CHECKING:
    from artesian.clusters.mesos.infos import AgentProgram
    from artesian.clusters.mesos.matching import Situation


def is_outdated(record: NodeRecord, program: AgentProgram) -> bool:
    """Whether a node's executor is made of another file; where that is fetched from makes no difference."""
    return record.executor is not None and program.sha256 not in str(record.executor["command"]["value"])


def to_renew(situation: Situation) -> str | None:
    """The node whose agent is to be renewed now; None while the one before it does not report yet."""
    outdated: list[tuple[bool, str]] = []
    for node in sorted(situation.wants):
        record, standing = situation.records.get(node), situation.standings.get(node)
        if record is None or record.executor is None or node in situation.stopping | situation.drained:
            continue
        if standing is None:
            return None  # nothing is known of it yet
        status = situation.statuses.get(record.tasks.get(AGENT_ROLE, ""))
        if standing.away or (status is not None and status.state == "TASK_UNREACHABLE"):
            continue
        if status is None or status.state != "TASK_RUNNING":
            return None
        if is_outdated(record, situation.program):
            outdated.append((not standing.reports, node))
        elif not standing.reports or standing.heard_s < status.at_s:
            return None  # what was heard of it is what the agent before said
    return min(outdated)[1] if outdated else None
