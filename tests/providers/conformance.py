"""What every provider of disks has to do. Put one through it by subclassing `ProviderConformance`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import pytest

from artesian.model.disk import Disk
from artesian.model.provided import DiskRequest, ProvidedDisk, ProvidedState
from artesian.providers.port import DiskProvider, ProviderRefused

GIB = 1 << 30
MOST_STEPS = 10
SIZE_BYTES = GIB + 5  # of no step of any provider


class Handle(ABC):
    """A cluster with the nodes "alpha" and "beta", with room for two disks each, and what its owner sees."""

    unknown_id: str  # of no disk, and written as the provider writes ids

    @abstractmethod
    def provider(self) -> DiskProvider:
        """A fresh object, as after a restart: it remembers nothing."""

    @abstractmethod
    def request(self, token: str, node: str = "alpha", size_bytes: int = SIZE_BYTES) -> DiskRequest:
        """For a disk of a node; also of one that is not there."""

    @abstractmethod
    def made(self) -> int:
        """How many disks were made, and are not gone, whoever made them."""

    @abstractmethod
    def reported(self, node: str) -> Sequence[Disk]:
        """The disks that the agent of a node reports."""

    def stored(self, disk: ProvidedDisk) -> None:  # noqa: B027
        """The framework has written down what it was given."""

    def forgotten(self, disk: ProvidedDisk) -> None:  # noqa: B027
        """The framework has written down that it was given back."""

    def provide(self, request: DiskRequest, *, fresh: bool = False) -> ProvidedDisk:
        """A disk that is attached."""
        provider = self.provider()
        for _ in range(MOST_STEPS):
            disk = provider.provide(request)
            self.stored(disk)
            if disk.state is ProvidedState.ATTACHED:
                return disk
            provider = self.provider() if fresh else provider
        raise AssertionError(f"it is not attached after {MOST_STEPS} steps: {disk}")

    def release(self, disk: ProvidedDisk, *, fresh: bool = False) -> None:
        """Until it is gone."""
        provider = self.provider()
        for _ in range(MOST_STEPS):
            if provider.release(disk.id):
                self.forgotten(disk)
                return
            provider = self.provider() if fresh else provider
        raise AssertionError(f"it is not gone after {MOST_STEPS} steps")


class ProviderConformance:
    """Subclasses give a fixture `handle`."""

    @pytest.fixture
    def handle(self) -> Handle:
        raise NotImplementedError

    # --- trying it out

    def test_a_check_finds_that_it_may_be_asked_and_makes_nothing(self, handle: Handle) -> None:
        provider = handle.provider()
        provider.check()
        provider.check()
        assert handle.made() == 0

    # --- quotes

    def test_a_quote_says_what_would_come_of_it(self, handle: Handle) -> None:
        quote = handle.provider().quote(handle.request("one"))
        assert not quote.refused
        assert quote.size_bytes >= SIZE_BYTES
        assert quote.cost_per_month >= 0
        assert quote.lead_time_s >= 0

    def test_a_quote_makes_nothing(self, handle: Handle) -> None:
        provider = handle.provider()
        assert provider.quote(handle.request("one")) == provider.quote(handle.request("one"))
        assert handle.made() == 0
        assert provider.disks() == ()

    def test_what_is_made_is_what_was_quoted(self, handle: Handle) -> None:
        quote = handle.provider().quote(handle.request("one"))
        disk = handle.provide(handle.request("one"))
        assert (disk.size_bytes, disk.cost_per_month) == (quote.size_bytes, quote.cost_per_month)

    def test_a_disk_that_is_there_is_quoted_as_it_is(self, handle: Handle) -> None:
        disk = handle.provide(handle.request("one"))
        quote = handle.provider().quote(handle.request("one"))
        assert not quote.refused
        assert quote.size_bytes == disk.size_bytes

    # --- making

    def test_a_disk_is_made_for_its_node(self, handle: Handle) -> None:
        disk = handle.provide(handle.request("one", "beta"))
        assert (disk.token, disk.node, disk.state) == ("one", "beta", ProvidedState.ATTACHED)
        assert disk.size_bytes >= SIZE_BYTES
        assert disk.id
        assert handle.made() == 1

    def test_its_node_sees_it_and_no_other_disk_is_taken_for_it(self, handle: Handle) -> None:
        first, second = handle.provide(handle.request("one")), handle.provide(handle.request("two"))
        for disk in (first, second):
            seen = [one for one in handle.reported("alpha") if disk.is_seen_as(one)]
            assert len(seen) == 1
            assert seen[0].size_bytes == disk.size_bytes
            assert not any(disk.is_seen_as(one) for one in handle.reported("beta"))

    def test_a_disk_is_made_once(self, handle: Handle) -> None:
        disk = handle.provide(handle.request("one"))
        provider = handle.provider()
        assert provider.provide(handle.request("one")) == disk
        assert provider.provide(handle.request("one")) == disk
        assert handle.made() == 1

    def test_somebody_else_can_go_on_with_it_at_every_step(self, handle: Handle) -> None:
        disk = handle.provide(handle.request("one"), fresh=True)
        assert handle.made() == 1
        assert handle.provider().provide(handle.request("one")) == disk

    def test_tokens_have_disks_of_their_own(self, handle: Handle) -> None:
        first, second = handle.provide(handle.request("one")), handle.provide(handle.request("two"))
        assert first.id != second.id
        assert first.name != second.name
        assert handle.made() == 2

    def test_tokens_that_begin_or_end_alike_are_different(self, handle: Handle) -> None:
        first = handle.provide(handle.request("one"))
        second = handle.provide(handle.request("one-1"))
        assert first.id != second.id
        assert {disk.token for disk in handle.provider().disks()} == {"one", "one-1"}

    def test_one_object_makes_several_at_a_time(self, handle: Handle) -> None:
        """Nothing is written down in between."""
        provider = handle.provider()
        first, second = provider.provide(handle.request("one")), provider.provide(handle.request("two"))
        assert first.id != second.id

    # --- refusals

    def refused(self, handle: Handle, request: DiskRequest) -> str:
        """Why, in the same words whoever asks; and nothing is made."""
        before = handle.made(), handle.provider().disks()
        quote = handle.provider().quote(request)
        with pytest.raises(ProviderRefused) as refusal:
            handle.provider().provide(request)
        assert quote.refused == str(refusal.value)
        assert (handle.made(), handle.provider().disks()) == before
        return quote.refused

    def test_a_node_that_is_not_there_is_refused(self, handle: Handle) -> None:
        assert "omega" in self.refused(handle, handle.request("one", "omega"))

    def test_a_disk_that_is_too_large_is_refused(self, handle: Handle) -> None:
        assert "1024.0 PiB" in self.refused(handle, handle.request("one", size_bytes=1 << 60))

    def test_a_token_stays_with_its_node(self, handle: Handle) -> None:
        handle.provide(handle.request("one"))
        words = self.refused(handle, handle.request("one", "beta"))
        assert "alpha" in words
        assert "beta" in words

    # --- what is there

    def test_it_lists_what_it_made(self, handle: Handle) -> None:
        assert handle.provider().disks() == ()
        first, second = handle.provide(handle.request("one")), handle.provide(handle.request("two", "beta"))
        provider = handle.provider()
        assert sorted(provider.disks(), key=lambda disk: disk.token) == [first, second]
        assert provider.disks() == provider.disks()

    def test_what_is_half_made_is_listed(self, handle: Handle) -> None:
        disk = handle.provider().provide(handle.request("one"))
        handle.stored(disk)
        assert [(one.id, one.token) for one in handle.provider().disks()] == [(disk.id, "one")]

    # --- giving back

    def test_a_disk_is_released(self, handle: Handle) -> None:
        disk, other = handle.provide(handle.request("one")), handle.provide(handle.request("two"))
        handle.release(disk)
        assert handle.provider().disks() == (other,)
        assert handle.made() == 1
        assert not any(disk.is_seen_as(one) for one in self.taken(handle))

    def taken(self, handle: Handle) -> Sequence[Disk]:
        """What a node reports, and is not free. Where disks are only lent there is more to report."""
        return handle.reported("alpha")

    def test_somebody_else_can_go_on_releasing(self, handle: Handle) -> None:
        handle.release(handle.provide(handle.request("one")), fresh=True)
        assert handle.provider().disks() == ()
        assert handle.made() == 0

    def test_what_is_gone_stays_gone(self, handle: Handle) -> None:
        disk = handle.provide(handle.request("one"))
        handle.release(disk)
        assert handle.provider().release(disk.id)
        assert handle.provider().release(disk.id)

    def test_what_was_never_there_is_gone(self, handle: Handle) -> None:
        disk = handle.provide(handle.request("one"))
        assert handle.provider().release(handle.unknown_id)
        assert handle.provider().disks() == (disk,)

    def test_what_is_half_made_can_be_released(self, handle: Handle) -> None:
        disk = handle.provider().provide(handle.request("one"))
        handle.stored(disk)
        handle.release(disk)
        assert handle.made() == 0

    def test_a_place_that_is_free_again_can_be_used(self, handle: Handle) -> None:
        first, _ = handle.provide(handle.request("one")), handle.provide(handle.request("two"))
        handle.release(first)
        handle.provide(handle.request("three"))
        assert handle.made() == 2
