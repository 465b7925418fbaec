"""Snapshots of the state: whole or not there, on disk and on their way to another manager."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from pysyncobj.config import SERIALIZER_STATE
from pysyncobj.node import Node

from artesian.embedded.mdm import snapshots
from artesian.embedded.mdm.snapshots import (
    Snapshot,
    SnapshotDamaged,
    SnapshotStore,
    decode_header,
    decode_snapshot,
)

PREVIOUS, LAST = (b"previous", 9, 2), (b"\x00last", 10, 3)
STATE = {"system_id": "0123", "name": "ü", "slices": [[1, 2, [["a", "in_sync"]], None]]}
SNAPSHOT = Snapshot(PREVIOUS, LAST, ["a:1", "b:1"], STATE)


class Machine:
    def __init__(self, path: Path) -> None:
        self.state: dict[str, Any] = STATE
        self.installed: list[Snapshot] = []
        self.store = SnapshotStore(path, lambda: self.state, self.install)

    def install(self, snapshot: Snapshot) -> list[str]:
        self.installed.append(snapshot)
        return snapshot.cluster

    async def take(self, last: tuple[bytes, int, int] = LAST) -> int:
        """Take a snapshot as pysyncobj does; how that ended."""
        self.store.serialize((None, last, PREVIOUS, {Node("b:1"), Node("a:1")}), PREVIOUS[1])
        while (state := self.store.checkSerializing()[0]) == SERIALIZER_STATE.SERIALIZING:
            await asyncio.sleep(0.001)
        return state


def run(story: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 20))


def send(sender: SnapshotStore, receiver: SnapshotStore, member: str = "c:1") -> list[bool]:
    """All pieces of a snapshot to another manager; what it says after each."""
    said = []
    while True:
        piece = sender.getTransmissionData(member)
        said.append(receiver.setTransmissionData(piece))
        if piece[2]:
            return said


def test_a_snapshot_is_read_as_it_was_written() -> None:
    data = SNAPSHOT.encode()
    assert decode_snapshot(data) == SNAPSHOT
    header = decode_header(data)
    assert (header.index, header.term, header.system_id) == (10, 3, "0123")


def test_a_snapshot_that_is_cut_or_changed_anywhere_is_refused() -> None:
    data = SNAPSHOT.encode()
    for position in range(len(data)):
        with pytest.raises(SnapshotDamaged):
            decode_snapshot(data[:position])
        changed = bytearray(data)
        changed[position] ^= 1
        assert refused_or_equal(bytes(changed))


def refused_or_equal(data: bytes) -> bool:
    """A change in the header may be to what does not matter there, such as a space."""
    try:
        found = decode_snapshot(data)
    except SnapshotDamaged:
        return True
    return (found.state, found.last) == (STATE, LAST)


def test_it_is_taken_in_the_background_and_found_again(tmp_path: Path) -> None:
    async def story() -> None:
        machine = Machine(tmp_path / "snapshot")
        assert machine.store.load() is None
        assert machine.store.checkSerializing() == (SERIALIZER_STATE.NOT_SERIALIZING, None)
        assert await machine.take() == SERIALIZER_STATE.SUCCESS
        assert machine.store.checkSerializing() == (SERIALIZER_STATE.NOT_SERIALIZING, None)
        again = Machine(tmp_path / "snapshot")
        assert again.store.load() == SNAPSHOT
        assert again.store.deserialize() == (None, LAST, PREVIOUS, [Node("a:1"), Node("b:1")])
        assert again.installed == [SNAPSHOT]

    run(story)


def test_what_is_taken_is_the_state_at_that_moment(tmp_path: Path) -> None:
    async def story() -> None:
        machine = Machine(tmp_path / "snapshot")
        machine.store.serialize((None, LAST, PREVIOUS, set()), 9)
        machine.state["name"] = "changed later"
        await machine.store.close()
        found = machine.store.load()
        machine.state["name"] = "ü"
        assert found is not None and found.state["name"] == "ü"

    run(story)


def test_one_that_cannot_be_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        machine = Machine(tmp_path / "snapshot")
        await machine.take()

        def fail(path: Path, data: bytes) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(snapshots, "replace_file", fail)
        assert await machine.take((b"", 50, 9)) == SERIALIZER_STATE.FAILED
        assert machine.store.load() == SNAPSHOT

    run(story)


def test_it_travels_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "PIECE_BYTES", 50)

    async def story() -> None:
        sender, receiver = Machine(tmp_path / "one"), Machine(tmp_path / "other")
        await sender.take()
        said = send(sender.store, receiver.store)
        assert said[-1] and not any(said[:-1]) and len(said) > 5
        assert receiver.store.load() == SNAPSHOT

    run(story)


def test_a_piece_that_was_lost_or_changed_on_the_way_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "PIECE_BYTES", 50)

    async def story() -> None:
        sender, receiver = Machine(tmp_path / "one"), Machine(tmp_path / "other")
        await receiver.take()
        await sender.take((b"newer", 70, 4))
        pieces: list[tuple[bytes, bool, bool]] = []
        while not pieces or not pieces[-1][2]:
            pieces.append(sender.store.getTransmissionData("c:1"))
        spoilt = [*pieces[:2], (b"?" * 50, False, False), *pieces[3:]]
        for sent in (pieces[:2] + pieces[3:], pieces[1:], spoilt):
            assert not any(receiver.store.setTransmissionData(piece) for piece in sent)
            assert receiver.store.load() == SNAPSHOT
        assert [receiver.store.setTransmissionData(piece) for piece in pieces][-1]

    run(story)


def test_a_transmission_that_was_broken_off_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "PIECE_BYTES", 50)

    async def story() -> None:
        sender, receiver = Machine(tmp_path / "one"), Machine(tmp_path / "other")
        await sender.take()
        for _ in range(3):
            receiver.store.setTransmissionData(sender.store.getTransmissionData("c:1"))
        sender.store.cancelTransmisstion("c:1")
        assert send(sender.store, receiver.store)[-1]

    run(story)


def test_a_state_that_cannot_be_installed_is_not_taken_for_installed(tmp_path: Path) -> None:
    async def story() -> None:
        machine = Machine(tmp_path / "snapshot")
        await machine.take()
        (tmp_path / "snapshot").write_bytes(b"rubbish")
        with pytest.raises(SnapshotDamaged):
            machine.store.deserialize()
        assert machine.store.failure is not None

    run(story)
