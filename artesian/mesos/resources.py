"""Arithmetic with Mesos' resources: whose they are, how much there is, and how to take a part.

Resources are JSON as Mesos sends it. Scalars are exact to a thousandth, as Mesos has them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

Resource = dict[str, Any]
Resources = Sequence[Mapping[str, Any]]
Range = tuple[int, int]

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


def amount(resources: Resources, name: str) -> float:
    """How much of a scalar there is in all."""
    return _total(resources, name) / _THOUSANDTHS


def covers(resources: Resources, wanted: Mapping[str, float]) -> bool:
    """Whether there is at least so much of each."""
    return all(_total(resources, name) >= _thousandths(value) for name, value in wanted.items())


def missing(resources: Resources, wanted: Mapping[str, float]) -> dict[str, float]:
    """What of the wanted is not there."""
    lacks = {name: _thousandths(value) - _total(resources, name) for name, value in wanted.items()}
    return {name: value / _THOUSANDTHS for name, value in lacks.items() if value > 0}


def surplus(resources: Resources, wanted: Mapping[str, float]) -> dict[str, float]:
    """What there is beyond the wanted, of any scalar."""
    names = {str(resource["name"]) for resource in resources if "scalar" in resource}
    more = {name: _total(resources, name) - _thousandths(wanted.get(name, 0.0)) for name in sorted(names)}
    return {name: value / _THOUSANDTHS for name, value in more.items() if value > 0}


def take(resources: Resources, wanted: Mapping[str, float]) -> tuple[list[Resource], list[Resource]] | None:
    """So much of each scalar, and what is left of all; None if there is not enough.

    Each part is reserved as what it is taken of. Give those first that are to be used first.
    """
    left = {name: _thousandths(value) for name, value in wanted.items()}
    taken: list[Resource] = []
    rest: list[Resource] = []
    for resource in resources:
        has = _scalar(resource)
        part = min(left.get(str(resource["name"]), 0), has)
        if part > 0:
            left[str(resource["name"])] -= part
            taken.append(_with_scalar(resource, part))
        if part <= 0:
            rest.append(dict(resource))
        elif has > part:
            rest.append(_with_scalar(resource, has - part))
    return None if any(value > 0 for value in left.values()) else (taken, rest)


def to_reserve(unreserved: Resources, wanted: Mapping[str, float], mark: Mark) -> list[Resource] | None:
    """The resources for RESERVE that give us so much; None if there is not enough that nobody has."""
    found = take([each for each in unreserved if reservation_of(each) is None], wanted)
    return None if found is None else [reserved(each, mark) for each in found[0]]


def to_unreserve(
    resources: Resources, mark: Mark, unwanted: Mapping[str, float] | None = None
) -> list[Resource]:
    """The resources for UNRESERVE: all that are ours, or so much of them as there is of the unwanted."""
    ours = [plain(each) for each in split(resources, mark).ours]
    if unwanted is None:
        return ours
    possible = {name: min(value, amount(ours, name)) for name, value in unwanted.items()}
    found = take(ours, possible)
    return found[0] if found else []


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


def ranges_of(resources: Resources, name: str) -> list[Range]:
    """The ranges of a resource such as "ports", joined and in order; both ends belong to them."""
    found = sorted(
        (int(each["begin"]), int(each["end"]))
        for resource in resources
        if resource["name"] == name
        for each in resource.get("ranges", {}).get("range", [])
    )
    joined: list[Range] = []
    for begin, end in found:
        if joined and begin <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return joined


def take_numbers(resources: Resources, name: str, wanted: Iterable[int]) -> list[Resource] | None:
    """Resources with just these numbers of a range, such as ports; None if one of them is not there.

    Each part is reserved as what it is taken of.
    """
    left = set(wanted)
    taken: list[Resource] = []
    for resource in resources:
        had = ranges_of([resource], name)
        here = sorted(number for number in left if any(begin <= number <= end for begin, end in had))
        if here:
            left -= set(here)
            taken.append({**plain(resource), "ranges": {"range": _ranges(here)}})
    return None if left else taken


def first_numbers(resources: Resources, name: str, count: int) -> list[int] | None:
    """The lowest numbers of a range, so many; None if there are fewer."""
    found: list[int] = []
    for begin, end in ranges_of(resources, name):
        found.extend(range(begin, min(end, begin + count - len(found) - 1) + 1))
    return found if len(found) >= count else None


def _ranges(numbers: Sequence[int]) -> list[dict[str, int]]:
    found: list[dict[str, int]] = []
    for number in numbers:
        if found and found[-1]["end"] == number - 1:
            found[-1]["end"] = number
        else:
            found.append({"begin": number, "end": number})
    return found


def _reservation(said: Mapping[str, Any], role: str, is_dynamic: bool) -> Reservation:
    labels = said.get("labels", {}).get("labels", [])
    pairs = tuple(sorted((str(each["key"]), str(each.get("value", ""))) for each in labels))
    return Reservation(role, is_dynamic, said.get("principal"), pairs)


def _total(resources: Resources, name: str) -> int:
    return sum(_scalar(resource) for resource in resources if resource["name"] == name)


def _scalar(resource: Mapping[str, Any]) -> int:
    return _thousandths(float(resource.get("scalar", {}).get("value", 0.0)))


def _thousandths(value: float) -> int:
    return round(value * _THOUSANDTHS)


def _with_scalar(resource: Mapping[str, Any], thousandths: int) -> Resource:
    return {**plain(resource), "scalar": {"value": thousandths / _THOUSANDTHS}}
