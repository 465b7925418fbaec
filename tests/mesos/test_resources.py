"""Arithmetic with resources: nothing is made, nothing is lost, and what is reserved stays reserved."""

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
_wanted = st.dictionaries(_names, st.integers(1, 9_000).map(lambda each: each / 1000), max_size=3)


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


@given(offer=_offers, wanted=_wanted)
def test_what_is_taken_and_what_is_left_are_what_there_was(
    offer: list[Resource], wanted: dict[str, float]
) -> None:
    found = resources.take(offer, wanted)
    assert (found is not None) == resources.covers(offer, wanted)
    assert (found is None) == bool(resources.missing(offer, wanted))
    if found is None:
        return
    taken, left = found
    assert _sums([*taken, *left]) == _sums(offer)
    for name, value in wanted.items():
        assert resources.amount(taken, name) == value
    assert {each["name"] for each in taken} <= set(wanted)
    assert all(each["scalar"]["value"] > 0 for each in taken)


@given(offer=_offers, wanted=_wanted)
def test_what_is_reserved_is_ours_and_can_be_given_back(
    offer: list[Resource], wanted: dict[str, float]
) -> None:
    unreserved = resources.split(offer, _MARK).unreserved
    reserving = resources.to_reserve(unreserved, wanted, _MARK)
    if reserving is None:
        assert not resources.covers(unreserved, wanted)
        return
    assert resources.covers(resources.split(reserving, _MARK).ours, wanted)
    assert not resources.split(reserving, _OTHER).ours
    assert not any("allocation_info" in each for each in reserving)
    assert resources.to_unreserve(reserving, _MARK) == reserving
    assert resources.to_unreserve(reserving, _OTHER) == []


@given(offer=_offers, unwanted=_wanted)
def test_no_more_is_given_back_than_is_ours(offer: list[Resource], unwanted: dict[str, float]) -> None:
    ours = resources.split(offer, _MARK).ours
    back = resources.to_unreserve(offer, _MARK, unwanted)
    for name in ("cpus", "mem", "disk"):
        expected = min(resources.amount(ours, name), unwanted.get(name, 0.0))
        assert resources.amount(back, name) == expected
    assert all(resources.is_ours(each, _MARK) for each in back)


@given(offer=_offers, wanted=_wanted)
def test_surplus_and_missing_are_the_two_sides_of_one_difference(
    offer: list[Resource], wanted: dict[str, float]
) -> None:
    more, lacking = resources.surplus(offer, wanted), resources.missing(offer, wanted)
    assert not set(more) & set(lacking)
    for name in set(wanted) | {each["name"] for each in offer}:
        difference = resources.amount(offer, name) - wanted.get(name, 0.0)
        assert round(more.get(name, 0.0) - lacking.get(name, 0.0) - difference, 6) == 0


def test_scalars_are_exact_to_a_thousandth() -> None:
    tenths = [resources.scalar("cpus", 0.1) for _ in range(3)]
    assert resources.covers(tenths, {"cpus": 0.3})
    assert resources.amount(tenths, "cpus") == 0.3
    assert resources.surplus(tenths, {"cpus": 0.3}) == {}


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


def test_what_was_said_of_the_offer_alone_is_left_out() -> None:
    offered = {**resources.scalar("cpus", 1), "role": "*", "allocation_info": {"role": "artesian"}}
    assert resources.to_reserve([offered], {"cpus": 1}, Mark("artesian")) == [
        resources.reserved(resources.scalar("cpus", 1), Mark("artesian"))
    ]


def test_only_the_last_reservation_says_whose_it_is() -> None:
    ours = resources.reserved(resources.scalar("cpus", 1), Mark("artesian"))
    theirs = {**ours, "reservations": [*ours["reservations"], {"type": "DYNAMIC", "role": "artesian/theirs"}]}
    assert resources.reservation_of(theirs) == Reservation("artesian/theirs", True)
    assert resources.split([theirs], Mark("artesian")).others == (theirs,)


def test_volumes_are_never_ours_to_use_up() -> None:
    volume = resources.reserved({**resources.scalar("disk", 10), "disk": {"persistence": {"id": "v"}}}, _MARK)
    assert resources.split([volume], _MARK).others == (volume,)
    assert resources.to_unreserve([volume], _MARK) == []


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


def _ports(*ranges: tuple[int, int], mark: Mark | None = None) -> Resource:
    found = [{"begin": begin, "end": end} for begin, end in ranges]
    resource: Resource = {"name": "ports", "type": "RANGES", "ranges": {"range": found}}
    return resource if mark is None else resources.reserved(resource, mark)


def test_ranges_are_joined() -> None:
    offer = [_ports((5, 6), (1, 2)), _ports((3, 3), (9, 9)), resources.scalar("cpus", 1)]
    assert resources.ranges_of(offer, "ports") == [(1, 3), (5, 6), (9, 9)]


@given(
    ours=st.sets(st.integers(1, 60)),
    free=st.sets(st.integers(61, 99)),
    wanted=st.sets(st.integers(1, 99), max_size=8),
    count=st.integers(0, 12),
)
def test_just_the_wanted_numbers_are_taken(
    ours: set[int], free: set[int], wanted: set[int], count: int
) -> None:
    offer = [_ports(*((each, each) for each in ours), mark=_MARK), _ports(*((each, each) for each in free))]
    taken = resources.take_numbers(offer, "ports", wanted)
    if not wanted <= ours | free:
        assert taken is None
    else:
        assert taken is not None
        of = resources.split(taken, _MARK)
        assert _numbers(of.ours) == wanted & ours
        assert _numbers(of.unreserved) == wanted & free
    lowest = resources.first_numbers(offer, "ports", count)
    assert lowest == (sorted(ours | free)[:count] if len(ours | free) >= count else None)


def _numbers(found: tuple[Resource, ...]) -> set[int]:
    ranges = resources.ranges_of(found, "ports")
    return {number for begin, end in ranges for number in range(begin, end + 1)}
