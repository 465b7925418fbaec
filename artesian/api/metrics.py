"""What Prometheus scrapes: made anew for each scrape out of the last pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from artesian.model.node import NodeState
from artesian.model.pause import EVERYTHING, Pause
from artesian.model.rule import Scope
from artesian.remedy.measuring import Measured
from artesian.remedy.metrics import labels_of, metrics_of
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
        yield self._pauses()
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
        blind = self._scheduler.blindness is not None
        yield _gauge("artesian_substrate_up", "1 if what gives us nodes answers.", not blind)
        nodes = GaugeMetricFamily("artesian_nodes", "Nodes of the cluster.", labels=["state"])
        for kind in NodeState:
            nodes.add_metric([kind], sum(node.state is kind for node in verdict.seen.nodes))
        yield nodes
        yield _gauge("artesian_engine_up", "1 if the engine answers.", verdict.seen.engine is not None)
        yield from self._measured()
        yield from self._remedies()

    def _pauses(self) -> Metric:
        family = GaugeMetricFamily("artesian_paused", "1 for what is paused.", labels=["scope"])
        for scope in sorted({EVERYTHING} | {one.scope for one in self._in_force()}):
            family.add_metric([scope], float(any(one.scope == scope for one in self._in_force())))
        return family

    def _in_force(self) -> tuple[Pause, ...]:
        return self._scheduler.memory.state.pauses_in_force()

    def _measured(self) -> Iterator[Metric]:
        """Everything that rules look at, by the names that they use."""
        of_scope: dict[Scope, list[Measured]] = {}
        for one in self._scheduler.remediator.last.measured:
            of_scope.setdefault(one.scope, []).append(one)
        for scope, things in of_scope.items():
            labels = list(labels_of(scope, "/"))
            for metric in metrics_of(scope).values():
                family = GaugeMetricFamily(metric.prometheus_name, metric.text, labels=labels)
                for one in things:
                    if metric.name in one.values:
                        family.add_metric(list(labels_of(scope, one.thing).values()), one.values[metric.name])
                if family.samples:
                    yield family

    def _remedies(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "artesian_remedies", "Remedies that are remembered.", labels=["kind", "state"]
        )
        remedies = self._scheduler.memory.state.remedies.values()
        for (kind, state), count in sorted(Counter((one.kind, one.state) for one in remedies).items()):
            family.add_metric([kind, state], count)
        yield family


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=float(value))
