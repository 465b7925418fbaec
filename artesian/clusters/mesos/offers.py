"""Offers of Mesos: what is in them for us, and the lists of resources that calls are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from artesian.clusters.mesos.agents import address_of, attributes_of
from artesian.model.resources import Resources, total

_MIB = 1 << 20
_SMALLEST = 1e-9
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reserver:
    """Who keeps resources for itself: a framework in its role, with its principal if it has one.

    `label` tells what is kept for us from what others in the role keep; it outlives the framework.
    """

    framework_id: str
    role: str
    label: str
    principal: str | None = None

    @property
    def reservation(self) -> dict[str, Any]:
        """As Mesos writes it."""
        made: dict[str, Any] = {
            "type": "DYNAMIC",
            "role": self.role,
            "labels": {"labels": [{"key": "artesian", "value": self.label}]},
        }
        return made if self.principal is None else {**made, "principal": self.principal}

    def holds(self, resource: Json) -> bool:
        """Whether this is what we keep."""
        stack = resource.get("reservations", ())
        labels = stack[-1].get("labels", {}).get("labels", ()) if stack else ()
        return any(one.get("key") == "artesian" and one.get("value") == self.label for one in labels)


@dataclass(frozen=True, slots=True)
class Offer:
    """What an agent has for us now. `kept` is reserved for us already, `free` for nobody.

    `further_ids`: other offers of the same agent, what is in them being counted here.
    """

    id: str
    agent_id: str
    node: str
    address: str
    attributes: Mapping[str, str]
    kept: Resources
    free: Resources
    further_ids: tuple[str, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """Of everything that is counted here."""
        return (self.id, *self.further_ids)


def by_agent(offers: Iterable[Offer]) -> tuple[Offer, ...]:
    """One for each agent: Mesos may offer what has become free beside what it has offered before."""
    found: dict[str, Offer] = {}
    for one in offers:
        before = found.get(one.agent_id)
        if before is not None:
            one = replace(
                before,
                kept=total([before.kept, one.kept]),
                free=total([before.free, one.free]),
                further_ids=(*before.further_ids, *one.ids),
            )
        found[one.agent_id] = one
    return tuple(found.values())


def read_offer(offer: Json, reserver: Reserver) -> Offer:
    """An offer as the master sends it. Raises KeyError, TypeError for what is none."""
    url = offer.get("url", {}).get("address", {})
    hostname = str(offer["hostname"])
    plain = [one for one in offer.get("resources", ()) if "revocable" not in one and "disk" not in one]
    return Offer(
        str(offer["id"]["value"]),
        str(offer["agent_id"]["value"]),
        hostname,
        str(url.get("ip") or address_of("", hostname)),
        attributes_of(offer),
        _sum(one for one in plain if reserver.holds(one)),
        _sum(one for one in plain if not one.get("reservations")),
    )


def _sum(resources: Iterable[Json]) -> Resources:
    cpus, memory_mib = 0.0, 0.0
    for one in resources:
        if one["name"] == "cpus":
            cpus += one["scalar"]["value"]
        elif one["name"] == "mem":
            memory_mib += one["scalar"]["value"]
    return Resources(round(cpus, 6), int(memory_mib * _MIB))


def as_list(resources: Resources, reserver: Reserver, *, kept: bool) -> list[dict[str, Any]]:
    """Resources as calls name them: kept for us, or of those that are free."""
    found = []
    for name, value in (("cpus", resources.cpus), ("mem", resources.memory_bytes / _MIB)):
        if value > _SMALLEST:
            one: dict[str, Any] = {
                "name": name,
                "type": "SCALAR",
                "scalar": {"value": round(value, 6)},
                "allocation_info": {"role": reserver.role},
            }
            found.append(one | ({"reservations": [reserver.reservation]} if kept else {}))
    return found


def minus(one: Resources, other: Resources) -> Resources:
    """What is left of one without the other; never below nothing."""
    return Resources(max(0.0, round(one.cpus - other.cpus, 6)), max(0, one.memory_bytes - other.memory_bytes))


def is_nothing(resources: Resources) -> bool:
    """Whether there is neither."""
    return resources.cpus <= _SMALLEST and resources.memory_bytes < _MIB
