"""A spec that would forget disks that a provider has made is not taken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from artesian.model.errors import Conflict
from artesian.model.remedy import RELEASED, Part, PartState, Remedy, RemedyState
from artesian.model.rule import RemedyKind
from artesian.model.state import FrameworkState
from artesian.remedy.checking import read_whole_spec
from artesian.remedy.leaving import disks_left_behind
from artesian.scheduler import requests

EBS = "providers:\n  - {name: amazon, kind: ebs, region: eu-central-1}\n"


def state(*parts: Part, spec: str = EBS) -> FrameworkState:
    remedy = Remedy(
        "r1", "full", RemedyKind.EXPAND_POOL, "d/p", "full", RemedyState.HELPED, 1.0, 1.0, parts=parts
    )
    return FrameworkState(spec_text=spec, remedies={"r1": remedy})


def part(in_state: PartState = PartState.IN_USE, number: int = 0, **values: Any) -> Part:
    made = Part(f"r1-{number}", "amazon", "n1", 1, in_state, 1.0, 1.0, disk_id=f"vol-{number}")
    return replace(made, **values)


def left_behind(after: str, *parts: Part, before: str = EBS) -> str:
    return disks_left_behind(read_whole_spec(before), read_whole_spec(after), state(*parts)) or ""


@pytest.mark.parametrize("in_state", list(PartState))
def test_a_provider_with_disks_cannot_leave(in_state: PartState) -> None:
    words = left_behind("", part(in_state))
    assert words.startswith(
        "provider amazon cannot leave the spec: it still has 1 disk of this cluster (vol-0)"
    )
    assert "let it stay as the last one until they are gone" in words


@pytest.mark.parametrize(
    "gone",
    [
        part(PartState.GIVEN_UP, detail=RELEASED),
        part(PartState.GIVEN_UP, refused=True),
        part(provider="other"),
    ],
)
def test_one_that_has_none_may_leave(gone: Part) -> None:
    assert left_behind("", gone) == ""
    assert left_behind("") == ""


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("region: eu-west-1", "of region eu-west-1 instead of region eu-central-1"),
        ("profile: other, region: eu-central-1", "of region eu-central-1, profile other instead"),
        ("endpoint_url: 'http://ec2', region: eu-central-1", "endpoint http://ec2 instead of region"),
        ("iops: 4000", "of the default region instead of region eu-central-1"),
    ],
)
def test_under_its_name_no_other_place_is_asked(change: str, told: str) -> None:
    words = left_behind(EBS.replace("region: eu-central-1", change), part())
    assert words.startswith("spec, line 2: provider amazon would be another one") and told in words


def test_another_kind_of_the_same_name_is_another_provider() -> None:
    words = left_behind("providers: [{name: amazon, kind: file}]", part())
    assert "of kind file instead of region eu-central-1" in words


def test_what_decides_nothing_about_its_disks_may_change() -> None:
    cheaper = EBS.replace(
        "region: eu-central-1", "region: eu-central-1, volume_type: st1, price_per_gib_month: 1"
    )
    assert left_behind(f"# moved\n{cheaper}", part()) == ""
    more = f"{EBS}  - {{name: west, kind: ebs, region: eu-west-1}}\n"
    assert left_behind(more, part()) == ""


def test_spare_disks_are_only_lent() -> None:
    spare = "providers: [{name: amazon, kind: spare}]"
    assert left_behind("", part(), before=spare) == ""
    assert "cannot leave" in left_behind("", part(PartState.GIVEN_UP), before=spare)


def test_of_many_disks_a_few_are_named() -> None:
    words = left_behind("", *(part(number=at) for at in range(9)))
    assert "9 disks of this cluster (vol-0, vol-1, vol-2, vol-3, vol-4 and 4 more)" in words


def test_such_a_spec_is_refused_unless_somebody_insists() -> None:
    before = state(part())
    with pytest.raises(Conflict, match="cannot leave the spec"):
        requests.set_spec(before, "new_disks: take")
    assert requests.set_spec(before, "new_disks: take", force=True).spec_text == "new_disks: take"
    assert requests.set_spec(before, f"{EBS}new_disks: take").spec_text.endswith("take")
