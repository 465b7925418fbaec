"""The rules that hold when nobody says otherwise: they ask before they do anything, and harm nothing."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from artesian.model.rule import Approval, RemedyKind, Rule, Scope, Severity
from artesian.model.spec import Spec

_EACH_FOR_ITSELF = {RemedyKind.NOTIFY, RemedyKind.MOVE_VOLUMES}  # several rules may have a reason for it
_NO_GUESS = "forecast_sure >= 50%"
_EXPAND_POOL = Rule(
    name="expand-pool",
    scope=Scope.POOL,
    # Three times as long as new disks take, as one may fail; and half an hour for whoever has to agree.
    when=f"time_to_full_s < 3 * expansion_lead_s + 30m and {_NO_GUESS} or used_share > 85%",
    remedy=RemedyKind.EXPAND_POOL,
    for_s=60.0,
    cooldown_s=900.0,
)
_POOL_FILLS_UP = Rule(
    name="pool-fills-up",
    scope=Scope.POOL,
    when=f"time_to_full_s < 6h and {_NO_GUESS} or used_share > 85%",
    remedy=RemedyKind.NOTIFY,
    for_s=60.0,
    approval=Approval.AUTOMATIC,
)
_DATA_OUT_OF_REACH = Rule(
    name="data-out-of-reach",
    scope=Scope.POOL,
    when="failed_bytes > 0",
    remedy=RemedyKind.NOTIFY,
    for_s=60.0,
    severity=Severity.CRITICAL,
    approval=Approval.AUTOMATIC,
)
_REPLACE_DEVICE = Rule(
    name="replace-device",
    scope=Scope.DEVICE,
    when="failed and ours",
    remedy=RemedyKind.REPLACE_DEVICE,
    for_s=60.0,
)
_FAILING_DISK = Rule(
    name="failing-disk",
    scope=Scope.DEVICE,
    when="smart_failing and ours and not failed",
    remedy=RemedyKind.REPLACE_DEVICE,
    for_s=60.0,
)
_SICK_DEVICE = Rule(
    name="sick-device",
    scope=Scope.DEVICE,
    # Many times as slow as the others, and slow by itself: a pool of fast devices has fast ones that lag.
    when="ours and not failed and (error_count > 20 or latency_s > 0.2 and latency_s > 10 * peers_latency_s)",
    remedy=RemedyKind.REPLACE_DEVICE,
    for_s=300.0,
)
_GROW_VOLUME = Rule(
    name="grow-volume",
    scope=Scope.VOLUME,
    when="used_share > 90% and ours",
    remedy=RemedyKind.GROW_VOLUME,
    for_s=60.0,
)
_REPLACE_MANAGER = Rule(
    name="replace-manager",
    scope=Scope.MANAGER,
    when="away_s > 10m and ours and not in_maintenance",
    remedy=RemedyKind.REPLACE_MANAGER,
    severity=Severity.CRITICAL,
)
_REMOVE_NODE = Rule(
    name="remove-node",
    scope=Scope.NODE,
    when=(
        "gone and away_s > 30m and in_use and not in_maintenance and cluster_degraded_bytes == 0 "
        "and cluster_failed_bytes == 0 and cluster_moving_bytes == 0"
    ),
    remedy=RemedyKind.REMOVE_NODE,
    for_s=60.0,
)
_CLOCKS_DIFFER = Rule(
    name="clocks-differ",
    scope=Scope.CLUSTER,
    # Nothing here can set a clock; whoever runs the machines has to.
    when="clock_skew",
    remedy=RemedyKind.NOTIFY,
    for_s=60.0,
    approval=Approval.AUTOMATIC,
)
_TAKE_OVER_VOLUMES = Rule(
    name="take-over-volumes",
    scope=Scope.NODE,
    # Later than any restart of an agent takes, and than the substrate needs to make up its mind.
    when="unreachable and silent and away_s > 90s and volumes > 0",
    remedy=RemedyKind.MOVE_VOLUMES,
    severity=Severity.CRITICAL,
    parameters=MappingProxyType({"force": True}),
)
_EMPTY_DRAINED_NODE = Rule(
    name="empty-drained-node",
    scope=Scope.NODE,
    when="drained and not silent and volumes > 0",
    remedy=RemedyKind.MOVE_VOLUMES,
    # Somebody has agreed already: whoever drains the node. The node lets go by itself, and nothing is lost.
    approval=Approval.AUTOMATIC,
    cooldown_s=60.0,
)


def default_rules(*, with_providers: bool) -> tuple[Rule, ...]:
    """The default rules. Where new disks can be had, pools are expanded; elsewhere somebody is told."""
    fills_up = _EXPAND_POOL if with_providers else _POOL_FILLS_UP
    return (
        fills_up,
        _DATA_OUT_OF_REACH,
        _REPLACE_DEVICE,
        _FAILING_DISK,
        _SICK_DEVICE,
        _GROW_VOLUME,
        _REPLACE_MANAGER,
        _REMOVE_NODE,
        _CLOCKS_DIFFER,
        _TAKE_OVER_VOLUMES,
        _EMPTY_DRAINED_NODE,
    )


def with_default_rules(spec: Spec) -> Spec:
    """The spec with the default rules behind its own, as far as those leave something to say.

    One of its own takes the place of a default one of the same name, and, unless it is only for some things,
    of those that do the same; but telling somebody is not doing the same, and neither is moving volumes for
    another reason.
    """
    if not spec.default_rules:
        return spec
    names = {rule.name for rule in spec.rules}
    done = {rule.remedy for rule in spec.rules if not rule.things} - _EACH_FOR_ITSELF
    defaults = default_rules(with_providers=bool(spec.providers))
    others = (rule for rule in defaults if rule.name not in names and rule.remedy not in done)
    return replace(spec, rules=(*spec.rules, *others))


def expansion_lead_s(spec: Spec) -> float | None:
    """How long new disks take: as the slowest provider says, as any may be the one; None if there is none."""
    return max((provider.lead_time_s for provider in spec.providers), default=None)
