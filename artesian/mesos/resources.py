"""Mesos' resources: whose they are, and how they look once we have reserved them.

Resources are JSON as Mesos sends it. Scalars are exact to a thousandth, as Mesos has them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

Resource = dict[str, Any]
Resources = Sequence[Mapping[str, Any]]

_ANYBODY = "*"
_THOUSANDTHS = 1000
# What is not the framework's own to hand on: it says how much was offered to which of its roles.
_ALLOCATION = "allocation_info"
# Volumes, and what may be taken away at any time: no plain room for tasks.
_SPECIAL = ("disk", "revocable", "shared", "provider_id")


@dataclass(frozen=True, slots=True)
class Mark:
    """How our reservations look. A principal or labels that are not named may be any."""

    role: str
    principal: str | None = None
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Reservation:
    """The last reservation of a resource, which says whose it is now."""

    role: str
    is_dynamic: bool
    principal: str | None = None
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Split:
    """Resources by whose they are. `ours` we have reserved and can give back; `static` the agent's
    operator has given our role; `others` is everything else, volumes and revocable resources too."""

    unreserved: tuple[Resource, ...] = ()
    ours: tuple[Resource, ...] = ()
    static: tuple[Resource, ...] = ()
    others: tuple[Resource, ...] = ()


def reservation_of(resource: Mapping[str, Any]) -> Reservation | None:
    """Who has a resource reserved; None if nobody. Reads the shape from before the stack, too."""
    stack = resource.get("reservations") or []
    if stack:
        top = stack[-1]
        return _reservation(top, str(top.get("role", _ANYBODY)), top.get("type") == "DYNAMIC")
    role = str(resource.get("role", _ANYBODY))
    if role == _ANYBODY:
        return None
    old = resource.get("reservation")
    return _reservation(old or {}, role, old is not None)


def is_ours(resource: Mapping[str, Any], mark: Mark) -> bool:
    """Whether we have reserved this resource."""
    found = reservation_of(resource)
    if found is None or not found.is_dynamic or found.role != mark.role:
        return False
    if mark.principal is not None and found.principal != mark.principal:
        return False
    return set(mark.labels.items()) <= set(found.labels)


def split(resources: Resources, mark: Mark) -> Split:
    """Tells resources apart by whose they are."""
    unreserved: list[Resource] = []
    ours: list[Resource] = []
    static: list[Resource] = []
    others: list[Resource] = []
    for each in resources:
        resource, reservation = dict(each), reservation_of(each)
        if any(name in resource for name in _SPECIAL):
            others.append(resource)
        elif reservation is None:
            unreserved.append(resource)
        elif is_ours(resource, mark):
            ours.append(resource)
        elif reservation.role == mark.role and not reservation.is_dynamic:
            static.append(resource)
        else:
            others.append(resource)
    return Split(tuple(unreserved), tuple(ours), tuple(static), tuple(others))


def reserved(resource: Mapping[str, Any], mark: Mark) -> Resource:
    """A resource with our reservation on top."""
    top: Resource = {"type": "DYNAMIC", "role": mark.role}
    if mark.principal is not None:
        top["principal"] = mark.principal
    if mark.labels:
        top["labels"] = {"labels": [{"key": key, "value": mark.labels[key]} for key in sorted(mark.labels)]}
    bare = plain(resource)
    return {**bare, "reservations": [*bare.get("reservations", []), top]}


def plain(resource: Mapping[str, Any]) -> Resource:
    """A resource without what was only said of its offer, its reservations as a stack."""
    bare = {name: value for name, value in resource.items() if name != _ALLOCATION}
    role, old = bare.pop("role", _ANYBODY), bare.pop("reservation", None)
    if role != _ANYBODY and not bare.get("reservations"):
        kind = "STATIC" if old is None else "DYNAMIC"
        bare["reservations"] = [{**(old or {}), "type": kind, "role": role}]
    return bare


def scalar(name: str, value: float) -> Resource:
    """So much of a scalar, reserved by nobody."""
    return {"name": name, "type": "SCALAR", "scalar": {"value": _thousandths(value) / _THOUSANDTHS}}


def _reservation(said: Mapping[str, Any], role: str, is_dynamic: bool) -> Reservation:
    labels = said.get("labels", {}).get("labels", [])
    pairs = tuple(sorted((str(each["key"]), str(each.get("value", ""))) for each in labels))
    return Reservation(role, is_dynamic, said.get("principal"), pairs)


def _thousandths(value: float) -> int:
    return round(value * _THOUSANDTHS)
