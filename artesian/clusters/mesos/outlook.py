"""What is known of nodes beside their tasks: how it is with each, and which are to be empty. Safe in any
thread."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from artesian.clusters.mesos.maintenance import InverseOffer, answers
from artesian.clusters.mesos.records import NodeRecord
from artesian.mesos.calls import Call
from artesian.model.standing import NodeStanding


class Outlook:
    """It decides nothing and asks nobody."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._standings: Mapping[str, NodeStanding] = MappingProxyType({})
        self._drained: frozenset[str] = frozenset()
        self._inverse_offers: dict[str, InverseOffer] = {}

    def hear(self, standings: Mapping[str, NodeStanding]) -> None:
        """How it is with every node now."""
        with self._lock:
            self._standings = MappingProxyType(dict(standings))

    def are_drained(self, nodes: Iterable[str]) -> bool:
        """On these, and no others, Mesos begins nothing now; whether that is new."""
        with self._lock:
            before, self._drained = self._drained, frozenset(nodes)
            return before != self._drained

    def asked(self, offers: Iterable[InverseOffer]) -> None:
        """Mesos asks whether we can do without some agents."""
        with self._lock:
            self._inverse_offers |= {one.id: one for one in offers}

    def asked_no_more(self, inverse_offer_id: str) -> None:
        """It does not ask any more."""
        with self._lock:
            self._inverse_offers.pop(inverse_offer_id, None)

    def disconnected(self) -> None:
        """A new master asks anew."""
        with self._lock:
            self._inverse_offers.clear()

    def answers(self, records: Mapping[str, NodeRecord]) -> tuple[Call, ...]:
        """What to answer now to all that was asked, once."""
        with self._lock:
            asked, self._inverse_offers = self._inverse_offers, {}
            return answers(asked.values(), records, self._standings)

    @property
    def standings(self) -> Mapping[str, NodeStanding]:
        """As they were told last."""
        with self._lock:
            return self._standings

    @property
    def drained(self) -> frozenset[str]:
        """Nodes on which Mesos begins nothing."""
        with self._lock:
            return self._drained
