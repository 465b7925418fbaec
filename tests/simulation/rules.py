"""What a rule is that was broken, and names of those that more than one part of the simulation speaks of."""

from __future__ import annotations

REASONS_IN_ORDER = "a reason depends on an order"
CLIENT_STAYS = "a client is removed that its node is still told to run"
TWO_REMOVALS = "two disks are removed at once"
FEW_MANAGERS = "there are too few managers"
SEEN_SEVERAL_TIMES = "a disk is taken that is seen several times, or never"
OLD_ATTACHMENT = "a volume is mapped to a node that has an old attachment of it"
TAKEN_WHILE_USED = "a volume is taken from a node that uses it"
RENAMED_AND_DELETED = "a volume is deleted by a name that it does not have yet"


class Violation(AssertionError):
    """Something has happened that must never happen. `rule` names it in a few words."""

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(f"{rule}: {detail}")
        self.rule = rule
