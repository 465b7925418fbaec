"""Providers in the loop: what goes wrong with one of them is said, and keeps nobody else waiting."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from artesian.model.provided import DiskRequest, ProvidedDisk, Quote
from artesian.model.remedy import Part, PartState, Remedy, RemedyState
from artesian.model.rule import RemedyKind
from artesian.providers.port import ProviderRefused
from artesian.scheduler.memory import Memory
from artesian.scheduler.remedying import Remediator
from tests.planner.situations import POOL
from tests.remedy.cases import EXPAND, POOL_NAME, Clinic
from tests.scheduler.cases import MemoryStore

PART = Part("r1-0", "files", "n1", 1 << 30, PartState.ASKED, 1.0, 1.0)
REMEDY = Remedy(
    "r1",
    EXPAND.name,
    RemedyKind.EXPAND_POOL,
    POOL_NAME,
    "full",
    RemedyState.ACTING,
    1.0,
    1.0,
    disks=1,
    pool=POOL,
)


class Broken:
    """A provider that does what nobody has foreseen."""

    def quote(self, _request: DiskRequest) -> Quote:
        raise KeyError("AvailabilityZone")

    def provide(self, _request: DiskRequest) -> ProvidedDisk:
        raise KeyError("AvailabilityZone")

    def disks(self) -> tuple[ProvidedDisk, ...]:
        raise ProviderRefused("it is in the spec no more")

    def release(self, _disk_id: str) -> bool:
        raise KeyError("State")


class AtOnce(ThreadPoolExecutor):
    """Whatever is asked is answered before the asking ends."""

    def submit(self, call: Callable[..., Any], /, *arguments: Any, **more: Any) -> Future[Any]:
        future = super().submit(call, *arguments, **more)
        future.exception(5.0)
        return future


class Ward:
    """A remediator over a store in memory, with one remedy, and a provider that is broken."""

    def __init__(self, remedy: Remedy, provider: type[Broken] = Broken) -> None:
        self.clinic = Clinic()
        self.clinic.fire(EXPAND, POOL_NAME)
        self.store = MemoryStore()
        self.memory = Memory(self.store)
        self.memory.change(lambda _: self.clinic.world.state.with_remedy(remedy))
        self.remediator = Remediator(
            self.memory, lambda _spec, _name: provider(), lambda: None, lambda: self.clinic.now_s, AtOnce(2)
        )

    def a_pass(self) -> Remedy:
        self.clinic.now_s += 10.0
        decision = self.clinic.world.decide()
        self.remediator.look(self.clinic.spec, self.clinic.world.observation, decision.topology)
        return self.memory.state.remedies["r1"]


@pytest.mark.parametrize("parts", [(), (PART,)], ids=["when it is asked for a price", "for a disk"])
def test_a_mistake_in_a_provider_ends_no_pass(parts: tuple[Part, ...]) -> None:
    ward = Ward(replace(REMEDY, parts=parts, changed_s=1_000_000.0))
    ward.a_pass()
    after = ward.a_pass()
    assert after.state is RemedyState.ACTING
    said = after.detail + "".join(part.detail for part in after.parts)
    assert "a mistake in provider files: KeyError" in said
    assert all(part.state is PartState.ASKED for part in after.parts)


def test_disks_that_nobody_can_release_are_told_of_once() -> None:
    lost = replace(PART, state=PartState.GIVEN_UP, disk_id="n1/provided-r1-0")
    ward = Ward(replace(REMEDY, state=RemedyState.FAILED, parts=(lost,)))
    for _ in range(3):
        ward.a_pass()
    told = [event.because for event in ward.store.kept if "cannot be found" in event.because]
    assert told == [
        "what provider files has made and was given up cannot be found: it is in the spec no more"
    ]


@pytest.mark.parametrize(
    ("part", "state", "waits"),
    [
        (replace(PART, disk_id="vol-1"), RemedyState.ACTING, True),
        (PART, RemedyState.ACTING, False),  # it is still being asked, and whoever asks wakes the loop
        (replace(PART, disk_id="vol-1", attached_s=5.0), RemedyState.ACTING, False),  # its node tells
        (replace(PART, disk_id="vol-1", state=PartState.IN_USE), RemedyState.ACTING, False),
        (replace(PART, disk_id="vol-1"), RemedyState.FAILED, False),
    ],
)
def test_a_disk_that_is_being_made_or_attached_is_looked_at_sooner(
    part: Part, state: RemedyState, waits: bool
) -> None:
    assert Ward(replace(REMEDY, state=state, parts=(part,))).remediator.waits_for_disks is waits


def test_while_everything_is_paused_nobody_waits_for_one() -> None:
    ward = Ward(replace(REMEDY, parts=(replace(PART, disk_id="vol-1"),)))
    ward.memory.change(lambda before: replace(before, paused=True))
    assert not ward.remediator.waits_for_disks


class Asked(Broken):
    """Counts how often it is asked what it has made."""

    times = 0

    def disks(self) -> tuple[ProvidedDisk, ...]:
        Asked.times += 1
        return ()


def test_a_clock_that_was_ahead_keeps_no_disk_from_being_given_back() -> None:
    """What was given up is looked for every few seconds: those after the last time, by whatever clock."""
    Asked.times = 0
    lost = replace(PART, state=PartState.GIVEN_UP, disk_id="n1/provided-r1-0", provider="files")
    ward = Ward(replace(REMEDY, state=RemedyState.FAILED, parts=(lost, replace(lost, token="r1-1"))), Asked)
    ward.clinic.now_s += 20 * 86400.0
    ward.a_pass()
    before = Asked.times
    ward.clinic.now_s -= 20 * 86400.0
    ward.memory.change(
        lambda state: state.with_remedy(replace(state.remedies["r1"], parts=(replace(lost, token="r1-2"),)))
    )
    ward.a_pass()
    assert before and Asked.times > before
