"""`derive` with its last answer at hand: most passes ask again what was asked before."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from artesian.model.node import Node
from artesian.model.spec import Spec
from artesian.model.topology import Topology
from artesian.strategy.deriving import derive
from artesian.strategy.verdicts import Memory


class Deriver:
    """For one thread. Equal questions have equal answers; of anything else, nothing is kept."""

    def __init__(self) -> None:
        self._last: tuple[object, Topology] | None = None

    def derive(
        self,
        spec: Spec,
        nodes: Sequence[Node],
        memory: Memory,
        *,
        system_id: str | None,
        managers: tuple[str, ...],
        leaving: Collection[str],
    ) -> Topology:
        """As the function does."""
        asked = (spec, nodes, memory, system_id, managers, leaving)
        if self._last is None or self._last[0] != asked:
            topology = derive(spec, nodes, memory, system_id=system_id, managers=managers, leaving=leaving)
            self._last = asked, topology
        return self._last[1]
