"""Numbers of metrics and lists of names as people read them: as exact as one needs to decide something."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from artesian.model.sizes import format_size
from artesian.remedy.metrics import Metric, Unit

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400


def format_value(value: float, unit: Unit) -> str:
    """`"12 MiB/s"`, `"41 min"`, `"87%"`, `"3"`."""
    match unit:
        case Unit.BYTES:
            return format_size(value)
        case Unit.RATE:
            return f"{format_size(value)}/s"
        case Unit.REQUESTS:
            return f"{value:.0f} requests/s"
        case Unit.SECONDS:
            return rough_duration(value)
        case Unit.SHARE:
            return f"{100 * value:.0f}%"
        case _:
            return f"{value:g}"


def rough_duration(seconds: float) -> str:
    """`"50 ms"`, `"90 s"`, `"41 min"`, `"5 h 20 min"`, `"12 days"`, `"for ever"`."""
    if math.isinf(seconds):
        return "for ever"
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 2 * _MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < 2 * _HOUR_S:
        return f"{seconds / _MINUTE_S:.0f} min"
    if seconds < 2 * _DAY_S:
        hours, minutes = divmod(round(seconds / _MINUTE_S), 60)
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{seconds / _DAY_S:.0f} days"


def first_names(names: Sequence[str], most: int) -> str:
    """`"a, b and 3 more"`: no more names than these, however many there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def sentence(
    subject: str, names: Sequence[str], values: Mapping[str, float], metrics: Mapping[str, Metric]
) -> str:
    """What the values of these metrics say of a thing: `"pool a/b is full in 41 min at 12 MiB/s, and …"`.

    What is not known of them, and what goes without saying, is left out. `metrics` are all that there are.
    """
    shown = {
        name: format_value(values[name], metric.unit) for name, metric in metrics.items() if name in values
    }
    clauses: list[str] = []
    for name in names:
        if name in values:
            clause = _clause(metrics[name], name, values, shown, "it" if clauses else subject)
            if clause and clause not in clauses:
                clauses.append(clause)
    if not clauses:
        return f"{subject} is as the rule says"
    if len(clauses) == 1:
        return clauses[0]
    return f"{', '.join(clauses[:-1])}, and {clauses[-1]}"


def _clause(metric: Metric, name: str, values: Mapping[str, float], shown: Mapping[str, str], it: str) -> str:
    if not values[name] and metric.says_none is not None:
        return metric.says_none.format(it=it)
    own = {metric.name: shown[name]}  # a metric of the cluster has a longer name in other scopes
    return metric.says.format_map(_Shown({**shown, **own, "it": it}))


class _Shown(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return "an unknown amount"
