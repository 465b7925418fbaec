"""Storage pools as documents: what they hold, and when they are full."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from artesian.model.engine import EngineSeen, SeenPool
from artesian.model.errors import NotThere
from artesian.model.rule import Scope
from artesian.remedy.forecast import Forecast
from artesian.remedy.looking import Look
from artesian.scheduler.verdict import Verdict

Document = dict[str, Any]


def pools_view(verdict: Verdict, last: Look) -> list[Document]:
    """The storage pools; `last` is what rules have seen of them."""
    engine = verdict.seen.engine
    if engine is None:
        return []
    measured = {one.thing: one.values for one in last.measured if one.scope is Scope.POOL}
    return [_pool_view(engine, pool, measured.get(str(pool.name), {}), last) for pool in engine.pools]


def pool_view(verdict: Verdict, last: Look, name: str) -> Document:
    """One pool by its name, `domain/pool`; of domain `default` the pool's alone will do. Raises NotThere."""
    pools = pools_view(verdict, last)
    found = next((one for one in pools if one["name"] in (name, f"default/{name}")), None)
    if found is None:
        known = ", ".join(one["name"] for one in pools) or "none"
        raise NotThere(f"there is no pool {name}; there are {known}")
    return found


def _pool_view(engine: EngineSeen, pool: SeenPool, values: Any, last: Look) -> Document:
    return asdict(pool) | {
        "name": str(pool.name),
        "devices": sum(device.pool == pool.name for device in engine.devices),
        "is_whole": pool.is_whole,
        "is_settled": pool.is_settled,
        "capacity_bytes": values.get("capacity_bytes"),
        "used_share": values.get("used_share"),
        "expansion_lead_s": values.get("expansion_lead_s"),
        "forecast": _forecast_view(last.forecasts.get(pool.name, Forecast())),
    }


def _forecast_view(forecast: Forecast) -> Document:
    """Times that are endless, as those of a pool that does not grow, are null."""

    def seconds(value: float) -> float | None:
        return round(value, 1) if math.isfinite(value) else None

    return {
        "known": forecast.is_known,
        "time_to_full_s": seconds(forecast.time_to_full_s),
        "low_s": seconds(forecast.low_s),
        "high_s": seconds(forecast.high_s),
        "bytes_per_s": round(forecast.bytes_per_s, 1),
        "sure": round(forecast.sure, 3),
        "confidence": forecast.confidence,
        "because": forecast.because,
    }
