"""What Prometheus scrapes: made anew for each scrape out of the last pass."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from artesian.model.node import NodeState
from artesian.scheduler.loop import Scheduler


class SchedulerCollector(Collector):
    """Metrics of one scheduler."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def collect(self) -> Iterator[Metric]:
        """One scrape."""
        scheduler, verdict = self._scheduler, self._scheduler.verdict
        yield CounterMetricFamily("artesian_passes", "Passes of the loop.", value=scheduler.passes)
        yield _gauge("artesian_pass_duration_seconds", "How long the last pass took.", scheduler.pass_seconds)
        if verdict is None:
            return
        guarded = verdict.decision.guarded
        yield _gauge("artesian_healthy", "1 if there is nothing to do and nothing wrong.", verdict.healthy)
        steps = GaugeMetricFamily("artesian_plan_steps", "Steps of the present plan.", labels=["state"])
        for state, count in (
            ("ready", len(guarded.ready)),
            ("waiting", len(guarded.waiting)),
            ("held", len(guarded.held)),
        ):
            steps.add_metric([state], count)
        yield steps
        nodes = GaugeMetricFamily("artesian_nodes", "Nodes of the cluster.", labels=["state"])
        for kind in NodeState:
            nodes.add_metric([kind], sum(node.state is kind for node in verdict.seen.nodes))
        yield nodes
        yield _gauge("artesian_engine_up", "1 if the engine answers.", verdict.seen.engine is not None)
        yield from self._pools()

    def _pools(self) -> Iterator[Metric]:
        verdict = self._scheduler.verdict
        engine = verdict.seen.engine if verdict is not None else None
        if engine is None:
            return
        for name in ("size", "used", "free", "degraded", "failed", "moving"):
            family = GaugeMetricFamily(
                f"artesian_pool_{name}_bytes", f"Bytes of a pool that are {name}.", labels=["domain", "pool"]
            )
            for pool in engine.pools:
                family.add_metric([pool.name.domain, pool.name.pool], getattr(pool, f"{name}_bytes"))
            yield family


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=float(value))
