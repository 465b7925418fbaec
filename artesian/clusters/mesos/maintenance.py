"""What Mesos' operators plan for its machines, and what we say to that. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from artesian.clusters.mesos.records import NodeRecord
from artesian.mesos import calls
from artesian.mesos.calls import Call
from artesian.model.standing import NodeStanding

AHEAD_S = 3600.0  # a node is emptied so long before its maintenance begins
ASK_AGAIN_S = 10.0
_NANOSECONDS = 1e9
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Machine:
    """As a schedule names it: either may be empty."""

    hostname: str
    ip: str

    def is_meant(self, hostname: str, address: str) -> bool:
        """Whether an agent runs on it."""
        if not (self.hostname or self.ip):
            return False
        return self.hostname in ("", hostname.lower()) and self.ip in ("", address)


@dataclass(frozen=True, slots=True)
class InverseOffer:
    """Mesos' question whether we can do without an agent."""

    id: str
    agent_id: str


def machines_to_leave(windows: Iterable[Json], now_s: float) -> tuple[Machine, ...]:
    """The machines of a schedule's windows that are open, or will be soon. `now_s`: Unix time."""
    return tuple(
        Machine(str(one.get("hostname", "")).lower(), str(one.get("ip", "")))
        for window in windows
        if _is_open(window["unavailability"], now_s)
        for one in window.get("machine_ids", ())
    )


def _is_open(unavailability: Json, now_s: float) -> bool:
    start_s = int(unavailability["start"]["nanoseconds"]) / _NANOSECONDS
    if now_s < start_s - AHEAD_S:
        return False
    duration = unavailability.get("duration")
    return duration is None or now_s < start_s + int(duration["nanoseconds"]) / _NANOSECONDS


def read_inverse_offer(offer: Json) -> InverseOffer:
    """As the master sends it. Raises KeyError, TypeError for what is none."""
    return InverseOffer(str(offer["id"]["value"]), str(offer.get("agent_id", {}).get("value", "")))


def answers(
    offers: Iterable[InverseOffer], records: Mapping[str, NodeRecord], standings: Mapping[str, NodeStanding]
) -> tuple[Call, ...]:
    """Yes where nothing of ours is needed, no until then; asked again either way, as that may change."""
    nodes = {record.agent_id: name for name, record in records.items()}
    found = []
    for one in sorted(offers, key=lambda it: it.id):
        name = nodes.get(one.agent_id)
        standing = standings.get(name) if name is not None else None
        may_go = name is None or (standing is not None and not standing.needed_for)
        answer = calls.accept_inverse_offers if may_go else calls.decline_inverse_offers
        found.append(answer([one.id], ASK_AGAIN_S))
    return tuple(found)
