"""What the framework remembers of each node of a Mesos cluster, so that a restart finds its tasks again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from artesian.clusters.port import SubstrateUnusable
from artesian.model.resources import Resources

_PREFIX = "node/"
_NOTHING = Resources()


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """Written down before anything is launched.

    `tasks`: for each role the id of the task that was launched last. `executor`: its ExecutorInfo, which has
    to be the same for every task of it. `attempts` makes the ids of tasks differ. `gone`: somebody has told
    Mesos that this agent is gone for good. `taken`: what each role's task has taken at its launch, as far as
    that is known; `spare`: what was seen to be kept for what they have come to need since.
    """

    node: str
    agent_id: str
    address: str
    attributes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    tasks: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    executor: Mapping[str, Any] | None = None
    attempts: int = 0
    gone: bool = False
    taken: Mapping[str, Resources] = field(default_factory=lambda: MappingProxyType({}))
    spare: Resources = _NOTHING

    @property
    def executor_id(self) -> str:
        """Empty if nothing was ever launched."""
        return str(self.executor["executor_id"]["value"]) if self.executor is not None else ""


def records_of(documents: Mapping[str, str]) -> dict[str, NodeRecord]:
    """The nodes in a memory's documents. Raises SubstrateUnusable."""
    found = {}
    for key, text in documents.items():
        if key.startswith(_PREFIX):
            try:
                values = json.loads(text)
                for name in ("attributes", "tasks"):
                    values[name] = MappingProxyType(values[name])
                taken = {role: Resources(*one) for role, one in values.get("taken", {}).items()}
                values["taken"] = MappingProxyType(taken)
                values["spare"] = Resources(*values.get("spare", ()))
                record = NodeRecord(**values)
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise SubstrateUnusable(f"what is known of {key} cannot be read: {error}") from None
            found[record.node] = record
    return found


def document_of(record: NodeRecord) -> tuple[str, str]:
    """Key and text."""
    values = {key: dict(value) if isinstance(value, Mapping) else value for key, value in _fields(record)}
    values["taken"] = {role: _amounts(one) for role, one in record.taken.items()}
    values["spare"] = _amounts(record.spare)
    return f"{_PREFIX}{record.node}", json.dumps(values, sort_keys=True)


def _amounts(resources: Resources) -> tuple[float, int]:
    return resources.cpus, resources.memory_bytes


def _fields(record: NodeRecord) -> list[tuple[str, Any]]:
    return [(name, getattr(record, name)) for name in NodeRecord.__slots__]
