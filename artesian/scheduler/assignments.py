"""The nodes' assignments, each made once for as long as the state is the same."""

from __future__ import annotations

from artesian.model.assignment import Assignment
from artesian.model.state import FrameworkState
from artesian.planner.assigning import assignment_of, generation_of


class Assignments:
    """Safe to use from several threads. A state is frozen: the same one assigns the same."""

    def __init__(self) -> None:
        self._made: tuple[FrameworkState, dict[tuple[str, str], tuple[str, Assignment]]]
        self._made = FrameworkState(), {}

    def of(self, state: FrameworkState, node: str, address: str) -> tuple[str, Assignment]:
        """The generation and the assignment of one node."""
        made = self._made
        if made[0] is not state:
            made = self._made = state, {}
        found = made[1].get((node, address))
        if found is None:
            assignment = assignment_of(state, node, address)
            found = made[1][node, address] = generation_of(assignment), assignment
        return found
