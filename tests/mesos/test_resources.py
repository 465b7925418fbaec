"""Whose resources are: each is somebody's, and what is ours is known again."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from artesian.mesos import resources
from artesian.mesos.resources import Mark, Reservation, Resource

_MARK = Mark("artesian", "me", {"framework": "f1"})
_OTHER = Mark("artesian", "me", {"framework": "f2"})
_amounts = st.integers(1, 64_000).map(lambda thousandths: thousandths / 1000)
_names = st.sampled_from(["cpus", "mem", "disk"])


@st.composite
def _resources(draw: st.DrawFn) -> Resource:
    """Scalars as offers have them, reserved in every way."""
    resource: Resource = resources.scalar(draw(_names), draw(_amounts))
    kind = draw(st.sampled_from(["", "old", "ours", "ours on static", "other's", "static", "elsewhere"]))
    if draw(st.booleans()):
        resource["allocation_info"] = {"role": "artesian"}
    static = {"type": "STATIC", "role": "artesian"}
    if kind == "":
        resource["role"] = "*"
    elif kind == "old":
        resource |= {"role": "artesian", "reservation": {"principal": "me"}}
    elif kind == "ours":
        resource = {**resources.reserved(resource, _MARK)}
    elif kind == "ours on static":
        resource = resources.reserved({**resource, "reservations": [static]}, _MARK)
    elif kind == "other's":
        resource = resources.reserved(resource, _OTHER)
    elif kind == "static":
        resource["reservations"] = [static]
    else:
        resource["reservations"] = [{"type": "DYNAMIC", "role": "somebody"}]
    if kind != "ours" and draw(st.integers(0, 9)) == 0:
        resource["revocable"] = {}
    return resource


_offers = st.lists(_resources(), max_size=12)


def _sums(found: list[Resource]) -> dict[tuple[str, Any], int]:
    """Thousandths by name and reservation."""
    sums: dict[tuple[str, Any], int] = {}
    for each in found:
        key = (each["name"], resources.reservation_of(each))
        sums[key] = sums.get(key, 0) + round(each["scalar"]["value"] * 1000)
    return sums


@given(offer=_offers)
def test_every_resource_is_somebodys(offer: list[Resource]) -> None:
    split = resources.split(offer, _MARK)
    together = [*split.unreserved, *split.ours, *split.static, *split.others]
    assert _sums(together) == _sums(offer)
    assert len(together) == len(offer)
    assert all(resources.is_ours(each, _MARK) for each in split.ours)
    assert all(resources.reservation_of(each) is None for each in split.unreserved)
    assert all(resources.reservation_of(each) == Reservation("artesian", False) for each in split.static)
    assert not any("revocable" in each for each in (*split.ours, *split.unreserved, *split.static))


def test_a_mark_asks_only_for_what_it_names() -> None:
    ours = resources.reserved(resources.scalar("cpus", 1), _MARK)
    assert resources.is_ours(ours, Mark("artesian"))
    assert resources.is_ours(ours, Mark("artesian", "me"))
    assert not resources.is_ours(ours, Mark("artesian", "you"))
    assert not resources.is_ours(ours, Mark("other"))
    assert not resources.is_ours(ours, Mark("artesian", labels={"framework": "f2"}))
    assert not resources.is_ours(
        {**ours, "reservations": [{"type": "STATIC", "role": "artesian"}]}, Mark("artesian")
    )


def test_only_the_last_reservation_says_whose_it_is() -> None:
    ours = resources.reserved(resources.scalar("cpus", 1), Mark("artesian"))
    theirs = {**ours, "reservations": [*ours["reservations"], {"type": "DYNAMIC", "role": "artesian/theirs"}]}
    assert resources.reservation_of(theirs) == Reservation("artesian/theirs", True)
    assert resources.split([theirs], Mark("artesian")).others == (theirs,)


def test_volumes_are_never_ours_to_use_up() -> None:
    volume = resources.reserved({**resources.scalar("disk", 10), "disk": {"persistence": {"id": "v"}}}, _MARK)
    assert resources.split([volume], _MARK).others == (volume,)


def test_the_shape_before_the_stack_becomes_a_stack() -> None:
    old = {**resources.scalar("cpus", 1), "role": "artesian", "reservation": {"principal": "me"}}
    assert resources.plain(old)["reservations"] == [
        {"principal": "me", "type": "DYNAMIC", "role": "artesian"}
    ]
    static = {**resources.scalar("cpus", 1), "role": "artesian"}
    assert resources.plain(static)["reservations"] == [{"type": "STATIC", "role": "artesian"}]
    # The operator's view has both shapes at once.
    both = {**resources.reserved(resources.scalar("cpus", 1), _MARK), "role": "artesian", "reservation": {}}
    assert resources.plain(both) == resources.reserved(resources.scalar("cpus", 1), _MARK)


def test_scalars_are_exact_to_a_thousandth() -> None:
    assert resources.scalar("cpus", 0.1 + 0.2)["scalar"] == {"value": 0.3}


def test_what_was_said_of_the_offer_alone_is_left_out() -> None:
    offered = {**resources.scalar("cpus", 1), "role": "*", "allocation_info": {"role": "artesian"}}
    assert resources.reserved(offered, Mark("artesian")) == resources.reserved(
        resources.scalar("cpus", 1), Mark("artesian")
    )
