"""Mesos' agents as nodes: pure functions of what the master answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from artesian.model.resources import Resources

_MIB = 1 << 20
_NOTHING = Resources()
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AgentSeen:
    """A registered agent. Mesos says of one that is to be empty (`leaving`) that it is not `active`.

    `free`: what is there beside what other roles hold, our own share included.
    """

    agent_id: str
    node: str
    address: str
    attributes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    active: bool = True
    leaving: bool = False
    free: Resources = _NOTHING


def agents_of(answers: Iterable[Json], role: str) -> tuple[AgentSeen, ...]:
    """The agents in the answer to GET_AGENTS, by name; `role` is ours."""
    return tuple(sorted((_agent(one, role) for one in answers), key=lambda one: (one.node, one.agent_id)))


def _agent(answer: Json, role: str) -> AgentSeen:
    info = answer["agent_info"]
    total = scalars(answer.get("total_resources", info.get("resources", ())))
    others = scalars(
        one
        for one in answer.get("allocated_resources", ())
        if one.get("allocation_info", {}).get("role") != role
    )
    free = Resources(
        max(0.0, round(total.cpus - others.cpus, 6)), max(0, total.memory_bytes - others.memory_bytes)
    )
    return AgentSeen(
        str(info["id"]["value"]),
        str(info["hostname"]),
        address_of(str(answer.get("pid", "")), str(info["hostname"])),
        MappingProxyType(attributes_of(info)),
        bool(answer.get("active", True)),
        "drain_info" in answer or bool(answer.get("deactivated")),
        free,
    )


def address_of(process: str, hostname: str) -> str:
    """Where an agent is: `slave(1)@10.0.0.7:5051` is at 10.0.0.7."""
    _, _, place = process.partition("@")
    address, _, _ = place.rpartition(":")
    return address.strip("[]") or hostname


def attributes_of(info: Json) -> dict[str, str]:
    """An agent's attributes as texts, its region and zone among them unless attributes say something else."""
    fault_domain = info.get("domain", {}).get("fault_domain", {})
    found = {
        key: str(fault_domain[key]["name"])
        for key in ("region", "zone")
        if "name" in fault_domain.get(key, {})
    }
    for one in info.get("attributes", ()):
        found[str(one["name"])] = _text(one)
    return found


def _text(attribute: Json) -> str:
    match attribute.get("type"):
        case "SCALAR":
            value = float(attribute["scalar"]["value"])
            return str(int(value)) if value.is_integer() else str(value)
        case "RANGES":
            ranges = attribute["ranges"].get("range", ())
            return ",".join(f"{one['begin']}-{one['end']}" for one in ranges)
        case "SET":
            return ",".join(attribute["set"].get("item", ()))
        case _:
            return str(attribute.get("text", {}).get("value", ""))


def scalars(resources: Iterable[Json]) -> Resources:
    """Processors and memory of a list of resources, whoever they are reserved for."""
    cpus, memory_mib = 0.0, 0.0
    for one in resources:
        value = float(one.get("scalar", {}).get("value", 0.0))
        if one["name"] == "cpus":
            cpus += value
        elif one["name"] == "mem":
            memory_mib += value
    return Resources(round(cpus, 6), int(memory_mib * _MIB))


def same_name(agents: Sequence[AgentSeen]) -> Mapping[str, tuple[str, ...]]:
    """Names that several active agents have, with their ids: which is which cannot be told."""
    found: dict[str, list[str]] = {}
    for one in agents:
        if one.active or one.leaving:
            found.setdefault(one.node, []).append(one.agent_id)
    return {name: tuple(sorted(ids)) for name, ids in found.items() if len(ids) > 1}
