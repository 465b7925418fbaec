"""Everything that is asked of a cluster for one look at it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace
from typing import Any

from artesian.engines.ceph import names
from artesian.engines.ceph.errors import CommandFailed
from artesian.engines.ceph.monitors import Json, listens
from artesian.engines.ceph.session import CephSession
from artesian.engines.port import EngineUnreachable

_NEW_S = 10.0
_THERE_S = 1.5  # one packet may get lost
_LATENCY_KEPT_S = 60.0
Documents = dict[tuple[str, ...], Json]


@dataclass(frozen=True, slots=True)
class Figures:
    """What the manager daemon measures. `fresh`: it answers now; else these are the last that it gave.

    `new_groups`: the ids of placement groups of which it has known nothing for a moment only.
    """

    fresh: bool = False
    osds: list[Json] = field(default_factory=list)
    latencies: list[Json] = field(default_factory=list)
    pool_rates: list[Json] = field(default_factory=list)
    placement_groups: list[Json] = field(default_factory=list)
    new_groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Answers:
    """One moment, in Ceph's own words. `sessions`: entities that are connected to a monitor;
    `settings`: what is in the monitors' own store of them."""

    monitors: Json
    osd_map: Json
    health: Json
    pools: list[Json]
    keys: list[Json]
    documents: Documents
    sessions: frozenset[str]
    figures: Figures
    settings: list[Json] = field(default_factory=list)


class Gatherer:
    """Remembers the last figures, for the moments in which one manager daemon follows another."""

    def __init__(self, session: CephSession) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._figures = Figures()
        self._unknown_since_s: dict[str, float] = {}
        self._latencies: dict[int, tuple[float, Json]] = {}

    def gather(self, *, measured: bool) -> Answers:
        """With figures and settings, or without: a change is carried out without them, and figures are the
        manager daemon's, which may be long in coming. Raises EngineUnreachable."""
        ask = self._session.ask
        try:
            monitors = ask("mon dump")  # unlike quorum_status it waits for what was just changed
            return Answers(
                monitors=monitors,
                osd_map=ask("osd dump"),
                health=ask("health", detail="detail"),
                pools=ask("df")["pools"],
                keys=ask("auth ls")["auth_dump"],
                documents=self._session.documents(names.ROOT),
                sessions=frozenset(one["entity_name"] for one in sessions(self._session, monitors)),
                figures=self._measured() if measured else Figures(),
                settings=ask("config dump") if measured else [],
            )
        except CommandFailed as error:
            raise EngineUnreachable(f"the cluster cannot be observed: {error}") from None

    def _measured(self) -> Figures:
        ask = self._session.ask
        try:
            if not ask("mgr stat").get("available"):
                raise EngineUnreachable("no manager daemon is active")
            figures = Figures(
                True,
                ask("osd df")["nodes"],
                ask("osd perf")["osdstats"]["osd_perf_infos"],
                ask("osd pool stats"),
                ask("pg dump", dumpcontents=["pgs"])["pg_stats"],
            )
        except (EngineUnreachable, CommandFailed):
            return replace(self._figures, fresh=False)
        with self._lock:
            self._figures = replace(
                figures,
                latencies=self._lasting(figures.latencies),
                new_groups=self._new_groups(figures.placement_groups),
            )
            return self._figures

    def _lasting(self, latencies: list[Json]) -> list[Json]:
        """A disk that has completed nothing within the last second tells of no latency: the slower it is, the
        less often it tells. So what it has told last counts for a while."""
        now_s = time.monotonic()
        self._latencies |= {
            one["id"]: (now_s, one) for one in latencies if one["perf_stats"]["commit_latency_ns"]
        }
        present = {one["id"] for one in latencies}
        self._latencies = {
            osd: (at_s, one)
            for osd, (at_s, one) in self._latencies.items()
            if osd in present and now_s - at_s < _LATENCY_KEPT_S
        }
        return [one for _, one in self._latencies.values()]

    def _new_groups(self, groups: list[Json]) -> frozenset[str]:
        """Also groups that a pool was divided into just now, whose disks have not spoken of them yet."""
        now_s, known = time.monotonic(), self._unknown_since_s
        unknown = [one["pgid"] for one in groups if "unknown" in one["state"].split("+")]
        self._unknown_since_s = {one: known.get(one, now_s) for one in unknown}
        return frozenset(one for one in unknown if now_s - self._unknown_since_s[one] < _NEW_S)


def sessions(session: CephSession, monitors: Json) -> list[Json]:
    """Everybody who is connected to a monitor. One that is dying may not answer; who was there comes back.
    One that has died is a member of the quorum until the others miss it, and is not waited for."""
    found: list[Any] = []
    for one in monitors["mons"]:
        if one["rank"] not in monitors["quorum"]:
            continue
        addresses = (address["addr"] for address in one["public_addrs"]["addrvec"])
        if not any(listens(address, _THERE_S) for address in addresses):
            continue
        try:
            found += session.ask("sessions", monitor=one["name"])
        except (EngineUnreachable, CommandFailed):
            continue
    return found
