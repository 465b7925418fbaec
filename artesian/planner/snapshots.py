"""Steps that make a volume's snapshots as users wish them: taken once, and there until they are deleted."""

from __future__ import annotations

from artesian.model.changes import Change, CreateSnapshot, DeleteSnapshot
from artesian.model.engine import SeenSnapshot, SeenVolume
from artesian.model.plan import Consent
from artesian.model.wishes import SnapshotWish, VolumeWish
from artesian.planner.facts import Steps


def find_snapshot(wish: SnapshotWish, seen: SeenVolume) -> SeenSnapshot | None:
    """The snapshot in the engine. One that merely has its name is another."""
    named = seen.snapshot(wish.name)
    return named if named is not None and wish.engine_id in (None, named.id) else None


def plan_snapshots(
    steps: Steps, wish: VolumeWish, seen: SeenVolume, earlier: Change | None
) -> list[DeleteSnapshot]:
    """Everything that differs from the wishes; the snapshots that are to go."""
    going = []
    for one in wish.snapshots:
        there = find_snapshot(one, seen) is not None
        what = f"snapshot {one.name} of volume {wish.name}"
        if one.deleted and (there or one.begun):
            gone = DeleteSnapshot(wish.name, one.name)
            because = f"somebody has asked to delete {what}"
            steps.add(gone, because, earlier, destructive=True, consent=Consent.GIVEN)
            going.append(gone)
        elif one.taken and not there and not one.deleted:
            steps.note(f"{what} is not in the engine any more, and is not taken anew with later data")
        elif not (there or one.deleted or wish.deleted):
            taken = CreateSnapshot(wish.name, one.name)
            steps.add(taken, f"somebody wants {what}", earlier, consent=Consent.GIVEN)
    return going
