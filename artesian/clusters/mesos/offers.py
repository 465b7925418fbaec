"""Offers of Mesos: what is in them for us, and the lists of resources that calls are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from artesian.clusters.mesos.agents import address_of, attributes_of, scalars
from artesian.mesos.resources import Mark, is_ours, reserved, scalar, split
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
    def mark(self) -> Mark:
        """What our reservations look like."""
        return Mark(self.role, self.principal, {"artesian": self.label})

    def holds(self, resource: Json) -> bool:
        """Whether this is what we keep."""
        return is_ours(resource, self.mark)


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
    parts = split(offer.get("resources", ()), reserver.mark)
    return Offer(
        str(offer["id"]["value"]),
        str(offer["agent_id"]["value"]),
        hostname,
        str(url.get("ip") or address_of("", hostname)),
        attributes_of(offer),
        scalars(parts.ours),
        scalars(parts.unreserved),
    )


def as_list(resources: Resources, reserver: Reserver, *, kept: bool) -> list[dict[str, Any]]:
    """Resources as calls name them: kept for us, or of those that are free."""
    amounts = {"cpus": resources.cpus, "mem": resources.memory_bytes / _MIB}
    found = [scalar(name, value) for name, value in amounts.items() if value > _SMALLEST]
    named = [reserved(one, reserver.mark) if kept else one for one in found]
    return [{**one, "allocation_info": {"role": reserver.role}} for one in named]


def minus(one: Resources, other: Resources) -> Resources:
    """What is left of one without the other; never below nothing."""
    return Resources(max(0.0, round(one.cpus - other.cpus, 6)), max(0, one.memory_bytes - other.memory_bytes))


def is_nothing(resources: Resources) -> bool:
    """Whether there is neither."""
    return resources.cpus <= _SMALLEST and resources.memory_bytes < _MIB
