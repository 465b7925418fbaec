"""Who takes part in Raft: what the newest snapshot says, and every change in the log after it.

A change counts from the moment it is in the log, committed or not. pysyncobj remembers that only while it
runs; after a restart it would count votes by an older membership until the log has been applied.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable

from artesian.embedded.mdm.journal import Entry

_MEMBERSHIP = 2  # pysyncobj's first byte of a command that changes the membership


def members_after(members: Iterable[str], index: int, entries: Iterable[Entry]) -> list[str]:
    """The members after all `entries` with a greater index, when `members` is who they were at `index`."""
    found = set(members)
    for command, entry_index, _ in entries:
        if entry_index > index and command[:1] == bytes([_MEMBERSHIP]):
            action, address = pickle.loads(command[1:])[:2]  # from our own journal; see messages.py
            if action == "add":
                found.add(address)
            else:
                found.discard(address)
    return sorted(found)
