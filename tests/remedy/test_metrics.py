"""The catalogue: every metric is there once, and what it says can be said."""

from __future__ import annotations

from collections import Counter
from string import Formatter

import pytest

from artesian.model.rule import Scope
from artesian.remedy.metrics import CATALOGUE, Metric, Unit, labels_of, metrics_of
from artesian.remedy.words import format_value, rough_duration, sentence


def test_names_are_there_once() -> None:
    assert max(Counter((one.scope, one.name) for one in CATALOGUE).values()) == 1
    assert max(Counter(one.prometheus_name for one in CATALOGUE).values()) == 1


@pytest.mark.parametrize("metric", CATALOGUE, ids=lambda metric: metric.prometheus_name)
def test_a_metric_is_described_and_speaks_of_what_is_there(metric: Metric) -> None:
    assert metric.text.endswith(".")
    own = {one.name for one in CATALOGUE if one.scope is metric.scope}
    fields = {field for _, field, _, _ in Formatter().parse(metric.says) if field is not None}
    assert fields <= own | {"it"}
    none = {field for _, field, _, _ in Formatter().parse(metric.says_none or "") if field is not None}
    assert none <= {"it"}
    assert metric.unit is not Unit.FLAG or (metric.says_none is not None and metric.says + metric.says_none)
    assert metric.says or metric.says_none or metric.name == "forecast_sure"


def test_rules_name_metrics_of_the_cluster_with_their_scope() -> None:
    assert (
        metrics_of(Scope.POOL)["cluster_degraded_bytes"].prometheus_name == "artesian_cluster_degraded_bytes"
    )
    assert metrics_of(Scope.POOL)["degraded_bytes"].prometheus_name == "artesian_pool_degraded_bytes"
    assert "cluster_degraded_bytes" not in metrics_of(Scope.CLUSTER)
    assert metrics_of(Scope.CLUSTER)["degraded_bytes"].scope is Scope.CLUSTER


def test_labels() -> None:
    assert labels_of(Scope.POOL, "default/gold") == {"domain": "default", "pool": "gold"}
    assert labels_of(Scope.NODE, "node-1") == {"node": "node-1"}
    assert labels_of(Scope.CLUSTER, "cluster") == {}


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.004, "4 ms"), (0, "0 ms"), (45, "45 s"), (119, "119 s"), (2460, "41 min"), (7200, "2 h"),
        (19_200, "5 h 20 min"), (3 * 86_400, "3 days"), (float("inf"), "for ever"),
    ],
)  # fmt: skip
def test_durations_are_as_exact_as_one_needs_them(seconds: float, words: str) -> None:
    assert rough_duration(seconds) == words


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (12 * 2**20, Unit.RATE, "12.0 MiB/s"),
        (0.874, Unit.SHARE, "87%"),
        (2**30, Unit.BYTES, "1.0 GiB"),
        (3, Unit.COUNT, "3"),
        (60, Unit.SECONDS, "60 s"),
    ],
)
def test_values_are_shown_with_their_unit(value: float, unit: Unit, words: str) -> None:
    assert format_value(value, unit) == words


def test_a_sentence_has_the_numbers() -> None:
    values = {
        "time_to_full_s": 2460.0,
        "fill_rate": 12.0 * 2**20,
        "expansion_lead_s": 120.0,
        "used_share": 0.9,
    }
    metrics = metrics_of(Scope.POOL)
    assert sentence("pool a/b", ["time_to_full_s", "expansion_lead_s"], values, metrics) == (
        "pool a/b is full in 41 min at 12.0 MiB/s, and new disks take 2 min"
    )
    assert sentence("pool a/b", ["time_to_full_s", "used_share", "expansion_lead_s"], values, metrics) == (
        "pool a/b is full in 41 min at 12.0 MiB/s, it is 90% full, and new disks take 2 min"
    )


def test_what_is_not_known_is_left_out_of_a_sentence() -> None:
    metrics = metrics_of(Scope.NODE)
    values = {"gone": 1.0, "away_s": 1860.0, "cluster_degraded_bytes": 0.0}
    assert sentence(
        "node n", ["gone", "free_disks", "away_s", "cluster_degraded_bytes"], values, metrics
    ) == (
        "node n is gone for certain, it has been away for 31 min, "
        "and everything in the cluster has two good copies"
    )
    assert sentence("node n", ["free_disks"], {}, metrics) == "node n is as the rule says"
    assert (
        sentence("node n", ["in_maintenance"], {"in_maintenance": 0.0}, metrics)
        == "node n is as the rule says"
    )
    pool = metrics_of(Scope.POOL)
    assert "an unknown amount" in sentence("pool p", ["time_to_full_s"], {"time_to_full_s": 9.0}, pool)
