"""The remedy that changes limits, and what is measured of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artesian.model.disk import PoolName
from artesian.model.engine import SeenLimits, SeenVolume
from artesian.model.errors import SpecError
from artesian.model.remedy import Remedy, RemedyState
from artesian.model.state import with_item
from artesian.model.wishes import FEWEST_IOPS, MOST_IOPS, VolumeWish
from artesian.remedy.checking import read_whole_spec
from artesian.remedy.limiting import changed_iops
from artesian.remedy.measuring import Known, measure
from artesian.remedy.parts import disks_wanted
from tests.planner.situations import GIB
from tests.remedy.cases import EXPAND, LIMIT, POOL_NAME, Clinic

MIB = 1 << 20
POOL = PoolName("default", "default")


# --- the new limit


@pytest.mark.parametrize(
    ("iops", "parameters", "changed"),
    [
        (100, {"by_share": 0.5}, 150),
        (100, {"by_share": -0.3}, 70),
        (100, {"by_share": 0.001}, 101),
        (100, {"by_share": 10.0, "at_most_iops": 400}, 400),
        (500, {"by_share": 0.5, "at_most_iops": 400}, 500),
        (100, {"by_share": -0.9}, FEWEST_IOPS),
        (100, {"by_share": -0.5, "at_least_iops": 80}, 80),
        (50, {"by_share": -0.5, "at_least_iops": 80}, 50),
        (MOST_IOPS, {"by_share": 1.0}, MOST_IOPS),
        (100, {"to_iops": 7000}, 7000),
        (0, {"to_iops": 7000}, 7000),
    ],
)
def test_what_a_limit_becomes(iops: int, parameters: Mapping[str, float], changed: int) -> None:
    assert changed_iops(iops, parameters) == changed


@given(st.integers(FEWEST_IOPS, MOST_IOPS), st.floats(0.01, 10), st.booleans(), st.integers(11, 10**6))
def test_a_limit_goes_in_one_direction_and_stays_one_that_engines_know(
    iops: int, by_share: float, lowers: bool, bound: int
) -> None:
    if lowers:
        lower = changed_iops(iops, {"by_share": -min(by_share, 0.9), "at_least_iops": bound})
        assert min(iops, bound) <= lower <= iops
    else:
        higher = changed_iops(iops, {"by_share": by_share, "at_most_iops": bound})
        assert iops <= higher <= max(iops, bound)


# --- the remedy


def clinic_with(**wish: object) -> Clinic:
    clinic = Clinic()
    wanted = VolumeWish("data", POOL, 2 * GIB, node="node-1", **wish)  # type: ignore[arg-type]
    change(clinic, wanted)
    clinic.world.converge()
    return clinic


def change(clinic: Clinic, wish: VolumeWish) -> None:
    state = clinic.world.state
    clinic.world.state = replace(state, volumes=with_item(state.volumes, wish.name, wish))


def limit(clinic: Clinic) -> SeenLimits:
    engine = clinic.world.engine
    assert engine is not None
    return engine.volumes[0].limits_of(clinic.world.state.guid_of("node-1"))


def remedy(clinic: Clinic) -> Remedy:
    (found,) = clinic.world.state.remedies.values()
    return found


def test_a_limit_that_is_used_up_is_raised_and_when_it_is_not_any_more_that_has_helped() -> None:
    clinic = clinic_with(limit_iops=200)
    clinic.fire(LIMIT, "data")
    clinic.pass_()
    assert clinic.world.state.volumes["data"].limit_iops == 300
    assert remedy(clinic).state is RemedyState.ACTING
    clinic.world.converge()
    assert limit(clinic) == SeenLimits(300)
    clinic.pass_()
    assert remedy(clinic).state is RemedyState.CHECKING
    clinic.calm()
    clinic.pass_()
    assert remedy(clinic).state is RemedyState.HELPED
    assert clinic.world.state.volumes["data"].limit_iops == 300, "once, however many passes it took"


@pytest.mark.parametrize(
    ("wish", "because"),
    [
        ({}, "volume data has no limit of requests that could be changed"),
        ({"limit_bandwidth_bytes_per_s": MIB}, "volume data has no limit of requests"),
        ({"limit_iops": 1000}, "volume data may do 1000 requests a second already, and so it stays"),
    ],
)
def test_a_limit_that_cannot_be_raised_is_left(wish: dict[str, object], because: str) -> None:
    clinic = clinic_with(**wish)
    before = clinic.world.state.volumes["data"]
    clinic.fire(LIMIT, "data")
    clinic.pass_()
    assert remedy(clinic).state is RemedyState.HELD
    assert remedy(clinic).detail.startswith(because)
    assert clinic.world.state.volumes["data"] == before


def test_bandwidth_stays_as_it_is() -> None:
    clinic = clinic_with(limit_iops=200, limit_bandwidth_bytes_per_s=3 * MIB)
    clinic.fire(LIMIT, "data")
    clinic.pass_()
    clinic.world.converge()
    assert limit(clinic) == SeenLimits(300, 3 * MIB)


def test_a_pool_that_is_short_of_requests_gets_the_disks_that_the_rule_says_and_two_otherwise() -> None:
    clinic = Clinic()
    clinic.fire(EXPAND, POOL_NAME)
    wanted = Remedy("r", "a", EXPAND.remedy, POOL_NAME, "", RemedyState.ACTING, 0.0, 0.0, pool=POOL)
    assert disks_wanted(wanted, clinic.facts) == 2
    assert disks_wanted(replace(wanted, parameters={"disks": 5.0}), clinic.facts) == 5


# --- what is measured


def values_of(**volume: object) -> Mapping[str, float]:
    clinic = clinic_with()
    engine = clinic.world.engine
    assert engine is not None
    (seen,) = engine.volumes
    changed: SeenVolume = replace(seen, **volume)  # type: ignore[arg-type]
    observation = replace(clinic.world.observation, engine=replace(engine, volumes=(changed,)))
    found = measure(observation, clinic.world.state, Known())
    return next(one.values for one in found if one.scope == "volume")


def limited(clinic: Clinic, limits: SeenLimits) -> tuple[tuple[str, SeenLimits], ...]:
    return ((clinic.world.state.guid_of("node-1"), limits),)


def test_how_much_of_its_limit_a_volume_uses() -> None:
    limits = limited(clinic_with(), SeenLimits(200, 10 * MIB))
    busy = values_of(limits=limits, iops=150.0, bandwidth_bytes_per_s=2.0 * MIB)
    assert (busy["iops"], busy["bandwidth"], busy["limit_iops"]) == (150, 2 * MIB, 200)
    assert busy["limited_share"] == 0.75
    assert values_of(limits=limits, iops=20.0, bandwidth_bytes_per_s=9.0 * MIB)["limited_share"] == 0.9
    assert values_of(limits=limits, iops=250.0, bandwidth_bytes_per_s=0.0)["limited_share"] == 1


def test_what_is_not_known_is_not_there() -> None:
    limits = limited(clinic_with(), SeenLimits(200))
    assert not {"iops", "bandwidth", "limited_share"} & values_of(limits=limits).keys()
    free = values_of(iops=10.0, bandwidth_bytes_per_s=1.0)
    assert not {"limit_iops", "limited_share"} & free.keys()


# --- nonsense


def spec(*lines: str) -> str:
    written = ["name: a", "remedy: change-limit", *lines]
    return "providers: [{kind: spare}]\nrules:\n-\n" + "\n".join(f"  {line}" for line in written)


BUSY = "when: limited_share > 90%"


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ([BUSY], "line 4: rules.parameters: change-limit needs one of them: by or to"),
        ([BUSY, "parameters: {at_most: 500}"], "line 7: rules.parameters: one of by and to is needed"),
        ([BUSY, "parameters: {by: 50%, to: 500}"], "line 7: rules.parameters: either by or to, not both"),
        ([BUSY, "parameters: {to: 500, at_most: 600}"], "at_most bounds what by makes"),
        ([BUSY, "parameters: {by: 50%, at_least: 600}"], "at_least bounds nothing where by raises the limit"),
        (
            ["when: limited_share < 9%", "parameters: {by: -50%, at_most: 600}"],
            "at_most bounds nothing",
        ),
        ([BUSY, "parameters: {by: 0%}"], "a share from 1% to 1000%, or -1% to -90% is expected here"),
        ([BUSY, "parameters: {by: -100%}"], "a share from 1% to 1000%, or -1% to -90%"),
        ([BUSY, "parameters: {by: --5%}"], "a share from 1% to 1000%, or -1% to -90%"),
        ([BUSY, "parameters: {by: 50%, at_most: 10}"], "a whole number of at least 11"),
        ([BUSY, "parameters: {to: 0}"], "a whole number of at least 11"),
        (
            [BUSY, "parameters: {by: -50%}"],
            "line 7: rules: rule a: parameters: to lower the limit",
        ),
        (["when: limited_share < 20%", "parameters: {by: 50%}"], "to raise the limit does not end this"),
        ([BUSY, "scope: pool", "parameters: {by: 50%}"], "change-limit is for a volume, not for a pool"),
        (["when: limited_share > 90", "parameters: {by: 50%}"], "is 90% meant?"),
    ],
)
def test_nonsense_is_refused_with_its_line(lines: list[str], complaint: str) -> None:
    with pytest.raises(SpecError) as raised:
        read_whole_spec(spec(*lines))
    assert complaint in str(raised.value)


def test_sense_is_taken() -> None:
    for lines in (
        [BUSY, "parameters: {by: 50%, at_most: 5000}"],
        [BUSY, "parameters: {by: +0.5}"],
        ["when: limited_share < 10%", "parameters: {by: -30%, at_least: 100}"],
        ["when: cluster_degraded_bytes > 0", "parameters: {to: 500}"],
    ):
        assert read_whole_spec(spec(*lines)).rules[0].remedy == "change-limit"


def test_more_disks_do_not_make_fewer_requests() -> None:
    text = "providers: [{kind: spare}]\nrules: [{name: a, remedy: expand-pool, when: iops > 500}]"
    with pytest.raises(SpecError, match=r"line 2: .*compare it with device_count"):
        read_whole_spec(text)
    read_whole_spec(text.replace("500", "500 * device_count"))
