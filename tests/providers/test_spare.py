"""Disks that are there already: which one is given, and that it is given once."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from artesian.model.disk import Disk
from artesian.model.provided import DiskRequest, ProvidedDisk
from artesian.providers.port import ProviderRefused
from artesian.providers.spare import SpareDisk, SpareProvider
from tests.providers.conformance import GIB, SIZE_BYTES, Handle, ProviderConformance


class SpareHandle(Handle):
    """Every node has disks of 1, 2, 4 and 2 GiB; the first one is too small for what the suite asks for."""

    unknown_id = "serial:no:such"

    def __init__(self) -> None:
        self.spares = [
            SpareDisk(node, f"serial:MODEL:{node}-{number}", size_gib * GIB)
            for node in ("alpha", "beta")
            for number, size_gib in enumerate((1, 2, 4, 2))
        ]
        self.granted: dict[str, SpareDisk] = {}

    def provider(self) -> SpareProvider:
        return SpareProvider(self.free, lambda: self.granted)

    def free(self) -> list[SpareDisk]:
        return [spare for spare in self.spares if spare not in self.granted.values()]

    def request(self, token: str, node: str = "alpha", size_bytes: int = SIZE_BYTES) -> DiskRequest:
        return DiskRequest(token, node, "10.0.0.1", size_bytes)

    def made(self) -> int:
        return len(self.granted)

    def reported(self, node: str) -> Sequence[Disk]:
        return [
            Disk(f"/dev/sd{'abcd'[number]}", spare.identity, spare.size_bytes)
            for number, spare in enumerate(spare for spare in self.spares if spare.node == node)
        ]

    def stored(self, disk: ProvidedDisk) -> None:
        self.granted[disk.token] = SpareDisk(disk.node, disk.id, disk.size_bytes)

    def forgotten(self, disk: ProvidedDisk) -> None:
        self.granted.pop(disk.token, None)


class TestSpareProvider(ProviderConformance):
    @pytest.fixture
    def handle(self) -> Handle:
        return SpareHandle()

    def taken(self, handle: Handle) -> Sequence[Disk]:
        assert isinstance(handle, SpareHandle)
        free = {spare.identity for spare in handle.free()}
        return [disk for disk in handle.reported("alpha") if disk.identity not in free]


@pytest.fixture
def handle() -> SpareHandle:
    return SpareHandle()


def test_the_smallest_that_fits_is_given_and_of_equal_ones_the_first(handle: SpareHandle) -> None:
    given = [handle.provide(handle.request(token)).id for token in ("a", "b", "c")]
    assert given == ["serial:MODEL:alpha-1", "serial:MODEL:alpha-3", "serial:MODEL:alpha-2"]


def test_the_order_in_which_disks_are_seen_does_not_matter(handle: SpareHandle) -> None:
    handle.spares.reverse()
    assert handle.provide(handle.request("a")).id == "serial:MODEL:alpha-1"


def test_when_all_are_given_the_next_is_refused(handle: SpareHandle) -> None:
    for token in ("a", "b", "c"):
        handle.provide(handle.request(token))
    quote = handle.provider().quote(handle.request("d"))
    assert quote.refused == "node alpha has no free disk of at least 1.0 GiB; its largest has 1.0 GiB"
    assert not handle.provider().quote(handle.request("d", "beta")).refused


def test_a_disk_that_is_claimed_still_answers_its_token(handle: SpareHandle) -> None:
    disk = handle.provide(handle.request("a"))
    handle.spares = [spare for spare in handle.spares if spare.identity != disk.id]
    assert handle.provider().provide(handle.request("a")) == disk


def test_what_was_given_and_never_stored_is_free_again_after_a_restart(handle: SpareHandle) -> None:
    first = handle.provider()
    given = first.provide(handle.request("a"))
    assert first.provide(handle.request("b")).id != given.id
    assert handle.provider().provide(handle.request("b")).id == given.id


def test_what_was_given_and_released_can_be_given_by_the_same_object(handle: SpareHandle) -> None:
    provider = handle.provider()
    given = provider.provide(handle.request("a"))
    assert provider.release(given.id)
    assert provider.disks() == ()
    assert provider.provide(handle.request("b")).id == given.id


def test_what_is_stored_no_more_is_free_for_the_object_that_gave_it(handle: SpareHandle) -> None:
    provider = handle.provider()
    given = provider.provide(handle.request("a"))
    handle.stored(given)
    assert [disk.token for disk in provider.disks()] == ["a"]
    handle.forgotten(given)
    assert provider.disks() == ()


def test_a_world_wide_name_is_enough_to_find_a_disk() -> None:
    spare = SpareDisk("alpha", "wwn:0x5000c500a1b2c3d4", 4 * GIB)
    disk = SpareProvider(lambda: [spare], dict).provide(DiskRequest("a", "alpha", "", GIB))
    assert disk.is_seen_as(Disk("/dev/sdq", spare.identity, spare.size_bytes))
    assert not disk.is_seen_as(Disk("/dev/sdq", "wwn:0x5000c500a1b2c3d5", spare.size_bytes))


def test_threads_that_ask_at_once_get_different_disks(handle: SpareHandle) -> None:
    provider = handle.provider()
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda n: _try(provider, handle.request(f"t{n}")), range(8)))
    given = [answer for answer in answers if answer is not None]
    assert len(given) == len(set(given)) == 3


def _try(provider: SpareProvider, request: DiskRequest) -> str | None:
    try:
        return provider.provide(request).id
    except ProviderRefused:
        return None
