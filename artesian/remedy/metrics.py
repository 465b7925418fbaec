"""What can be measured: the catalogue of metrics, used by rules, by Prometheus and by the documentation.

A rule names a metric of its own scope shortly (`used_share`), and one of the whole cluster with its scope
(`cluster_degraded_bytes`). Prometheus' name is always the whole one: `artesian_pool_used_share`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from artesian.model.rule import Scope

CLUSTER_PREFIX = "cluster_"


class Unit(StrEnum):
    """What a number means."""

    BYTES = "bytes"
    RATE = "bytes/s"
    SECONDS = "seconds"
    SHARE = "0 to 1"
    FLAG = "0 or 1"
    COUNT = "number"
    REQUESTS = "requests/s"

    @property
    def most(self) -> float:
        """No value of this unit is larger; none is below 0."""
        return 1.0 if self in (Unit.SHARE, Unit.FLAG) else math.inf


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. `text` says what it is.

    `says` is a clause with its value in which `{it}` is what it is about, and which may name other metrics;
    `says_none` is one for a value of 0, the same if it is None. An empty one goes without saying.
    """

    scope: Scope
    name: str
    unit: Unit
    text: str
    says: str
    says_none: str | None = None

    @property
    def prometheus_name(self) -> str:
        """As `/metrics` calls it."""
        return f"artesian_{self.scope}_{self.name}"


def _of(scope: Scope, *rows: tuple[str, Unit, str, str] | tuple[str, Unit, str, str, str]) -> list[Metric]:
    return [Metric(scope, *row) for row in rows]


