"""What users ask of snapshots: what is refused, in which words, and what is stored of the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType

import pytest

from artesian.model.engine import EngineSeen, SeenSnapshot, SeenVolume, SnapshotId
from artesian.model.errors import ArtesianError, Conflict, NotPossible, NotThere
from artesian.model.observation import Observation
from artesian.model.state import FrameworkState
from artesian.model.wishes import SnapshotWish, VolumeWish
from artesian.scheduler import container_volumes
from artesian.scheduler.snapshot_requests import clone, delete_snapshot, take_snapshot
from artesian.scheduler.volume_requests import delete_volume
from artesian.store.codec import changed_documents, state_from_documents
from tests.scheduler.cases import GIB, POOL, SEEN, STATE

assert SEEN.engine is not None
ENGINE = replace(
    SEEN.engine,
    offers_snapshots=True,
    volumes=(
        *SEEN.engine.volumes,
        SeenVolume("v3", "idle", POOL, 8 * GIB, snapshots=(SeenSnapshot("7", "monday", 4 * GIB, 100.0),)),
    ),
)
THERE = replace(SEEN, engine=ENGINE)
AWAY = replace(SEEN, engine=None, engine_problem="no route to it")
KEPT = SnapshotWish("monday", begun=True, taken=True, engine_id="7")
SOURCE = SnapshotId("v3", "7")
SNAPSHOTS = (KEPT, SnapshotWish("new"), SnapshotWish("old", deleted=True))
IDLE = replace(STATE.volumes["idle"], snapshots=SNAPSHOTS)


def with_volumes(*more: VolumeWish) -> FrameworkState:
    volumes = {**STATE.volumes, "idle": IDLE, **{one.name: one for one in more}}
    return replace(STATE, volumes=MappingProxyType(volumes))


KNOWN = with_volumes()
COPYING = with_volumes(VolumeWish("copy", POOL, 4 * GIB, source=SOURCE))
COPIED = with_volumes(VolumeWish("copy", POOL, 4 * GIB, source=SOURCE, engine_id="v9", begun=True))


def take(volume: str, name: str, seen: Observation = THERE) -> Callable[[FrameworkState], FrameworkState]:
    return lambda state: take_snapshot(state, seen, volume, name)


def copy(
    volume: str, name: str, new: str, seen: Observation = THERE
) -> Callable[[FrameworkState], FrameworkState]:
    return lambda state: clone(state, seen, volume, name, new)


def test_a_wish_is_stored() -> None:
    after = take("data", "friday")(KNOWN)
    assert after.volumes["data"].snapshots == (SnapshotWish("friday"),)
    (body,) = changed_documents(KNOWN, after).values()
    assert body is not None
    assert state_from_documents({"volumes/data": body}).volumes["data"] == after.volumes["data"]


def test_a_clone_is_as_large_as_the_snapshot_and_where_it_is() -> None:
    wish = copy("idle", "monday", "copy")(KNOWN).volumes["copy"]
    assert wish == VolumeWish("copy", POOL, 4 * GIB, source=SOURCE)
    after = copy("idle", "monday", "copy")(KNOWN)
    (body,) = changed_documents(KNOWN, after).values()
    assert state_from_documents({"volumes/copy": body or ""}).volumes["copy"].source == SOURCE


def test_a_volume_goes_with_its_snapshots_if_that_is_said() -> None:
    after = delete_volume(KNOWN, "idle", with_snapshots=True).volumes["idle"]
    assert after.deleted
    assert all(one.deleted for one in after.snapshots)


def test_what_was_copied_needs_the_snapshot_no_longer() -> None:
    assert delete_snapshot(COPIED, "idle", "monday").volumes["idle"].snapshot("monday") == replace(
        KEPT, deleted=True
    )
    assert delete_volume(COPIED, "idle", with_snapshots=True).volumes["idle"].deleted


@pytest.mark.parametrize(
    ("request_", "error", "words"),
    [
        (take("nothing", "a"), NotThere, "there is no volume nothing; there are data, idle, new"),
        (take("new", "a"), Conflict, "volume new is still being made"),
        (take("data", "a/b"), NotPossible, "no name for a snapshot"),
        (take("idle", "monday"), Conflict, "volume idle has a snapshot monday already: delete it, or take"),
        (take("idle", "new"), Conflict, "has a snapshot new already"),
        (take("idle", "old"), Conflict, "snapshot old of volume idle is still being deleted"),
        (take("data", "a", SEEN), NotPossible, "this engine has no snapshots of volumes"),
        (take("data", "a", AWAY), Conflict, "the engine does not answer, .*: no route to it"),
        (copy("nothing", "monday", "copy"), NotThere, "there is no volume nothing"),
        (copy("idle", "nothing", "copy"), NotThere, "volume idle has no snapshot nothing; there are monday"),
        (copy("idle", "old", "copy"), NotThere, "volume idle has no snapshot old"),
        (copy("idle", "new", "copy"), Conflict, "is not there; artesian volume snapshots idle says why"),
        (copy("idle", "monday", "data"), Conflict, "there is a volume data already"),
        (copy("idle", "monday", "theirs"), Conflict, "the engine has a volume theirs that is not ours"),
        (copy("idle", "monday", "a/b"), NotPossible, "no name for a volume"),
        (lambda s: delete_snapshot(s, "idle", "nothing"), NotThere, "has no snapshot nothing"),
        (lambda s: delete_snapshot(s, "data", "x"), NotThere, "has no snapshot x; there are none"),
        (lambda s: delete_snapshot(s, "nothing", "x"), NotThere, "there is no volume nothing"),
        (
            lambda s: delete_volume(s, "idle"),
            Conflict,
            r"volume idle has snapshots \(monday, new\): delete them first \(artesian volume delete-snap",
        ),
        (lambda s: container_volumes.delete(s, "idle"), Conflict, r"volume idle has snapshots \(monday, new"),
    ],
)
def test_what_cannot_be_is_refused_in_words(
    request_: Callable[[FrameworkState], FrameworkState], error: type[ArtesianError], words: str
) -> None:
    with pytest.raises(error, match=words):
        request_(KNOWN)


@pytest.mark.parametrize(
    "request_",
    [
        lambda s: delete_snapshot(s, "idle", "monday"),
        lambda s: delete_volume(s, "idle", with_snapshots=True),
    ],
)
def test_a_snapshot_stays_as_long_as_it_is_being_copied(
    request_: Callable[[FrameworkState], FrameworkState],
) -> None:
    with pytest.raises(Conflict, match="is being copied to volume copy: wait until that is there, or delete"):
        request_(COPYING)


def test_engines_offer_none_unless_they_say_so() -> None:
    assert not EngineSeen("abc").offers_snapshots
