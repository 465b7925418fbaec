"""A manager opens its folder: journal and snapshot are brought together, or it refuses to take part."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pysyncobj.node import Node

from artesian.embedded.errors import EngineError
from artesian.embedded.mdm.journal import DurableJournal, JournalDamaged
from artesian.embedded.mdm.membership import members_after
from artesian.embedded.mdm.raft import Raft
from artesian.embedded.mdm.snapshots import Snapshot, SnapshotDamaged

OWN = "127.0.0.1:6700"
MEMBERS = [OWN, "127.0.0.2:6700", "127.0.0.3:6700"]


class Numbers:
    system_id = ""

    def __init__(self) -> None:
        self.items: list[int] = []

    def apply(self, command: str) -> dict[str, Any]:
        self.items.append(json.loads(command))
        return {"result": {}}

    def capture(self) -> dict[str, Any]:
        return {"items": self.items}

    def install(self, state: dict[str, Any]) -> None:
        self.items = list(state["items"])


def command(number: int) -> bytes:
    """An entry of the log as pysyncobj makes it: the method's number and its arguments."""
    return b"\x00" + pickle.dumps((0, (json.dumps(number),)))


def change(action: str, address: str) -> bytes:
    return b"\x02" + pickle.dumps([action, address, Node(address)])


def write(
    folder: Path, last: int, first: int = 1, term: int = 1, commands: dict[int, bytes] | None = None
) -> None:
    """A journal with the entries `first` to `last`, entry n adding the number n."""
    folder.mkdir()
    journal = DurableJournal(folder / "journal")
    for index in range(first, last + 1):
        journal.add((commands or {}).get(index, command(index)), index, term if index > 1 else 0)
    journal.setRaftCommitIndex(last)
    journal.onOneSecondTimer()
    journal._destroy()


def write_snapshot(folder: Path, last: int, term: int = 1, cluster: list[str] | None = None) -> None:
    entries = [(command(index), index, term) for index in (last - 1, last)]
    snapshot = Snapshot(entries[0], entries[1], cluster or MEMBERS, {"items": list(range(2, last + 1))})
    (folder / "snapshot").write_bytes(snapshot.encode())


def opened(folder: Path, look: Callable[[Raft, Numbers], None]) -> None:
    """Open the folder, let it apply what it knows to be committed, and look."""

    async def story() -> None:
        machine = Numbers()
        raft = Raft(OWN, MEMBERS, folder, b"secret", machine, lambda: None, lambda error: None)
        try:
            raft._node.doTick(0.0)
            look(raft, machine)
        finally:
            os.close(raft._lock)
            raft._journal.close()

    asyncio.run(story())


def test_a_log_without_a_snapshot_is_applied_from_its_beginning(tmp_path: Path) -> None:
    write(tmp_path / "mdm", 20)
    opened(tmp_path / "mdm", lambda raft, machine: check(machine.items, list(range(2, 21))))


def test_killed_between_a_snapshot_and_the_compaction_it_keeps_what_came_after(tmp_path: Path) -> None:
    write(tmp_path / "mdm", 50)
    write_snapshot(tmp_path / "mdm", 30)

    def look(raft: Raft, machine: Numbers) -> None:
        check(machine.items, list(range(2, 51)))
        check((raft._journal.first_index, raft._journal.last_index), (29, 50))

    opened(tmp_path / "mdm", look)
    opened(tmp_path / "mdm", look)


def test_killed_between_a_received_snapshot_and_the_new_log_it_begins_with_the_snapshot(
    tmp_path: Path,
) -> None:
    write(tmp_path / "mdm", 20)
    write_snapshot(tmp_path / "mdm", 90, term=4)

    def look(raft: Raft, machine: Numbers) -> None:
        check(machine.items, list(range(2, 91)))
        check([entry[1:] for entry in raft._journal[:]], [(89, 4), (90, 4)])

    opened(tmp_path / "mdm", look)


def test_entries_that_a_received_snapshot_contradicts_go(tmp_path: Path) -> None:
    write(tmp_path / "mdm", 50)
    write_snapshot(tmp_path / "mdm", 30, term=4)
    opened(tmp_path / "mdm", lambda raft, machine: check(raft._journal.last_index, 30))


def test_a_log_whose_snapshot_is_gone_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "mdm", 50, first=30)
    with pytest.raises(JournalDamaged, match="snapshot before is gone"):
        opened(tmp_path / "mdm", lambda raft, machine: None)


def test_a_log_that_begins_after_its_snapshot_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "mdm", 50, first=30)
    write_snapshot(tmp_path / "mdm", 20)
    with pytest.raises(JournalDamaged, match="begins at entry 30"):
        opened(tmp_path / "mdm", lambda raft, machine: None)


def test_a_damaged_snapshot_is_refused_rather_than_begun_without(tmp_path: Path) -> None:
    write(tmp_path / "mdm", 50)
    write_snapshot(tmp_path / "mdm", 30)
    data = bytearray((tmp_path / "mdm" / "snapshot").read_bytes())
    data[-3] ^= 1
    (tmp_path / "mdm" / "snapshot").write_bytes(data)
    with pytest.raises(SnapshotDamaged, match="snapshot"):
        opened(tmp_path / "mdm", lambda raft, machine: None)


def test_two_managers_cannot_have_one_folder(tmp_path: Path) -> None:
    def look(raft: Raft, machine: Numbers) -> None:
        with pytest.raises(EngineError, match="another manager"):
            Raft(OWN, MEMBERS, tmp_path / "mdm", b"", Numbers(), lambda: None, lambda error: None)

    opened(tmp_path / "mdm", look)


# --- who the members are


def test_without_a_log_the_config_names_the_members(tmp_path: Path) -> None:
    opened(tmp_path / "mdm", lambda raft, machine: check(raft.members, set(MEMBERS)))


def test_changes_in_the_log_count_also_before_they_are_applied(tmp_path: Path) -> None:
    changes = {12: change("add", "127.0.0.4:6700"), 15: change("rem", MEMBERS[2])}
    expected = {OWN, MEMBERS[1], "127.0.0.4:6700"}
    write(tmp_path / "mdm", 20, commands=changes)
    opened(tmp_path / "mdm", lambda raft, machine: check(raft.members, expected))


def test_the_snapshot_names_the_members_and_the_log_after_it_the_changes(tmp_path: Path) -> None:
    changes = {12: change("rem", MEMBERS[1]), 18: change("add", "127.0.0.5:6700")}
    write(tmp_path / "mdm", 20, commands=changes)
    write_snapshot(tmp_path / "mdm", 15, cluster=[OWN, MEMBERS[2]])
    expected = {OWN, MEMBERS[2], "127.0.0.5:6700"}
    opened(tmp_path / "mdm", lambda raft, machine: check(raft.members, expected))


def test_members_come_and_go_in_the_order_of_the_log() -> None:
    log = [
        (change("add", "d"), 5, 1),
        (b"\x01", 6, 1),
        (change("rem", "a"), 7, 1),
        (change("rem", "d"), 8, 1),
    ]
    assert members_after(["a", "b"], 0, log) == ["b"]
    assert members_after(["a", "b"], 7, log) == ["a", "b"]


def check(found: Any, expected: Any) -> None:
    assert found == expected