_POOL = _of(
    Scope.POOL,
    ("size_bytes", Unit.BYTES, "Size of all its devices; both copies of everything have to fit in.",
     "{it} has devices of {size_bytes} in all"),
    ("used_bytes", Unit.BYTES, "What is written, both copies counted.", "{it} holds {used_bytes}"),
    ("free_bytes", Unit.BYTES, "What a new thick volume could take now, one copy counted.",
     "{it} has room for {free_bytes} more", "{it} has no room for new volumes"),
    ("capacity_bytes", Unit.BYTES,
     "What may be written, both copies counted: what its devices have, without those that have failed or "
     "leave, without the spare share, and without what its largest fault unit has alone.",
     "{it} may hold {capacity_bytes}", "{it} may hold nothing"),
    ("used_share", Unit.SHARE, "used_bytes of capacity_bytes, whatever was promised to volumes.",
     "{it} is {used_share} full", "{it} is empty"),
    ("degraded_bytes", Unit.BYTES, "Data with one good copy only.",
     "{it} has one good copy only of {degraded_bytes}", "{it} has two good copies of everything"),
    ("failed_bytes", Unit.BYTES, "Data without any copy that can be reached.",
     "{it} has no copy of {failed_bytes} within reach", ""),
    ("moving_bytes", Unit.BYTES, "What rebuilding and rebalancing have still to copy.",
     "{it} has {moving_bytes} to copy", ""),
    ("fill_rate", Unit.RATE, "How fast used_bytes grows, bursts left aside; 0 if it does not.",
     "{it} grows by {fill_rate}", "{it} does not grow"),
    ("time_to_full_s", Unit.SECONDS, "When there is no room left, at that rate; endless if it does not grow.",
     "{it} is full in {time_to_full_s} at {fill_rate}", "{it} is full"),
    ("forecast_sure", Unit.SHARE, "How sure time_to_full_s is; below 50% it is a guess.", ""),
    ("expansion_lead_s", Unit.SECONDS, "How long new disks take; not there if no provider can give any.",
     "new disks take {expansion_lead_s}", "new disks take no time"),
    ("iops", Unit.REQUESTS, "What the clients of its volumes read and write now, if that is known.",
     "{it} serves {iops}", "{it} serves no requests"),
    ("latency_s", Unit.SECONDS, "The median of what its devices take for a request, if that is known.",
     "the devices of {it} take {latency_s} for a request"),
    ("device_count", Unit.COUNT, "Its devices.", "{it} has {device_count} devices", "{it} has no device"),
)  # fmt: skip
_DEVICE = _of(
    Scope.DEVICE,
    ("failed", Unit.FLAG, "The engine cannot use it.", "{it} has failed", ""),
    ("leaving", Unit.FLAG, "It is being taken out.", "{it} is being taken out", ""),
    ("ours", Unit.FLAG, "Its disk was given by this framework.", "", "{it} is not ours"),
    ("size_bytes", Unit.BYTES, "Its size.", "{it} has {size_bytes}", "its size is not known"),
    ("error_count", Unit.COUNT, "Errors of reading and writing since it was started, if they are known.",
     "{it} has had {error_count} errors", "{it} has had no errors"),
    ("latency_s", Unit.SECONDS, "How long it takes for a request on average, if that is known.",
     "{it} takes {latency_s} for a request"),
    ("peers_latency_s", Unit.SECONDS, "The median of that of the other devices of its pool.",
     "the others of its pool take {peers_latency_s}"),
    ("iops", Unit.REQUESTS, "What it reads and writes now, healing included, if that is known.",
     "{it} does {iops}", "{it} has nothing to do"),
    ("smart_failing", Unit.FLAG, "The disk itself says that it will fail, if it says anything.",
     "{it} says of itself that it will fail", ""),
)  # fmt: skip
_NODE = _of(
    Scope.NODE,
    ("silent", Unit.FLAG, "Its agent does not report; whether it runs is not known.", "{it} is silent", ""),
    ("gone", Unit.FLAG, "It is gone for certain: the substrate or the cloud says so.",
     "{it} is gone for certain", ""),
    ("unreachable", Unit.FLAG, "Whoever runs the machines has lost sight of it, too; it may well run.",
     "{it} cannot be reached", ""),
    ("away_s", Unit.SECONDS, "How long it has been silent or gone, as far as this scheduler has seen.",
     "{it} has been away for {away_s}", "{it} is there"),
    ("in_use", Unit.FLAG, "It is a server, a client or a manager of ours.", "", "{it} is not in use"),
    ("in_maintenance", Unit.FLAG, "Somebody has put it in maintenance.", "{it} is in maintenance", ""),
    ("leaving", Unit.FLAG, "It is being removed.", "{it} is being removed", ""),
    ("drained", Unit.FLAG, "Whoever runs the machines wants it empty, for maintenance.",
     "{it} is to be empty", ""),
    ("volumes", Unit.COUNT, "Volumes that are to be attached there, or that it may still write to.",
     "{it} has {volumes} volumes", "{it} has no volume"),
    ("free_disks", Unit.COUNT, "Its disks that may be taken.", "{it} has {free_disks} free disks",
     "{it} has no free disk"),
)  # fmt: skip
_MANAGER = _of(
    Scope.MANAGER,
    ("healthy", Unit.FLAG, "It answers.", "", "{it} does not answer"),
    ("away_s", Unit.SECONDS, "How long it has not answered, as far as this scheduler has seen.",
     "{it} has been away for {away_s}", "{it} is there"),
    ("ours", Unit.FLAG, "It was made by this framework.", "", "{it} is not ours"),
    ("in_maintenance", Unit.FLAG, "Its node is in maintenance.", "its node is in maintenance", ""),
)  # fmt: skip
_VOLUME = _of(
    Scope.VOLUME,
    ("size_bytes", Unit.BYTES, "Its size.", "{it} has {size_bytes}"),
    ("used_share", Unit.SHARE, "How much of its file system is used; not there if none is mounted.",
     "{it} is {used_share} full", "{it} is empty"),
    ("iops", Unit.REQUESTS, "What is read and written now, if that is known.",
     "{it} does {iops}", "{it} has nothing to do"),
    ("bandwidth", Unit.RATE, "The same, in bytes.", "{it} moves {bandwidth}", "{it} has nothing to do"),
    ("limit_iops", Unit.REQUESTS, "What it may do where it is attached; not there without a limit.",
     "{it} may do {limit_iops}"),
    ("limited_share", Unit.SHARE,
     "How much it uses of its limit, of requests or of bandwidth, whichever is more; not there without one.",
     "{it} uses {limited_share} of its limit", "{it} uses nothing of its limit"),
    ("attached", Unit.FLAG, "Some client may use it.", "{it} is attached", "{it} is not attached"),
    ("ours", Unit.FLAG, "It was made or adopted here.", "", "{it} is not ours"),
)  # fmt: skip
_CLUSTER = _of(
    Scope.CLUSTER,
    ("nodes", Unit.COUNT, "Nodes, whatever their state.", "the cluster has {nodes} nodes"),
    ("nodes_away", Unit.COUNT, "Nodes that are silent or gone.", "{nodes_away} nodes are away",
     "no node is away"),
    ("managers", Unit.COUNT, "Members of the quorum.", "the engine has {managers} managers"),
    ("managers_healthy", Unit.COUNT, "Managers that answer.", "{managers_healthy} managers answer",
     "no manager answers"),
    ("engine_up", Unit.FLAG, "The engine answers.", "", "the engine does not answer"),
    ("degraded_bytes", Unit.BYTES, "Data with one good copy only, in all pools.",
     "{degraded_bytes} in the cluster have one good copy only",
     "everything in the cluster has two good copies"),
    ("failed_bytes", Unit.BYTES, "Data without any copy that can be reached, in all pools.",
     "{failed_bytes} in the cluster are out of reach", ""),
    ("moving_bytes", Unit.BYTES, "What rebuilding and rebalancing have still to copy, in all pools.",
     "{moving_bytes} in the cluster are still to be copied", ""),
    ("devices_failed", Unit.COUNT, "Devices that have failed.", "{devices_failed} devices have failed",
     "no device has failed"),
    ("warnings", Unit.COUNT, "What the engine itself finds wrong, as Ceph does.",
     "the engine warns of {warnings} things", "the engine warns of nothing"),
    ("clock_skew", Unit.FLAG, "The clocks of managers differ by more than the engine can bear.",
     "the clocks of managers differ", ""),
)  # fmt: skip

CATALOGUE: tuple[Metric, ...] = (*_POOL, *_DEVICE, *_NODE, *_MANAGER, *_VOLUME, *_CLUSTER)

# Whose metrics are the engine's: they are not known while it does not answer.
ENGINE_SCOPES = frozenset({Scope.POOL, Scope.DEVICE, Scope.MANAGER, Scope.VOLUME})


@functools.lru_cache(maxsize=len(Scope))
def metrics_of(scope: Scope) -> Mapping[str, Metric]:
    """The metrics that a rule of this scope may name, by the names that it uses."""
    found = {metric.name: metric for metric in CATALOGUE if metric.scope is scope}
    if scope is not Scope.CLUSTER:
        found |= {f"{CLUSTER_PREFIX}{metric.name}": metric for metric in _CLUSTER}
    return MappingProxyType(found)


def labels_of(scope: Scope, thing: str) -> dict[str, str]:
    """Prometheus' labels of a thing: a pool has two, `domain` and `pool`, and the cluster none."""
    if scope is Scope.CLUSTER:
        return {}
    if scope is Scope.POOL:
        domain, _, pool = thing.partition("/")
        return {"domain": domain, "pool": pool}
    return {str(scope): thing}
